#!/bin/sh
# Drives real runc and crun, whose bundles call `pontoon oci-hook` or are run by `pontoon run --bundle`; on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
. "$(dirname "$0")/../host.sh"
need runc crun busybox ip unshare python3 curl pgrep
enter "$@"

bundle() { # NAME ANNOTATIONS COMMAND...: a folder /run/b/NAME
    name=$1 annotations=$2 && shift 2
    make_rootfs "/run/b/$name/rootfs"
    (cd "/run/b/$name" && runc spec && python3 - "$pontoon" "$annotations" "$@" <<'PY'
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
runtime() { timeout 30 $runtime --root "/run/r-$runtime" "$@"; }
run() { runtime run --bundle "/run/b/$1" "$1"; }
detached() { runtime run -d --bundle "/run/b/$1" "$1" </dev/null >"/run/$1.log" 2>&1; }
told() { "$pontoon" sandbox inspect "$1" | tr -d ' \n'; }
add() { echo "$1" | "$pontoon" oci-hook add; }
del() { echo "{\"id\": \"$1\"}" | "$pontoon" oci-hook del; }

# A bundle whose hooks call us: whoever runs it needs nothing of Pontoon but its annotations.
hooks() {
    run plain >/run/plain.log 2>&1
    check "$runtime: without annotations it joins bridge" grep -q 'inet 172.17.' /run/plain.log
    check "$runtime: nothing is left of it" none_left
    check "$runtime: with annotations it starts" detached w1
    check "$runtime: it has both networks, under its name" sh -c "'$pontoon' sandbox ls | grep '^web .*front-end'"
    check "$runtime: its volume is made and used" sh -c "'$pontoon' volume inspect data | grep -q '\"web\"'"
    for port in 8080 8443; do
        check "$runtime: port $port leads to it" soon greeted 127.0.0.1:$port
    done
    run other >/run/other.log 2>&1
    check "$runtime: its neighbour finds it by an alias" grep -q "Address.*10.30.0" /run/other.log
    pid=$(runtime list -f json | sed -n 's/.*"id": *"w1", *"pid": *\([0-9]*\).*/\1/p')
    [ -n "$pid" ] || pid=$(runtime state w1 | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
    state="{\"id\":\"w1\",\"pid\":$pid,\"bundle\":\"/run/b/w1\",\"annotations\":{\"io.pontoon.network\":\"front-end\"}}"
    before=$(told web)
    check "$runtime: add once more is fine" add "$state"
    check "$runtime: and changes nothing" [ "$before" = "$(told web)" ]
    check "$runtime: it is deleted" sh -c "$runtime --root /run/r-$runtime kill w1 KILL; sleep 0.3; $runtime --root /run/r-$runtime delete -f w1"
    check "$runtime: nothing is left of it" soon none_left
    check "$runtime: del of what is gone is fine" del w1
    check "$runtime: an unknown network stops the container" sh -c "! $runtime --root /run/r-$runtime run --bundle /run/b/bad bad >/run/bad.log 2>&1"
    # crun keeps what a hook says to itself.
    [ $runtime = crun ] || check "$runtime: with a reason" grep -q 'network nowhere not found' /run/bad.log
    check "$runtime: and leaves nothing" none_left
}

# Plain runc, no hooks: `pontoon run` makes the sandbox and lets the runtime run the bundle in it.
ours() { timeout 60 "$pontoon" run --bundle /run/b/bare --runtime $runtime "$@"; }
bundles() {
    ours -d --name shop --network front-end -p 8088:80 -v kept:/kept >/run/shop.log 2>&1
    check "$runtime: a bundle in the background" grep -qE '^[0-9a-f]{64}$' /run/shop.log
    check "$runtime: its port leads to it" soon greeted 127.0.0.1:8088
    check "$runtime: the runtime knows it" $runtime state shop
    ours --rm --network front-end --hostname guest -e A=one -v kept:/kept -w /tmp -- \
        /bin/sh -c 'echo "$A $(hostname) $(pwd)"; cat /etc/resolv.conf; nslookup shop; echo "$A" >/kept/note; exit 7' \
        >/run/guest.log 2>&1
    check "$runtime: a command of its own, with its exit code" [ $? = 7 ]
    check "$runtime: environment, hostname, working directory" grep -q '^one guest /tmp$' /run/guest.log
    check "$runtime: names" grep -q 'Address.*10.30.0' /run/guest.log
    check "$runtime: the volume is the same in both" [ "$($runtime exec shop /bin/cat /kept/note)" = one ]
    check "$runtime: an empty volume is filled from the root" [ "$(ours --rm -v fresh:/www -- /bin/cat /www/page)" = welcome ]
    check "$runtime: read-only" sh -c "! '$pontoon' run --rm --bundle /run/b/bare --runtime $runtime -v kept:/kept:ro -- /bin/sh -c 'echo x >/kept/x'"
    check "$runtime: tmpfs" sh -c "'$pontoon' run --rm --bundle /run/b/bare --runtime $runtime --tmpfs /scratch -- /bin/sh -c 'grep -q \"/scratch tmpfs\" /proc/mounts'"
    check "$runtime: the bundle is as it was" diff /run/bare.json /run/b/bare/config.json
    check "$runtime: it ends" sh -c "$runtime kill shop KILL; sleep 0.3; $runtime delete -f shop"
    check "$runtime: nothing is left of them" soon none_left
    : >/run/slow.log
    "$pontoon" run --bundle /run/b/bare --runtime $runtime --name slow -- \
        /bin/sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done' >/run/slow.log 2>&1 &
    slow=$!
    check "$runtime: it is up" soon grep -q up /run/slow.log
    kill -TERM $slow
    wait $slow
    check "$runtime: a signal reaches it" [ $? = 9 ]
    check "$runtime: and it is gone" soon none_left
    "$pontoon" volume rm kept fresh >/run/out 2>&1
}

check "a network" "$pontoon" network create --subnet 10.30.0.0/24 front-end
bundle plain '{}' /bin/ip -4 addr show eth0
bundle w1 '{"io.pontoon.network": "front-end, bridge", "io.pontoon.name": "web", "io.pontoon.ports": "8080:80,8443:80",
    "io.pontoon.aliases": "www,home", "io.pontoon.volumes": "data:/data"}' /bin/httpd -f -p 80 -h /
bundle other '{"io.pontoon.network": "front-end"}' /bin/nslookup www 127.0.0.11
bundle bad '{"io.pontoon.network": "nowhere"}' /bin/sleep 1
bundle bare '{}' /bin/httpd -f -p 80 -h /
mkdir /run/b/bare/rootfs/www && echo welcome >/run/b/bare/rootfs/www/page
cp /run/b/bare/config.json /run/bare.json
for runtime in runc crun; do
    hooks
    bundles
done
finish /run/w1.log /run/other.log /run/bad.log /run/shop.log /run/guest.log /run/slow.log
