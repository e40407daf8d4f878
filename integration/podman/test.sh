#!/bin/sh
# Drives a real podman 4 with network_backend=cni, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need podman conmon runc crun busybox ip unshare curl
enter "$@"

root=/run/rootfs
make_rootfs $root
mkdir /run/hooks
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

check "install" "$pontoon" cni install --bin-dir /run/cni/bin --conf-dir /run/cni/net.d --name ours --subnet 10.40.0.0/24
run --rm --rootfs $root /bin/ip -4 addr show eth0 >/run/one.log 2>&1
check "a container has an address of the network" grep -q 'inet 10.40.0.' /run/one.log
check "nothing is left of it" soon none_left
run -d --name web --network ours:ip=10.40.0.77,mac=02:00:00:00:00:77,alias=www -p 18080:80 --rootfs $root \
    /bin/httpd -f -p 80 -h / >/run/web.log 2>&1
check "a detached one has its own name and its static address" sh -c "'$pontoon' sandbox ls | grep '^web .*10.40.0.77'"
check "its port is published" soon greeted 127.0.0.1:18080
check "podman knows its address" sh -c "[ \"\$(timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp \
    --storage-driver vfs inspect -f '{{.NetworkSettings.Networks.ours.IPAddress}}' web)\" = 10.40.0.77 ]"
run --rm --rootfs $root /bin/sh -c 'cat /etc/resolv.conf; nslookup www 127.0.0.11' >/run/two.log 2>&1
check "its neighbour finds it by an alias" grep -q 'Address.*10.40.0.77' /run/two.log
check "and is told of the resolver" grep -q '^nameserver 127.0.0.11' /run/two.log
check "rm -f" podman rm -f -t 0 web
check "nothing is left of it" soon none_left

# The way that Podman 5 has too: hooks, for containers that have no network of Podman's.
for file in "$(dirname "$0")"/hooks.d/*.json; do
    sed "s|/usr/bin/pontoon|$pontoon|" "$file" >"/run/hooks/${file##*/}"
done
hooked() {
    podman --runtime $runtime --hooks-dir /run/hooks run --network none --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 \
        --security-opt seccomp=unconfined "$@"
}
for runtime in runc crun; do
    hooked -d --name api --annotation io.pontoon.network=ours --annotation io.pontoon.ports=18081:80 \
        --annotation io.pontoon.name=api --annotation io.pontoon.aliases=rest --rootfs $root /bin/httpd -f -p 80 -h / >/run/api.log 2>&1
    check "hooks, $runtime: it is in the network, under its name" sh -c "'$pontoon' sandbox ls | grep '^api .*10.40.0'"
    check "hooks, $runtime: its port is published" soon greeted 127.0.0.1:18081
    hooked --rm --annotation io.pontoon.network=ours --rootfs $root /bin/nslookup rest 127.0.0.11 >/run/rest.log 2>&1
    check "hooks, $runtime: its neighbour finds it by an alias" grep -q 'Address.*10.40.0' /run/rest.log
    hooked --rm --rootfs $root /bin/ip addr >/run/none.log 2>&1
    check "hooks, $runtime: who has no annotation has no network" sh -c 'grep -q "lo:" /run/none.log && ! grep -q eth0 /run/none.log'
    hooked --name wrong --annotation io.pontoon.network=nowhere --rootfs $root /bin/true >/run/wrong.log 2>&1
    check "hooks, $runtime: an unknown network stops the container" [ $? != 0 ]
    # crun keeps what a hook says to itself.
    [ $runtime = crun ] || check "hooks, $runtime: with a reason" grep -q 'network nowhere not found' /run/wrong.log
    check "hooks, $runtime: restart" podman --hooks-dir /run/hooks restart -t 0 api
    check "hooks, $runtime: its port is published again" soon greeted 127.0.0.1:18081
    check "hooks, $runtime: rm -f" podman rm -f -t 0 api wrong
    check "hooks, $runtime: nothing is left" soon none_left
done

finish /run/one.log /run/two.log /run/web.log /run/api.log /run/rest.log
