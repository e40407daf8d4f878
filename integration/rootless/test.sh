#!/bin/sh
# Drives a real rootless podman 4 whose netavark is ours, as a user without rights, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need podman conmon crun busybox ip unshare curl newuidmap slirp4netns useradd su
enter "$@"

# Not below /run: Podman covers that for its network program.
home=/var/lib/somebody
useradd -M -d $home -s /bin/sh somebody 2>/run/out
mkdir -p $home/bin $home/xdg
make_rootfs $home/rootfs
cp "$pontoon" $home/pontoon && chmod 755 $home/pontoon
for name in netavark aardvark-dns; do ln -s $home/pontoon $home/bin/$name; done
cat >$home/containers.conf <<TOML
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
helper_binaries_dir = ["$home/bin", "/usr/lib/podman"]
TOML
chown -R somebody $home && chmod 700 $home/xdg
# Everybody may open it on an ordinary host; slirp4netns, Podman's way out, needs it.
mount -t tmpfs tun /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun

as_somebody() { # COMMAND: as the user would type it
    su somebody -s /bin/sh -c "cd $home; export HOME=$home XDG_RUNTIME_DIR=$home/xdg CONTAINERS_CONF=$home/containers.conf
        podman() { timeout 60 podman --root $home/p/root --runroot $home/xdg/p --tmpdir $home/xdg/t --storage-driver vfs \"\$@\"; }
        run() { podman run --security-opt seccomp=unconfined \"\$@\"; }
        $1"
}
says() { wanted=$1 && shift && as_somebody "$1" 2>&1 | grep -q -- "$wanted"; }
instances() { pgrep -u somebody -f "$home/.*(netavark|pontoon)" | wc -l; }
over() { [ "$(instances)" = 0 ]; }

# Nobody of root's has a part in it.
stop_daemon
check "network create" as_somebody "podman network create web"
check "another one" as_somebody "podman network create --internal quiet"
as_somebody "run -d --name one --network web:alias=www -p 18080:80 --rootfs $home/rootfs /bin/httpd -f -p 80 -h /" >/run/one.log 2>&1
check "a published port" soon greeted 127.0.0.1:18080
check "an instance of the user's own serves it" [ "$(instances)" -ge 1 ]
check "a neighbour has an address" says 'inet 10.89.0.' "run --rm --network web --rootfs $home/rootfs /bin/ip addr show eth0"
check "and finds it by an alias" says '10.89.0.' "run --rm --network web --rootfs $home/rootfs /bin/nslookup www"
check "and by Podman's domain" says '10.89.0.' "run --rm --network web --rootfs $home/rootfs /bin/nslookup one.dns.podman"
check "what does not exist there is said so" says "NXDOMAIN" "run --rm --network web --rootfs $home/rootfs /bin/nslookup nobody.dns.podman 127.0.0.11"
check "network connect" as_somebody "podman network connect quiet one"
check "the new neighbour is found" says '10.89.1.' "run --rm --network quiet --rootfs $home/rootfs /bin/nslookup one"
check "network disconnect" as_somebody "podman network disconnect quiet one"
check "restart" as_somebody "podman restart -t 0 one"
check "the port is back" soon greeted 127.0.0.1:18080
check "rm -f" as_somebody "podman rm -f -t 0 -a"
check "the port is closed" sh -c '! curl -s -m 2 http://127.0.0.1:18080/'
check "the networks go" as_somebody "podman network rm web quiet"
check "the instance ends with its last container" soon over
start_daemon
check "root's daemon knows nothing of it" none_left

finish /run/one.log
