"""docker-py's network and volume calls against Pontoon, create to prune: test.py unix:///run/pontoon/pontoon.sock

Needs a sandbox called `web` on the network `bridge`.
"""
import sys

import docker
from docker import errors, types

client = docker.DockerClient(base_url=sys.argv[1], version="auto")


def refused(kind, call, *args, **named):
    try:
        call(*args, **named)
    except kind:
        return
    raise SystemExit(f"{call} {args} was not refused with {kind}")


def networks():
    pool = types.IPAMPool(subnet="10.61.0.0/16", iprange="10.61.8.0/24", gateway="10.61.0.1")
    net = client.networks.create("net", ipam=types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"}, attachable=True)
    assert net.attrs["IPAM"]["Config"][0]["IPRange"] == "10.61.8.0/24", net.attrs
    assert [n.name for n in client.networks.list(names=["net"], filters={"label": "a=b"})] == ["net"]
    refused(errors.APIError, client.networks.create, "net")
    net.connect("web", aliases=["www"], ipv4_address="10.61.8.9")
    net.reload()
    assert [c.name for c in net.containers] == ["web"]
    web = client.containers.get("web")
    assert web.attrs["NetworkSettings"]["Networks"]["net"]["IPAddress"] == "10.61.8.9"
    refused(errors.APIError, net.remove)
    net.disconnect("web")
    net.remove()
    refused(errors.NotFound, client.networks.get, "net")
    client.networks.create("other", driver="bridge", internal=True)
    assert client.networks.prune()["NetworksDeleted"] == ["other"]


def volumes():
    data = client.volumes.create("data", driver="local", labels={"a": "b"})
    assert data.attrs["Mountpoint"].endswith("/volumes/data/_data")
    assert client.volumes.create("data").id == "data"
    assert [v.name for v in client.volumes.list(filters={"dangling": True, "label": "a=b"})] == ["data"]
    data.remove()
    refused(errors.NotFound, client.volumes.get, "data")
    name = client.volumes.create().name
    assert client.volumes.prune()["VolumesDeleted"] == [name]


assert client.ping()
assert client.version()["ApiVersion"] == "1.51"
assert [c.name for c in client.containers.list()] == ["web"]
assert client.info()["Swarm"]["LocalNodeState"] == "inactive"
networks()
volumes()
assert client.df()["Volumes"] == []
print("all well")
