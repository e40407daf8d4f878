#!/bin/sh
# Runs every example as a reader would, against a daemon of its own in namespaces of its own: run-tests.sh PONTOON
# PONTOON_TEST_REQUIRE=1: an example that cannot run here is a failure.
set -eu

examples=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0 skipped=0

main() {
    [ $# = 1 ] || { echo "usage: run-tests.sh PONTOON" >&2 && exit 2; }
    pontoon=$(readlink -f "$1")
    if [ -z "${EXAMPLES_INSIDE:-}" ]; then
        EXAMPLES_INSIDE=1 exec unshare --net --mount --ipc --pid --fork --mount-proc --kill-child -- "$0" "$pontoon"
    fi
    ip link set lo up
    # `pontoon` as in the examples, wherever it was built.
    work=$(mktemp -d /var/tmp/pontoon-examples.XXXXXX)
    mkdir "$work/bin" && ln -s "$pontoon" "$work/bin/pontoon"
    PATH=$work/bin:$PATH
    trap 'clean' EXIT
    trap 'exit 130' INT TERM HUP
    start_daemon

    check api-curl "curl" '"kind":"conflict"' "$examples/api/curl.sh" "$work/run/pontoon.sock"
    check api-python "python3" 'event: network remove snakes' "$examples/api/client.py" "$work/run/pontoon.sock"
    check readme "python3 curl" 'everything was carried out' readme
    check postgres "psql setpriv" 'written before' "$examples/postgres/run.sh"
    stop_daemon
    # Its own daemon, and the host around it: these namespaces.
    check voting-app "psql redis-server ss" 'The host is as it was' \
        env DEMO_DIR="$work/demo" "$examples/voting-app/demo.sh" "$pontoon"
    check voting-app-again "psql redis-server ss" 'The host is as it was' \
        env DEMO_DIR="$work/demo" "$examples/voting-app/demo.sh" "$pontoon"

    echo "examples: $passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ] || exit 1
}

# The sessions of README.md, line by line as they are typed; each has to succeed.
readme() {
    # A reader takes a moment between starting a server and asking it.
    sed -n '1i set -ex
        /^```console/,/^```/ { s/^# //p; /^pontoon run -d/a sleep 1
        }' "$examples/../README.md" >"$work/readme.sh"
    PS4='# ' sh "$work/readme.sh" && echo "everything was carried out"
    pontoon sandbox ls -q | xargs -r pontoon sandbox rm -f
    pontoon network ls -q --filter type=custom | xargs -r pontoon network rm
    pontoon volume ls -q | xargs -r pontoon volume rm
}

# check NAME "PROGRAMS" WANTED COMMAND...: the command has to succeed and to print WANTED.
check() {
    name=$1 needs=$2 wanted=$3
    shift 3
    for program in $needs; do
        command -v "$program" >/dev/null || { skip "$name" "$program is missing"; return; }
    done
    start=$(date +%s)
    code=0
    within 120 "$@" >"$work/output" 2>&1 </dev/null || code=$?
    took=$(($(date +%s) - start))
    if [ $code = 0 ] && grep -qF -- "$wanted" "$work/output"; then
        passed=$((passed + 1))
        echo "example $name ... ok ($took s)"
    else
        failed=$((failed + 1))
        echo "example $name ... FAILED (exit code $code; wanted: $wanted)"
        sed 's/^/    /' "$work/output"
    fi
}

# As timeout(1), but for functions too.
within() {
    limit=$1
    shift
    "$@" &
    running=$!
    (sleep "$limit" && kill $running) 2>/dev/null &
    watchdog=$!
    status=0
    wait $running || status=$?
    kill $watchdog 2>/dev/null || true
    return $status
}

skip() {
    if [ "${PONTOON_TEST_REQUIRE:-}" = 1 ]; then
        failed=$((failed + 1))
        echo "example $1 ... FAILED: $2"
    else
        skipped=$((skipped + 1))
        echo "example $1 ... skipped: $2"
    fi
}

start_daemon() {
    : >"$work/pontoon.toml"
    pontoon daemon --config "$work/pontoon.toml" --root "$work/root" --run "$work/run" --instance examples \
        >"$work/daemon.log" 2>&1 &
    daemon=$!
    export PONTOON_HOST="unix://$work/run/pontoon.sock"
    for _ in $(seq 100); do
        [ ! -S "$work/run/pontoon.sock" ] || return 0
        sleep 0.1
    done
    echo "the daemon did not start:" >&2
    cat "$work/daemon.log" >&2
    exit 1
}

stop_daemon() {
    kill "$daemon"
    wait "$daemon" || { failed=$((failed + 1)) && echo "the daemon ended badly ... FAILED" && cat "$work/daemon.log"; }
    daemon=
}

clean() {
    [ -z "${daemon:-}" ] || kill "$daemon" 2>/dev/null || true
    [ -z "${daemon:-}" ] || wait "$daemon" 2>/dev/null || true
    # Mounts are ours alone here; none must be in the way, and none followed.
    awk -v at="$work/" 'index($2, at) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount -l
    rm -rf --one-file-system "$work"
}

main "$@"
