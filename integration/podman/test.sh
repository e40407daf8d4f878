#!/bin/sh
# Drives a real podman 4 with network_backend=cni, in network and mount namespaces of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
here=$(cd "$(dirname "$0")" && pwd)
pontoon=$(realpath "${1:-${PONTOON:-$here/../../target/debug/pontoon}}")

for program in podman conmon runc busybox ip unshare python3; do
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
    for _ in $(seq 30); do "$@" >/dev/null 2>&1 && return 0 || sleep 0.05; done
    "$@"
}

mount -t tmpfs run /run && mkdir /run/cgroup && mount --rbind /sys/fs/cgroup /run/cgroup
# /sys shows the interfaces of the namespace in which it was mounted; runc looks for cgroups below it.
mount -t sysfs sysfs /sys 2>/dev/null && mount --rbind /run/cgroup /sys/fs/cgroup
mount -t tmpfs cni /var/lib/cni 2>/dev/null
ip link set lo up
: >/run/resolv.conf
echo 'resolv_conf = "/run/resolv.conf"' >/run/pontoon.toml
"$pontoon" daemon --config /run/pontoon.toml --root /run/lib >/run/pontoon.log 2>&1 &
daemon=$!
root=/run/rootfs
mkdir -p $root/bin $root/proc $root/sys $root/dev $root/etc $root/run $root/tmp
cp "$(command -v busybox)" $root/bin/busybox
for applet in sh ip cat sleep nslookup httpd; do ln -s busybox $root/bin/$applet; done
echo hello >$root/index.html
cat >/run/containers.conf <<TOML
[containers]
cgroups = "enabled"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/run/cni/bin"]
network_config_dir = "/run/cni/net.d"
default_network = "ours"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
TOML
export CONTAINERS_CONF=/run/containers.conf
podman() { timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp --storage-driver vfs "$@"; }
run() { podman run --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --security-opt seccomp=unconfined "$@"; }
none_left() { [ "$("$pontoon" sandbox ls -q | wc -l)" = 0 ]; }
greeted() {
    python3 -c "from urllib.request import urlopen; assert urlopen('$1/index.html', timeout=2).read() == b'hello\\n'"
}

check "the daemon starts" soon "$pontoon" system info
check "install" "$pontoon" cni install --bin-dir /run/cni/bin --conf-dir /run/cni/net.d --name ours --subnet 10.40.0.0/24
run --rm --rootfs $root /bin/ip -4 addr show eth0 >/run/one.log 2>&1
check "a container has an address of the network" grep -q 'inet 10.40.0.' /run/one.log
check "nothing is left of it" soon none_left
run -d --name web --network ours:ip=10.40.0.77,mac=02:00:00:00:00:77,alias=www -p 18080:80 --rootfs $root \
    /bin/httpd -f -p 80 -h / >/run/web.log 2>&1
check "a detached one has its own name and its static address" sh -c "'$pontoon' sandbox ls | grep '^web .*10.40.0.77'"
check "its port is published" soon greeted http://127.0.0.1:18080
check "podman knows its address" sh -c "[ \"\$(timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp \
    --storage-driver vfs inspect -f '{{.NetworkSettings.Networks.ours.IPAddress}}' web)\" = 10.40.0.77 ]"
run --rm --rootfs $root /bin/sh -c 'cat /etc/resolv.conf; nslookup www 127.0.0.11' >/run/two.log 2>&1
check "its neighbour finds it by an alias" grep -q 'Address.*10.40.0.77' /run/two.log
check "and is told of the resolver" grep -q '^nameserver 127.0.0.11' /run/two.log
check "rm -f" podman rm -f -t 0 web
check "nothing is left of it" soon none_left

kill $daemon
wait $daemon 2>/dev/null
if [ $failed != 0 ]; then tail -n 20 /run/pontoon.log /run/one.log /run/web.log; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
