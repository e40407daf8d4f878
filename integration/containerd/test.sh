#!/bin/sh
# Drives a real containerd with `ctr run --cni`, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need containerd ctr runc busybox ip unshare curl
enter "$@"

make_rootfs /run/rootfs
cat >/run/containerd.toml <<TOML
version = 2
root = "/run/c/root"
state = "/run/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "/run/c/containerd.sock"
TOML
containerd --config /run/containerd.toml >/run/containerd.log 2>&1 &
containerd=$!
export CONTAINERD_ADDRESS=/run/c/containerd.sock
run() { timeout 30 ctr run --cni --cgroup "" --rootfs "$@"; }

check "containerd starts" soon ctr version
plugins() { find /opt /etc/cni -type f | sort; }
plugins >/run/before
check "install" "$pontoon" cni install --name web --subnet 10.20.0.0/16
check "a container has an address of the network" sh -c "$(cat <<IN
timeout 30 ctr run --rm --cni --cgroup '' --rootfs /run/rootfs one /bin/ip -4 addr show eth0 | grep -q 'inet 10.20.'
IN
)"
check "nothing is left of it" soon none_left
run -d /run/rootfs server /bin/sleep 300 >/run/server.log 2>&1
check "a detached one runs" soon sh -c "'$pontoon' sandbox ls | grep -q default-server"
server=$("$pontoon" sandbox inspect default-server | sed -n 's/.*"\(10\.20\.[0-9.]*\)\/16".*/\1/p' | head -n 1)
check "its neighbour reaches it by its address" timeout 30 ctr run --rm --cni --cgroup "" --rootfs /run/rootfs \
    two /bin/ping -c 1 -W 2 "$server"
check "and finds it by its name" timeout 30 ctr run --rm --cni --cgroup "" --rootfs /run/rootfs \
    three /bin/nslookup default-server 127.0.0.11
ctr task kill -s KILL server >/dev/null 2>&1
check "ctr never says that it has ended, and it is noticed" soon none_left
check "uninstall" "$pontoon" cni uninstall --name web
plugins >/run/after
check "just what was written is gone" diff /run/before /run/after

ctr task rm -f server >/dev/null 2>&1
kill $containerd
wait $containerd 2>/dev/null
finish /run/containerd.log /run/server.log
