#!/usr/bin/env python3
"""Speaks just enough of Kubernetes' CRI (gRPC over HTTP/2, protobuf) to run, see, stop and remove a pod, through curl.

usage: cri.py SOCKET ready | run NAME [HOST_PORT:PORT] | ip ID | stop ID | remove ID | image TAR TAG ROOTFS COMMAND...
Field numbers are those of k8s.io/cri-api, runtime/v1.
"""
import io, json, struct, subprocess, sys, tarfile


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def message(*fields):
    """(number, value): an int, a text, or the bytes of a message within."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def fields(data):
    """The same backwards; fixed-size fields do not occur here."""
    def number():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
    found = []
    while data:
        key = number()
        value = number()
        if key & 7 == 2:
            value, data = data[:value], data[value:]
        found.append((key >> 3, value))
    return found


def at(data, *path):
    """The values at a path of field numbers."""
    if not path:
        return [data]
    return [found for number, value in fields(data) if number == path[0] for found in at(value, *path[1:])]


def call(socket, method, request):
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", "--unix-socket", socket, "-D", "/dev/stderr",
         "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-",
         f"http://localhost/runtime.v1.RuntimeService/{method}"],
        input=struct.pack(">BI", 0, len(request)) + request, capture_output=True)
    head = done.stderr.decode(errors="replace")
    if done.returncode != 0 or "grpc-status: 0" not in head:
        sys.exit(f"{method}: {head}")
    return done.stdout[5:]


def pod(name, ports):
    metadata = message((1, name), (2, f"uid-{name}"), (3, "shop"), (4, 0))
    config = [(1, metadata), (2, name), (4, message((1, "10.96.0.10"), (2, "shop.svc")))]
    for text in ports:
        host, port = text.split(":")
        config.append((5, message((1, 0), (2, int(port)), (3, int(host)))))
    return message(*config, (8, message()))


def image(tar, tag, rootfs, command):
    """A docker-archive of one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(rootfs, arcname="")
    import hashlib
    digest = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": command, "Cmd": [], "Env": ["PATH=/bin"]},
              "rootfs": {"type": "layers", "diff_ids": [digest]}, "history": [{"created": "2026-01-01T00:00:00Z"}]}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    parts = [("layer.tar", layer.getvalue())]
    parts += [(n, json.dumps(v).encode()) for n, v in (("config.json", config), ("manifest.json", manifest))]
    with tarfile.open(tar, "w") as archive:
        for name, data in parts:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def main(socket, verb, *args):
    if verb == "image":
        image(args[0], args[1], args[2], list(args[3:]))
    elif verb == "ready":
        conditions = at(call(socket, "Status", b""), 1, 1)
        state = {at(c, 1)[0].decode(): bool(at(c, 2)) for c in conditions}
        sys.exit(None if state.get("NetworkReady") else f"the network is not ready: {conditions}")
    elif verb == "run":
        answer = call(socket, "RunPodSandbox", message((1, pod(args[0], args[1:]))))
        print(at(answer, 1)[0].decode())
    elif verb == "ip":
        print(at(call(socket, "PodSandboxStatus", message((1, args[0]))), 1, 5, 1)[0].decode())
    elif verb in ("stop", "remove"):
        call(socket, f"{verb.title()}PodSandbox", message((1, args[0])))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
