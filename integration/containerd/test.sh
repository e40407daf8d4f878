#!/bin/sh
# Drives a real containerd with `ctr run --cni`, in network and mount namespaces of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
here=$(cd "$(dirname "$0")" && pwd)
pontoon=${1:-${PONTOON:-$here/../../target/debug/pontoon}}

for program in containerd ctr runc busybox ip unshare; do
    if ! PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null; then
        echo "skipped: the program $program is missing"
        [ "${PONTOON_TEST_REQUIRE:-}" != 1 ]
        exit
    fi
done
if [ -z "${PONTOON_INSIDE:-}" ]; then
    PONTOON_INSIDE=1 exec unshare -nm --propagation private "$0" "$pontoon"
fi

passed=0 failed=0
check() { # WHAT COMMAND...
    what=$1 && shift
    if "$@" >/run/out 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)) && echo "FAILED: $what" && sed 's/^/    /' /run/out
    fi
}
soon() { # COMMAND...: true within 5 s
    for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return 0 || sleep 0.05; done
    "$@"
}

mount -t tmpfs run /run && mount -t tmpfs opt /opt && mkdir /run/cgroup && mount --rbind /sys/fs/cgroup /run/cgroup
# /sys shows the interfaces of the namespace in which it was mounted; runc looks for cgroups below it.
mount -t sysfs sysfs /sys 2>/dev/null && mount --rbind /run/cgroup /sys/fs/cgroup
[ -d /etc/cni ] || { echo "skipped: there is no folder /etc/cni to hide"; exit; }
mount -t tmpfs cni /etc/cni
mkdir -p /run/netns /run/rootfs/bin /run/rootfs/proc /run/rootfs/sys /run/rootfs/dev /run/rootfs/etc
cp "$(command -v busybox)" /run/rootfs/bin/busybox
for applet in sh ip cat sleep ping nslookup; do ln -s busybox /run/rootfs/bin/$applet; done
ip link set lo up
: >/run/resolv.conf
echo 'resolv_conf = "/run/resolv.conf"' >/run/pontoon.toml
"$pontoon" daemon --config /run/pontoon.toml --root /run/lib >/run/pontoon.log 2>&1 &
daemon=$!
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
count() { "$pontoon" sandbox ls -q | wc -l; }
none_left() { [ "$(count)" = 0 ]; }

check "the daemons start" soon ctr version
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
check "just what was written is gone" sh -c '[ -z "$(find /opt/cni /etc/cni -type f)" ]'

ctr task rm -f server >/dev/null 2>&1
kill $containerd $daemon
wait $containerd $daemon 2>/dev/null
if [ $failed != 0 ]; then tail -n 20 /run/pontoon.log /run/containerd.log; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
