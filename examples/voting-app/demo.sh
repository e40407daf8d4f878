#!/bin/sh
# The voting app of the Docker tutorials, without Docker: real PostgreSQL, real Redis, two networks, one volume.
#
#   demo.sh PONTOON         run it, prove it, take it down, and check that the host is as it was
#   KEEP=1 demo.sh PONTOON  leave it up
#   demo.sh PONTOON down    take down what was left up
#
# It runs a daemon of its own (instance `demo`, everything below $base), beside any Pontoon that is installed.
set -eu

vote_port=${VOTE_PORT:-5000}
result_port=${RESULT_PORT:-5001}
base=${DEMO_DIR:-/var/lib/pontoon-demo}
examples=$(cd "$(dirname "$0")/.." && pwd)
python=/usr/bin/python3 # Debian's: the one that python3-redis and python3-psycopg2 belong to

main() {
    [ $# -ge 1 ] || die "usage: demo.sh PONTOON [down]"
    [ "$(id -u)" = 0 ] || as_root "$@"
    pontoon=$(command -v "$1" && true) || die "no program $1: run make build"
    pontoon=$(readlink -f "$pontoon")
    export PONTOON_HOST="unix://$base/run/pontoon.sock"
    case ${2:-up} in
        up) up ;;
        down) down ;;
        *) die "usage: demo.sh PONTOON [down]" ;;
    esac
}

as_root() {
    command -v sudo >/dev/null || die "networks and mounts need root: run it as root"
    exec sudo --preserve-env=KEEP,VOTE_PORT,RESULT_PORT,DEMO_DIR -- "$0" "$@"
}

up() {
    if [ -d "$base" ]; then
        say "A demo was left up; it is taken down first."
        take_down
    fi
    port_is_free "$vote_port" VOTE_PORT
    port_is_free "$result_port" RESULT_PORT
    trap 'interrupted $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir -m 700 "$base"
    snapshot >"$base/before"

    # Only a daemon that answers can be told to clean up: until then a signal waits.
    held=
    trap 'held=130' INT
    trap 'held=143' TERM HUP
    start_daemon
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    [ -z "$held" ] || exit "$held"
    build_app
    show_names
    plug_neighbour
    vote
    neighbour
    strangers
    unplug_neighbour
    replace_database
    finish
}

# ---- the app -------------------------------------------------------------------------------------------------------

build_app() {
    title "Two networks and a volume"
    cmd network create front-end
    cmd network create back-end
    cmd volume create data_volume

    title "PostgreSQL and Redis on back-end; the two pages on both networks, published"
    cmd run -d --name redis --network back-end -- redis-server --protected-mode no --save ''
    run_database
    cmd run -d --name worker --network back-end -v "$examples:/examples:ro" -- $python /examples/voting-app/worker.py
    cmd run -d --name vote --network front-end --network back-end -p "$vote_port:80" -v "$examples:/examples:ro" \
        -- $python /examples/voting-app/vote.py
    cmd run -d --name result --network front-end --network back-end -p "$result_port:80" -v "$examples:/examples:ro" \
        -- $python /examples/voting-app/result.py
    wait_for "the database" pontoon_quiet run --rm --network back-end -- pg_isready -q -h db
    wait_for "the vote page" curl -sf -o /dev/null -m 2 "http://127.0.0.1:$vote_port/"
    wait_for "the result page" curl -sf -o /dev/null -m 2 "http://127.0.0.1:$result_port/"
    cmd sandbox ls
}

run_database() {
    cmd run -d --name db --network back-end -v data_volume:/var/lib/postgresql/data \
        -e POSTGRES_PASSWORD=postgres -v "$examples:/examples:ro" -- /examples/postgres/db.sh
}

show_names() {
    title "Names resolve"
    db=$(address_of db back-end)
    redis=$(address_of redis back-end)
    cmd run --rm --network back-end -- getent hosts db redis
    cmd run --rm --network back-end -- redis-cli -h redis ping
    cmd run --rm --network back-end -- pg_isready -h db
}

vote() {
    title "Votes posted through the published port arrive in PostgreSQL"
    post 127.0.0.1 cats
    post 127.0.0.1 cats
    post "$(own_address)" dogs
    result '{"cats": 2, "dogs": 1}'
}

# ---- the proof that what must not be reached is not ------------------------------------------------------------------

strangers() {
    title "front-end alone reaches neither db nor redis, by name or by address"
    refused run --rm --network front-end -- getent hosts db
    refused run --rm --network front-end -- getent hosts redis
    refused run --rm --network front-end -- pg_isready -t 1 -h "$db"
    refused run --rm --network front-end -- timeout 1 redis-cli -h "$redis" ping

    title "Nor does a third network; it reaches what is published, like anybody"
    cmd network create elsewhere
    refused run --rm --network elsewhere -- getent hosts vote
    refused run --rm --network elsewhere -- pg_isready -t 1 -h "$db"
    refused run --rm --network elsewhere -- curl -sS -m 1 "http://$(address_of vote front-end)/"
    cmd run --rm --network elsewhere -- curl -sS -m 5 -o /dev/null -w 'HTTP %{http_code}\n' "http://$(own_address):$vote_port/"
    cmd network rm elsewhere
}

neighbour() {
    title "A machine on the LAN reaches the published ports and nothing else, even if it routes everything to us"
    lan_cmd curl -sS -m 5 -o /dev/null -w 'HTTP %{http_code}\n' "http://198.51.100.1:$vote_port/" ||
        die "the published port did not answer; is a firewall of the host's in the way? See: pontoon doctor"
    lan_refused pg_isready -t 1 -h "$db"
    lan_refused timeout 1 redis-cli -h "$redis" ping
    lan_refused curl -sS -m 1 "http://$(address_of vote front-end)/"
}

# A machine on the LAN, played by a network namespace at the other end of a cable (addresses of RFC 5737).
plug_neighbour() {
    unshare --net sleep 600 &
    lan=$!
    wait_for "the neighbour" [ ! /proc/self/ns/net -ef "/proc/$lan/ns/net" ]
    ip link add pontoon-lan type veth peer name eth0 netns "$lan"
    ip addr add 198.51.100.1/30 dev pontoon-lan
    ip link set pontoon-lan up
    on_lan ip addr add 198.51.100.2/30 dev eth0
    on_lan ip link set eth0 up
    on_lan ip route add default via 198.51.100.1
}

unplug_neighbour() {
    [ -n "${lan:-}" ] || return 0
    # The cable first: a namespace that ends takes a moment to be gone.
    ip link del pontoon-lan 2>/dev/null || true
    kill "$lan" 2>/dev/null || true
    wait "$lan" 2>/dev/null || true
    lan=
}

# ---- the volume outlives the database --------------------------------------------------------------------------------

replace_database() {
    title "The database is destroyed and made again with another address; a vote is cast meanwhile"
    old=$db
    cmd sandbox rm -f db
    post 127.0.0.1 dogs
    run_database
    db=$(address_of db back-end)
    [ "$db" != "$old" ] || die "the new database has the old one's address, $db"
    say "db was $old and is $db now"
    cmd run --rm --network back-end -- getent hosts db
    wait_for "the result page" curl -sf -o /dev/null -m 2 "http://127.0.0.1:$result_port/"
    say "The votes are still there, because data_volume is:"
    result '{"cats": 2, "dogs": 2}'
}

# ---- up, down --------------------------------------------------------------------------------------------------------

start_daemon() {
    mkdir -p "$base/run"
    printf '\n%s\n' "$ pontoon daemon --root $base/root --run $base/run --instance demo &"
    # A session of its own: Ctrl-C is for this script, which then ends the daemon in order. No file: defaults.
    : >"$base/pontoon.toml"
    setsid "$pontoon" daemon --config "$base/pontoon.toml" --root "$base/root" --run "$base/run" --instance demo \
        </dev/null >>"$base/daemon.log" 2>&1 &
    echo $! >"$base/daemon.pid"
    wait_for "the daemon" pontoon_quiet system info
}

finish() {
    trap - EXIT
    if [ -n "${KEEP:-}" ]; then
        title "It is up"
        echo "  vote      http://127.0.0.1:$vote_port/    http://$(own_address):$vote_port/"
        echo "  results   http://127.0.0.1:$result_port/    http://$(own_address):$result_port/"
        echo "  look      export PONTOON_HOST=$PONTOON_HOST; $pontoon sandbox ls"
        echo "  end it    make demo-down    (or: $0 $pontoon down)"
        return
    fi
    title "Taking it down"
    cp "$base/before" "${before:=$(mktemp)}"
    take_down
    compare "$before" || exit 1
}

interrupted() {
    trap '' INT TERM HUP
    trap - EXIT
    [ "$1" -gt 128 ] || tail -n 20 "$base/daemon.log" >&2 2>/dev/null || true
    say "Stopped before the end; cleaning up." >&2
    unplug_neighbour
    take_down >/dev/null
    exit "$1"
}

down() {
    [ -d "$base" ] || die "no demo is up"
    cp "$base/before" "${before:=$(mktemp)}"
    title "Taking it down"
    take_down
    compare "$before" || say "(other programs may have changed that meanwhile)"
}

# Needs nothing but $base, so that it works on what an earlier run left in whatever state.
take_down() {
    # One that was killed comes back, to take away what it promised.
    daemon_runs || { [ ! -d "$base/root" ] || start_daemon; }
    if daemon_runs; then
        remove_all sandbox rm -f
        remove_all network rm
        remove_all volume rm
        end_daemon
    fi
    rm -rf --one-file-system "$base"
}

remove_all() {
    object=$1
    case $object in
        network) names=$("$pontoon" network ls -q --filter type=custom) ;;
        *) names=$("$pontoon" "$object" ls -q) ;;
    esac
    [ -z "$names" ] || "$pontoon" "$@" $names
}

daemon_runs() {
    [ -s "$base/daemon.pid" ] || return 1
    case $(readlink "/proc/$(cat "$base/daemon.pid")/exe") in
        */pontoon | */pontoon\ \(deleted\)) ;;
        *) return 1 ;;
    esac
}

# With no sandbox left, SIGTERM makes the daemon put the kernel back as it found it.
end_daemon() {
    kill "$(cat "$base/daemon.pid")"
    tries=0
    while daemon_runs; do
        tries=$((tries + 1))
        [ $tries -le 100 ] || die "the daemon does not end; its log is $base/daemon.log"
        sleep 0.1
    done
}

# ---- is the host as it was? ------------------------------------------------------------------------------------------

# Everything of the kernel's that Pontoon could leave behind, one fact a line. Counters and clocks are left out.
snapshot() {
    ip -br link | awk '{ print "link", $1, $2 }'
    ip route show table all | sed 's/^/route /'
    ip -6 route show table all | sed -E 's/^/route /; s/ expires [0-9]+sec//'
    ip rule | sed 's/^/rule /'
    nft -s list ruleset 2>/dev/null | sed 's/^/nft /'
    findmnt -rno TARGET,FSTYPE | sed 's/^/mount /'
    grep -sH '' /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_local_reserved_ports \
        /proc/sys/net/ipv4/conf/*/* /proc/sys/net/ipv6/conf/*/* | sed 's/^/sysctl /'
    # Processes of the demo, by what only its command lines say.
    ps -eo args= | grep -F -e "$base/" -e ' /examples/voting-app/' -e /var/lib/postgresql/data/cluster |
        grep -vF -e grep -e demo.sh | sed 's/^/process /' || true
}

compare() {
    after=$(mktemp)
    same=1
    # A link that is gone is so a moment later for those who look.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        snapshot >"$after"
        cmp -s "$1" "$after" && same=0 && break
        sleep 0.2
    done
    if [ $same = 0 ]; then
        say "The host is as it was: links, routes, rules, nftables, mounts, sysctls, processes."
    else
        say "The host is not as it was (< before, > after):" >&2
        diff "$1" "$after" >&2 || true
    fi
    rm -f "$1" "$after"
    return $same
}

# ---- showing -----------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

title() {
    if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n# %s\n' "$*"; fi
}

die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# The line as one would type it.
typed() {
    printf '%s' "$prompt"
    for word; do
        case $word in
            '' | *[!a-zA-Z0-9_./:=,@%+-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
}

prompt='$'

cmd() {
    typed pontoon "$@"
    "$pontoon" "$@" || die "that should have worked (exit code $?)"
}

# A command that has to fail.
refused() {
    typed pontoon "$@"
    if "$pontoon" "$@" 2>&1; then die "that should not have worked"; else say "-> not reached (exit code $?)"; fi
}

pontoon_quiet() { "$pontoon" "$@" >/dev/null 2>&1; }

on_lan() { nsenter --net="/proc/$lan/ns/net" -- "$@"; }

lan_cmd() {
    (prompt='neighbour$' && typed "$@")
    on_lan "$@"
}

lan_refused() {
    if lan_cmd "$@" 2>&1; then die "that should not have been reached"; else say "-> not reached (exit code $?)"; fi
}

post() {
    typed curl -d "vote=$2" "http://$1:$vote_port/"
    curl -sS -f -m 5 -o /dev/null -d "vote=$2" "http://$1:$vote_port/" || die "the vote was not taken"
}

result() {
    url=http://127.0.0.1:$result_port/results.json
    typed curl "$url"
    wait_for "the votes to be $1" counted "$1"
    curl -sS -m 5 "$url"
}

counted() { [ "$(curl -s -m 5 "$url")" = "$1" ]; }

# ---- asking ------------------------------------------------------------------------------------------------------------

wait_for() {
    what=$1
    shift
    end=$(($(date +%s) + 20))
    until "$@"; do
        [ "$(date +%s)" -lt $end ] || die "waited 20 s in vain for $what"
        sleep 0.1 || true # a signal cuts it short
    done
}

# address_of SANDBOX NETWORK
address_of() {
    "$pontoon" sandbox inspect "$1" --format json | $python -c '
import json, sys
found = json.load(sys.stdin)
sandbox = found[0] if isinstance(found, list) else found
seat = next(seat for seat in sandbox["networks"] if seat["network"] == sys.argv[1])
print(seat["addresses"][0].split("/")[0])' "$2"
}

# The host's first address that is not a container network's own; of a host without any, that of the neighbour's cable.
own_address() {
    ip -o -4 addr show scope global | awk '$2 !~ /^(br-|pontoon0|docker|virbr|veth)/ { sub("/.*", "", $4); print $4; exit }' |
        grep . || echo 127.0.0.1
}

port_is_free() {
    [ -z "$(ss -Hltn "sport = :$1")" ] || die "port $1 of this host is taken; choose another: $2=$(($1 + 80)) make demo"
}

main "$@"
