#!/bin/sh
# Drives a real containerd with `ctr run --cni`, and as Kubernetes does, through CRI; on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need containerd ctr runc busybox ip unshare curl python3
enter "$@"

make_rootfs /run/rootfs
cat >/run/containerd.toml <<TOML
version = 2
root = "/run/c/root"
state = "/run/c/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs"]
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "pontoon.test/pause:1"
restrict_oom_score_adj = true
disable_tcp_service = true
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
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

# Hooks in a specification, without CNI.
mkdir /run/bundle && cd /run/bundle && runc spec && python3 - "$pontoon" <<'PY'
import json, sys
spec = json.load(open("config.json"))
spec["process"].update(terminal=False, args=["/bin/httpd", "-f", "-p", "80", "-h", "/"])
spec["root"] = {"path": "/run/rootfs"}
spec["linux"].pop("resources", None)
spec["linux"]["cgroupsPath"] = "/default/hooked"
spec["mounts"] = [m for m in spec["mounts"] if m["type"] in ("proc", "tmpfs", "devpts")]
spec["annotations"] = {"io.pontoon.network": "web", "io.pontoon.ports": "18090:80"}
hook = lambda verb: [{"path": sys.argv[1], "args": ["pontoon", "oci-hook", verb], "env": ["PATH=/bin"], "timeout": 10}]
spec["hooks"] = {"createRuntime": hook("add"), "poststop": hook("del")}
json.dump(spec, open("config.json", "w"))
PY
cd - >/dev/null
check "a specification with hooks" timeout 30 ctr run -d --config /run/bundle/config.json hooked
check "it is in the network" sh -c "'$pontoon' sandbox ls | grep '^hooked .*10.20'"
check "its port is published" soon greeted 127.0.0.1:18090
ctr task kill -s KILL hooked >/dev/null 2>&1
check "it ends, and nothing is left" soon none_left
ctr task rm -f hooked >/dev/null 2>&1

# Kubernetes: what the kubelet says to containerd, in its own words.
cri() { "$(dirname "$0")/cri.py" $CONTAINERD_ADDRESS "$@"; }
check "a pause image that answers on port 80" cri image /run/pause.tar pontoon.test/pause:1 /run/rootfs \
    /bin/httpd -f -p 80 -h /
check "it is imported" ctr -n k8s.io image import /run/pause.tar
check "CRI says that the network is ready" soon cri ready
check "RunPodSandbox" sh -c "'$(dirname "$0")/cri.py' $CONTAINERD_ADDRESS run front 18080:80 >/run/front"
check "and another pod" sh -c "'$(dirname "$0")/cri.py' $CONTAINERD_ADDRESS run back >/run/back"
front=$(cat /run/front) back=$(cat /run/back)
check "it is known by its pod's name" "$pontoon" sandbox inspect front.shop
address=$(cri ip "$front")
check "CRI knows its address" sh -c "'$pontoon' sandbox inspect front.shop | grep -q '\"$address/16\"'"
check "it answers there" soon greeted "$address:80"
check "and on its hostPort" soon greeted 127.0.0.1:18080
check "the port is nobody else's" sh -c "! '$pontoon' sandbox create --name thief -p 18080:80"
netns=$("$pontoon" sandbox inspect back.shop | sed -n 's/.*"path": *"\(.*netns.*\)".*/\1/p' | head -n 1)
in_back() { nsenter --net="$netns" "$@"; }
check "its neighbour reaches it" in_back curl -sf -m 2 "http://$address/index.html"
check "its loopback is up" in_back ping -c 1 -W 2 127.0.0.1
check "StopPodSandbox" cri stop "$front"
check "its port is free again" sh -c '! curl -s -m 2 http://127.0.0.1:18080/'
check "its address as well" sh -c "! '$pontoon' sandbox inspect front.shop"
check "StopPodSandbox once more" cri stop "$front"
check "RemovePodSandbox" cri remove "$front"
check "RemovePodSandbox of one that was not stopped" cri remove "$back"
check "nothing is left of them" soon none_left
# The daemon is away: a pod is refused with a reason, and one that is there can be stopped once it is back.
check "a third pod" sh -c "'$(dirname "$0")/cri.py' $CONTAINERD_ADDRESS run third >/run/third"
stop_daemon KILL
check "without the daemon no pod starts, and it is said why" sh -c \
    "! '$(dirname "$0")/cri.py' $CONTAINERD_ADDRESS run fourth >/run/fourth 2>&1 && grep -q 'cannot reach the daemon' /run/fourth"
start_daemon
check "StopPodSandbox after the daemon was away" cri stop "$(cat /run/third)"
check "RemovePodSandbox" cri remove "$(cat /run/third)"
check "nothing is left of it" soon none_left
check "uninstall" "$pontoon" cni uninstall --name web
plugins >/run/after
check "just what was written is gone" diff /run/before /run/after

ctr task rm -f server >/dev/null 2>&1
kill $containerd
wait $containerd 2>/dev/null
finish /run/containerd.log /run/server.log
