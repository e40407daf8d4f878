"""Sends frames from a sandbox to a neighbour (`send`), each with its name inside, or tells which names arrive (`hear`).

send A4 A6 B4 B6 BMAC C4 C6 CMAC GW4 GW6: A sends; what begins with "honest" a sandbox may say, the rest is a lie.
hear: until "honest end" arrives; prints the names, one a line.
"""
import socket
import struct
import sys
import time

MARK = b"PONTOON:"


def listen():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind(("eth0", 0))
    s.settimeout(20)
    print("up", flush=True)
    seen = []
    while "honest end" not in seen:
        data, where = s.recvfrom(4096)
        if where[2] != socket.PACKET_OUTGOING and MARK in data:
            seen.append(data.split(MARK)[1].rstrip(b"\0").decode())
    print("\n".join(sorted(set(seen))), flush=True)


def total(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


def four(src, dst, proto, body):
    head = lambda check: struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, proto, check) + ip4(src) + ip4(dst)
    return head(total(head(0))) + body


def six(src, dst, kind, body, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(body), kind, hops) + ip6(src) + ip6(dst) + body


def icmp6(src, dst, kind, body):
    fake = ip6(src) + ip6(dst) + struct.pack("!II", 4 + len(body), 58)
    check = total(fake + bytes([kind, 0, 0, 0]) + body)
    return bytes([kind, 0]) + struct.pack("!H", check) + body


def note(name):
    """The name, as an option of neighbour discovery that nobody knows; a multiple of 8 bytes."""
    text = MARK + name.encode()
    size = (len(text) + 2 + 7) // 8
    return (bytes([253, size]) + text).ljust(8 * size, b"\0")


def udp(sport, dport, body):
    return struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body


ip4 = socket.inet_aton
ip6 = lambda text: socket.inet_pton(socket.AF_INET6, text)
mac = lambda text: bytes.fromhex(text.replace(":", ""))
ALL = "ff02::1"


def send(a4, a6, b4, b6, bmac, c4, c6, cmac, gw4, gw6):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("eth0", 0))
    own, to, other, every = s.getsockname()[4], mac(bmac), mac(cmac), b"\xff" * 6
    local = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + b"\0" * 6 + bytes([own[0] ^ 2]) + own[1:3] + b"\xff\xfe" + own[3:])
    frame = lambda kind, body, src=own, dst=to: dst + src + struct.pack("!H", kind) + body
    v4 = lambda body, **more: frame(0x800, body, **more)
    v6 = lambda body, **more: frame(0x86DD, body, **more)
    arp = lambda op, hw, ip, target, body, **more: frame(
        0x806, struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + hw + ip4(ip) + b"\0" * 6 + ip4(target) + body, **more)
    option = lambda kind, hw: bytes([kind, 1]) + hw
    # A prefix to make an address of, and a way out (RFC 4861, 4.2 and 4.6.2).
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 1800, 1800, 0) + ip6("2001:db8:bad::")
    router = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + option(1, own) + prefix
    na = lambda target, body, src=a6: six(
        src, b6, 58, icmp6(src, b6, 136, struct.pack("!I", 0x60000000) + ip6(target) + option(2, own) + body))
    fragment = lambda at, more, kind, body: bytes([kind, 0]) + struct.pack("!HI", at << 3 | more, 7) + body
    padding = bytes([58, 0, 1, 4, 0, 0, 0, 0])

    def frames(n):
        advert = icmp6(local, ALL, 134, router + n)
        redirect = icmp6(local, b6, 137, b"\0" * 4 + ip6(a6) + ip6(c6) + n)
        solicit = icmp6(a6, b6, 135, b"\0" * 4 + ip6(b6) + option(1, own) + n)
        offer, plain = udp(67, 68, b"\2\1\6\0" + b"\0" * 40 + n), udp(999, 999, n)
        return {
            "honest arp": arp(1, own, a4, b4, n),
            "honest arp probe": arp(1, own, "0.0.0.0", a4, n, dst=every),
            "honest udp": v4(four(a4, b4, 17, plain)),
            "honest udp over IPv6": v6(six(a6, b6, 17, plain)),
            "honest solicitation": v6(six(a6, b6, 58, solicit)),
            "honest advertisement": v6(na(a6, n)),
            "honest DHCP discover": v4(four("0.0.0.0", "255.255.255.255", 17, udp(68, 67, n)), dst=every),
            "honest fragments": [
                v6(six(a6, b6, 44, fragment(0, 1, 17, plain[:8]))),
                v6(six(a6, b6, 44, fragment(1, 0, 17, n))),
            ],
            "router advertisement": v6(six(local, ALL, 58, advert)),
            "router advertisement behind a header": v6(six(local, ALL, 0, padding + advert)),
            # The header that would tell what is carried comes in the second one.
            "router advertisement in fragments": [
                v6(six(local, ALL, 44, fragment(0, 1, 60, bytes([58, 1, 1, 4, 0, 0, 0, 0])))),
                v6(six(local, ALL, 44, fragment(1, 0, 60, bytes([1, 6, 0, 0, 0, 0, 0, 0]) + advert))),
            ],
            "router advertisement as the gateway": v6(six(gw6, ALL, 58, icmp6(gw6, ALL, 134, router + n))),
            "redirect": v6(six(local, b6, 58, redirect)),
            "redirect of IPv4 as the gateway": v4(four(gw4, b4, 1, bytes([5, 1, 0, 0]) + ip4(a4) + b"\x45" + b"\0" * 27 + n)),
            "multicast query": v6(six(local, ALL, 58, icmp6(local, ALL, 130, b"\0" * 20 + n))),
            "DHCP offer": v4(four(a4, b4, 17, offer)),
            "DHCP offer to all": v4(four(a4, "255.255.255.255", 17, offer), dst=every),
            "DHCP offer as the gateway": v4(four(gw4, b4, 17, offer)),
            "DHCPv6 advertisement": v6(six(local, b6, 17, udp(547, 546, n))),
            "arp of a neighbour's address": arp(2, own, c4, b4, n),
            "arp of the gateway's address": arp(2, own, gw4, b4, n),
            "arp of the gateway's address, to all": arp(1, own, gw4, gw4, n, dst=every),
            "arp with another's MAC inside": arp(2, other, a4, b4, n),
            "advertisement of a neighbour's address": v6(na(c6, n)),
            "advertisement of the gateway's address": v6(na(gw6, n)),
            "advertisement as a neighbour": v6(na(c6, n, src=c6)),
            "IPv4 of a neighbour": v4(four(c4, b4, 17, plain)),
            "IPv6 of a neighbour": v6(six(c6, b6, 17, plain)),
            "IPv4 of nobody": v4(four("203.0.113.9", b4, 17, plain)),
            "MAC of a neighbour": v4(four(c4, b4, 17, plain), src=other),
            "MAC of nobody": v4(four(a4, b4, 17, plain), src=b"\2\6\6\6\6\6"),
            "DNS answer as the gateway": v4(four(gw4, b4, 17, udp(53, 999, n))),
            "DNS answer as an upstream": v4(four("192.0.2.2", b4, 17, udp(53, 999, n))),
            "a VLAN": frame(0x8100, struct.pack("!HH", 1, 0x800) + four(a4, b4, 17, plain)),
            "solicitation of a neighbour's address from nowhere": v6(
                six("::", ALL, 58, icmp6("::", ALL, 135, b"\0" * 4 + ip6(b6) + n))),
            "honest end": v4(four(a4, b4, 17, plain)),
        }

    names = list(frames(b""))
    for name in names[:-1] + [names[-1]] * 3:
        # The last one says that all have come.
        time.sleep(0.05 * (name == names[-1]))
        data = frames(note(name))[name]
        for one in data if isinstance(data, list) else [data]:
            s.send(one)


listen() if sys.argv[1] == "hear" else send(*sys.argv[2:])
