#!/bin/sh
# Drives a real podman 4 with network_backend=netavark, ours, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need podman conmon runc busybox ip unshare curl
enter "$@"

root=/run/rootfs
make_rootfs $root
mkdir /run/podman-bin
ln -s "$pontoon" /run/podman-bin/netavark
ln -s "$pontoon" /run/podman-bin/aardvark-dns
cat >/run/containers.conf <<TOML
[containers]
cgroups = "enabled"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = "/run/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
helper_binaries_dir = ["/run/podman-bin", "/usr/lib/podman"]
[engine.volume_plugins]
pontoon = "/run/pontoon/pontoon.sock"
TOML
export CONTAINERS_CONF=/run/containers.conf
podman() { timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp --storage-driver vfs "$@"; }
run() { podman run --security-opt seccomp=unconfined "$@"; }
in_it() { name=$1 && shift && podman exec "$name" /bin/sh -c "$*"; }
says() { wanted=$1 && shift && "$@" | grep -q -- "$wanted"; }
nothing() { none_left && ! ip link | grep -q podman; }

check "network create" podman network create web
check "an internal one" podman network create --internal quiet
check "one with both families and options" podman network create --ipv6 --subnet 10.77.0.0/24 --subnet fd77::/64 \
    -o mtu=1400 -o isolate=true dual
check "run --rm, on Podman's own network" says 'inet 10.88.0.' run --rm --rootfs $root /bin/ip addr show eth0
check "nothing is left of it" soon nothing

run -d --name one --network web:alias=www,ip=10.89.0.77,mac=02:00:00:00:00:77 -p 18080:80 -p 18090-18092:90-92/udp \
    --rootfs $root /bin/httpd -f -p 80 -h / >/run/one.log 2>&1
run -d --name two --network dual,quiet,web --rootfs $root /bin/sleep 600 >/run/two.log 2>&1
run -d --name three --network quiet,web --rootfs $root /bin/sleep 600 >/run/three.log 2>&1
run -d --name out --rootfs $root /bin/sleep 600 >/run/out.log 2>&1
check "a static address and MAC" says '02:00:00:00:00:77' in_it one ip link show eth0
check "they are known to us by name" says '^one .*10.89.0.77' "$pontoon" sandbox ls
check "a published port" soon greeted 127.0.0.1:18080
check "Podman holds it" sh -c "ss -Hltn 'sport = :18080' | grep -q LISTEN"
for name in one www one.dns.podman; do
    check "name $name" says '10.89.0.77' in_it two nslookup $name 127.0.0.11
done
check "a name as programs look it up" says hello in_it two busybox wget -qO - http://www/index.html
check "MTU and IPv6 of a network" says 'mtu 1400' in_it two ip link
check "the IPv6 address" says 'fd77::2/64' in_it two ip addr
check "other networks are not reached" sh -c "! timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp \
    --storage-driver vfs exec out /bin/busybox wget -q -T 1 -O - http://10.89.0.77/index.html"

check "network connect" podman network connect quiet one
check "the new neighbour is found" says '10.89.1.' in_it one nslookup two.quiet 127.0.0.11
check "network disconnect" podman network disconnect quiet one
check "names are answered still, as /etc/resolv.conf has it" says '10.89.0.2' in_it one nslookup two
# Podman takes the server of a network that is left out of resolv.conf. Which network has eth0 is chance.
check "one of two networks is left, and later the other: whichever has eth0" podman network disconnect quiet three
check "its names are not found any more" sh -c "! timeout 60 podman --root /run/p/root --runroot /run/p/run --tmpdir /run/p/tmp \
    --storage-driver vfs exec three /bin/nslookup two.quiet"
check "those of the network that stays are, as /etc/resolv.conf has it" says '10.89.0.77' in_it three nslookup one
check "by programs, and by alias" says hello in_it three busybox wget -qO - http://www/index.html
check "it joins that network again, with an alias" podman network connect --alias again quiet three
check "its neighbours find the alias" says '10.89.1.' in_it two nslookup again
check "it finds both networks' names" says '10.89.1.' in_it three nslookup two.quiet
check "the other one is left" podman network disconnect web three
check "names of the one that stays" says '10.89.1.' in_it three nslookup two
check "network reload of all" podman network reload -a
check "names after it" says '10.89.1.' in_it three nslookup two
check "the alias after it" says '10.89.1.' in_it two nslookup again
check "network reload" podman network reload one
check "the port is back" soon greeted 127.0.0.1:18080
check "restart" podman restart -t 0 one
check "the port is back again" soon greeted 127.0.0.1:18080
stop_daemon KILL
start_daemon
check "a restart of the daemon changes nothing" soon greeted 127.0.0.1:18080

tar -C $root -c . | podman import - local/box >/run/import.log 2>&1
check "a pod" podman pod create --name pod --network web -p 18081:80 --infra-image local/box --infra-command "/bin/sleep 600"
podman run -d --pod pod --name inner --security-opt seccomp=unconfined --rootfs $root /bin/httpd -f -p 80 -h / >/run/pod.log 2>&1
check "its port" soon greeted 127.0.0.1:18081
check "its name" says '10.89.0.' in_it two nslookup pod 127.0.0.11
check "pod rm" podman pod rm -f -t 0 pod

check "volume create" podman volume create --driver pontoon data
check "run -v" run --rm -v data:/data --rootfs $root /bin/sh -c 'echo kept >/data/file'
check "what was written is there" says kept run --rm -v data:/data --rootfs $root /bin/cat /data/file
check "it is a volume of ours" says '^data' sh -c "'$pontoon' volume ls -q"
check "volume rm" podman volume rm data

check "rm -f" podman rm -f -t 0 -a
check "nothing is left" soon nothing
stop_daemon

check "without a daemon podman says why" says 'is it running' sh -c "timeout 60 podman --root /run/p/root --runroot /run/p/run \
    --tmpdir /run/p/tmp --storage-driver vfs run --rm --rootfs $root /bin/true 2>&1"
start_daemon
check "and goes on when it is back" run --rm --rootfs $root /bin/sh -c true

finish /run/one.log /run/two.log /run/pod.log /run/import.log
