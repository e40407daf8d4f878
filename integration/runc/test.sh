#!/bin/sh
# Drives a real runc whose bundles call `pontoon oci-hook`, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need runc busybox ip unshare python3 curl
enter "$@"

bundle() { # NAME ANNOTATIONS COMMAND...: a folder /run/b/NAME
    name=$1 annotations=$2 && shift 2
    make_rootfs "/run/b/$name/rootfs"
    (cd /run/b/$name && runc spec && python3 - "$pontoon" "$annotations" "$@" <<'PY'
import json, sys
pontoon, annotations, args = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
spec = json.load(open("config.json"))
spec["process"].update(terminal=False, args=args)
spec["process"]["capabilities"] = {k: v + ["CAP_NET_RAW"] for k, v in spec["process"]["capabilities"].items()}
spec["root"]["readonly"] = False
spec["linux"].pop("resources", None)
spec["mounts"] = [m for m in spec["mounts"] if m["type"] in ("proc", "tmpfs", "devpts")]
spec["annotations"] = annotations
hook = lambda verb: [{"path": pontoon, "args": ["pontoon", "oci-hook", verb], "env": ["PATH=/bin"], "timeout": 10}]
spec["hooks"] = {"createRuntime": hook("add"), "poststop": hook("del")}
json.dump(spec, open("config.json", "w"))
PY
    )
}
run() { timeout 30 runc --root /run/r run --bundle "/run/b/$1" "$1"; }
detached() { timeout 30 runc --root /run/r run -d --bundle "/run/b/$1" "$1" </dev/null >"/run/$1.log" 2>&1; }

check "a network" "$pontoon" network create --subnet 10.30.0.0/24 front-end

bundle plain '{}' /bin/ip -4 addr show eth0
run plain >/run/plain.log 2>&1
check "without annotations it joins bridge" grep -q 'inet 172.17.' /run/plain.log
check "nothing is left of it" none_left

bundle w1 '{"io.pontoon.network": "front-end, bridge", "io.pontoon.name": "web", "io.pontoon.ports": "8080:80,8443:80",
    "io.pontoon.aliases": "www,home", "io.pontoon.volumes": "data:/data"}' /bin/httpd -f -p 80 -h /
check "with annotations it starts" detached w1
check "it has both networks, under its name" sh -c "'$pontoon' sandbox ls | grep '^web .*front-end'"
check "its volume is made and used" sh -c "'$pontoon' volume inspect data | grep -q '\"web\"'"
for port in 8080 8443; do
    check "port $port leads to it" soon greeted 127.0.0.1:$port
done
bundle other '{"io.pontoon.network": "front-end"}' /bin/nslookup www 127.0.0.11
run other >/run/other.log 2>&1
check "its neighbour finds it by an alias" grep -q "Address.*10.30.0" /run/other.log

pid=$(runc --root /run/r list -f json | sed -n 's/.*"id":"w1","pid":\([0-9]*\).*/\1/p')
state="{\"id\":\"w1\",\"pid\":$pid,\"bundle\":\"/run/b/w1\",\"annotations\":{\"io.pontoon.network\":\"front-end\"}}"
check "add once more changes nothing" sh -c "echo '$state' | '$pontoon' oci-hook add"
check "runc deletes it" sh -c 'runc --root /run/r kill w1 KILL && sleep 0.2 && runc --root /run/r delete -f w1'
check "nothing is left of it" soon none_left
check "del of what is gone is fine" sh -c "echo '{\"id\":\"w1\"}' | '$pontoon' oci-hook del"
bundle bad '{"io.pontoon.network": "nowhere"}' /bin/sleep 1
check "an unknown network stops the container, with a reason" sh -c "! runc --root /run/r run --bundle /run/b/bad bad 2>&1"
check "and leaves nothing" none_left

finish /run/w1.log /run/other.log
