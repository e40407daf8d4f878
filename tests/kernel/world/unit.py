"""Starts a program as systemd would start a unit: unit.py UNIT PROGRAM ARGS

Namespaces, capabilities and the filter of calls are made from the unit's own lines (systemd.exec(5)). A line that is
neither carried out here nor listed as one that cannot be is an error, so that no test passes for lack of it.
"""
import ctypes
import os
import re
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 19
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
# What stands for itself, and what a test machine without systemd and its control groups cannot show.
ELSEWHERE = """Type Restart RestartSec KillMode TimeoutStopSec RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectoryMode
LimitNOFILE FileDescriptorStoreMax TasksMax OOMScoreAdjust ProtectClock ProtectHostname
SystemCallArchitectures SystemCallErrorNumber LockPersonality MemoryDenyWriteExecute RestrictRealtime RestrictSUIDSGID
KeyringMode DevicePolicy DeviceAllow ProtectKernelLogs""".split()


def service(path):
    """Key -> words, of the section [Service]; filters of calls keep their lines."""
    unit, section = {}, None
    for line in map(str.rstrip, open(path)):
        section = line if line.startswith("[") else section
        if section == "[Service]" and re.match(r"[A-Za-z]+=", line):
            key, value = line.split("=", 1)
            unit.setdefault(key, []).extend([value] if key in ("ExecStart", "SystemCallFilter") else value.split())
    return unit


def done(what, result):
    if result < 0:
        sys.exit(f"unit.py: {what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags, data=None):
    text = [None if value is None else value.encode() for value in (source, target, kind, data)]
    done(f"mount {target}", libc.mount(text[0], text[1], text[2], ctypes.c_ulong(flags), text[3]))


def points():
    """(path, flags) of all mounts, the later ones last."""
    bits = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC}
    for line in open("/proc/self/mountinfo"):
        words = line.split()
        path = words[4].encode().decode("unicode_escape")
        yield path, sum(bits.get(word, 0) for word in words[5].split(","))


def below(path, folder):
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def read_only(folder, but):
    """The mount at `folder` and all below it, but those at or below `but`."""
    for path, flags in {path: flags for path, flags in points() if below(path, folder)}.items():
        if not any(below(path, other) for other in but) and os.path.exists(path):
            libc.mount(None, path.encode(), None, ctypes.c_ulong(MS_REMOUNT | MS_BIND | MS_RDONLY | flags), None)


def inaccessible(path):
    mount("hidden", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=000,size=4k")


def view(unit):
    """The unit's mount namespace: one that hears of the host's mounts and tells of none."""

    def has(key):
        return unit.get(key, ["no"])[0] not in ("no", "false")

    def paths(key):
        there = [path for path in unit.get(key, []) if path[0] != "-" or os.path.exists(path[1:])]
        return [path.lstrip("-") for path in there]

    write = [f"/run/{name}" for name in unit.get("RuntimeDirectory", [])]
    write += [f"/var/lib/{name}" for name in unit.get("StateDirectory", [])]
    for folder in write:
        os.makedirs(folder, exist_ok=True)
    if not any(has(key) for key in ("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices")):
        return
    done("unshare", libc.unshare(CLONE_NEWNS))
    mount(None, "/", None, MS_REC | MS_SLAVE)
    write += paths("ReadWritePaths")
    protected = paths("ReadOnlyPaths")
    for folder in write + protected + ["/proc/sys"]:
        mount(folder, folder, None, MS_BIND | MS_REC)
    if has("ProtectSystem"):
        assert unit["ProtectSystem"] == ["strict"], "another ProtectSystem="
        read_only("/", write + ["/proc", "/sys", "/dev"])
    for folder in protected:
        read_only(folder, [])
    if has("ProtectKernelTunables"):
        read_only("/proc/sys", write)
        read_only("/sys", [])
    if has("ProtectControlGroups"):
        read_only("/sys/fs/cgroup", [])
    if has("PrivateDevices"):
        mount("dev", "/dev", "tmpfs", MS_NOSUID, "mode=755")
        for name, minor in {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}.items():
            os.mknod(f"/dev/{name}", 0o20666, os.makedev(1, minor))
        mount(None, "/dev", None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    if has("PrivateTmp"):
        for folder in ("/tmp", "/var/tmp"):
            mount("tmp", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    hidden = paths("InaccessiblePaths")
    if has("ProtectHome"):
        hidden += ["/home", "/root", "/run/user"]
    if has("ProtectKernelModules"):
        hidden += ["/usr/lib/modules", "/lib/modules"]
    for folder in hidden:
        if os.path.isdir(folder) and not os.path.islink(folder):
            inaccessible(folder)


def groups():
    """Group of calls -> its words, as this systemd has them (systemd-analyze(1), syscall-filter)."""
    said = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True).stdout
    found, inside = {}, None
    for line in said.splitlines():
        if line.startswith("@"):
            inside = found.setdefault(line.strip(), [])
        elif line.startswith("    ") and line.strip()[0] != "#" and inside is not None:
            inside.append(line.strip())
    return found


def calls(words, known):
    inside = [calls(known[word], known) for word in words if word.startswith("@")]
    return set().union(*inside, (word for word in words if not word.startswith("@")))


def allowed(unit):
    """The first line says what there is, one with `~` takes out, a later one puts back."""
    result, known = set(), groups()
    for line in unit["SystemCallFilter"]:
        these = calls(line.lstrip("~").split(), known)
        result = result - these if line.startswith("~") else result | these
    # systemd allows what it needs itself to start a program.
    return result | {"execve", "prctl"}


def program(unit):
    """A filter for seccomp(2): EPERM for what the unit does not allow."""
    text = open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read()
    number = {name: int(value) for name, value in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    code = []
    step = lambda op, k, yes=0, no=0: code.append(struct.pack("HBBI", op, yes, no, k))
    load, equal, both, answer = 0x20, 0x15, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    call, first, second = 0, 16, 24
    # Its flags are in memory: clone(2) is used instead.
    step(load, call)
    step(equal, number["clone3"], 0, 1)
    step(answer, unknown)
    spaces = 0x7E020000 & ~(CLONE_NEWNET if unit["RestrictNamespaces"] == ["net"] else 0)
    for name in ("unshare", "clone"):
        step(load, call)
        step(equal, number[name], 0, 3)
        step(load, first)
        step(both, spaces, 0, 1)
        step(answer, refuse)
    step(load, call)
    step(equal, number["setns"], 0, 4)
    step(load, second)
    step(equal, 0, 1, 0)  # of any kind
    step(both, spaces, 0, 1)
    step(answer, refuse)
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
    wanted = [families[name] for name in unit["RestrictAddressFamilies"]]
    step(load, call)
    step(equal, number["socket"], 0, len(wanted) + 2)
    step(load, first)
    for at, family in enumerate(wanted):
        step(equal, family, len(wanted) - at, 0)
    step(answer, refuse)
    step(load, call)
    for each in sorted({number[name] for name in allowed(unit) if name in number}):
        step(equal, each, 0, 1)
        step(answer, allow)
    step(answer, refuse)
    return b"".join(code)


def capabilities(unit):
    """The bounding set, from which root's own follow at execve(2)."""
    names = re.findall(r"#define (CAP_\w+)\s+(\d+)\n", open("/usr/include/linux/capability.h").read())
    kept = {int(value) for name, value in names if name in unit["CapabilityBoundingSet"]}
    assert len(kept) == len(unit["CapabilityBoundingSet"]), "a capability that is not known"
    for value in range(64):
        if value not in kept:
            libc.prctl(24, value, 0, 0, 0)


CARRIED_OUT = """ExecStart UMask RuntimeDirectory StateDirectory ProtectSystem ReadWritePaths ReadOnlyPaths InaccessiblePaths
ProtectHome PrivateTmp PrivateDevices ProtectKernelTunables ProtectKernelModules ProtectControlGroups CapabilityBoundingSet
RestrictAddressFamilies RestrictNamespaces SystemCallFilter NoNewPrivileges""".split()


def main(path, *command):
    unit = service(path)
    strange = set(unit) - set(CARRIED_OUT) - set(ELSEWHERE)
    assert not strange, f"{strange} of {path} is not carried out here"
    code = program(unit)
    view(unit)
    os.umask(int(unit["UMask"][0], 8))
    capabilities(unit)
    done("no_new_privs", libc.prctl(38, 1, 0, 0, 0))
    text = ctypes.create_string_buffer(code)
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text))
    done("seccomp", libc.prctl(22, 2, head, 0, 0))
    os.execv(command[0], command)


main(*sys.argv[1:])
