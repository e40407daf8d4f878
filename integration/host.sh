# Sourced by the tests beside it, never run: a host of their own, a daemon in it, and a count of what held.
#   . "$(dirname "$0")/../host.sh"
#   need podman runc        skips the test without these programs; with PONTOON_TEST_REQUIRE=1 it fails
#   enter "$@"              goes on in namespaces of its own (network, mounts, processes), with /run, /etc, /opt and
#                           /var/lib that nobody else sees, and a daemon; $1 is the program, else target/debug/pontoon
#   check WHAT COMMAND...   counts
#   finish [LOG...]         tells the count, and the ends of the logs if something failed
passed=0 failed=0

need() {
    for program; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null && continue
        echo "skipped: the program $program is missing"
        [ "${PONTOON_TEST_REQUIRE:-}" != 1 ]
        exit
    done
}

enter() {
    pontoon=$(realpath "${1:-${PONTOON:-$(dirname "$0")/../../target/debug/pontoon}}")
    if [ -z "${PONTOON_INSIDE:-}" ]; then
        # Whatever a test leaves behind ends with the first process of its namespace.
        PONTOON_INSIDE=1 exec unshare -nmpf --mount-proc --kill-child --propagation private "$0" "$pontoon"
    fi
    unset PONTOON_INSIDE PONTOON_HOST
    mount -t tmpfs run /run && mkdir -p /run/netns /run/cgroup && mount --rbind /sys/fs/cgroup /run/cgroup
    # /sys shows the interfaces of the namespace in which it was mounted; runc looks for cgroups below it.
    mount -t sysfs sysfs /sys && mount --rbind /run/cgroup /sys/fs/cgroup
    # crun refuses a cgroup2 beside those of version 1.
    [ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
    for dir in etc opt var/lib; do
        mkdir -p "/run/own/$dir/upper" "/run/own/$dir/work"
        mount -t overlay -o "lowerdir=/$dir,upperdir=/run/own/$dir/upper,workdir=/run/own/$dir/work" own "/$dir"
    done
    ip link set lo up
    : >/run/resolv.conf
    echo 'resolv_conf = "/run/resolv.conf"' >/run/pontoon.toml
    start_daemon
}

start_daemon() {
    "$pontoon" daemon --config /run/pontoon.toml --root /run/lib >>/run/pontoon.log 2>&1 &
    daemon=$!
    check "the daemon starts" soon "$pontoon" system info
}

stop_daemon() { # [SIGNAL]
    kill -"${1:-TERM}" "$daemon"
    wait "$daemon" 2>/dev/null
}

check() {
    what=$1 && shift
    if "$@" >/run/out 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)) && echo "FAILED: $what" && sed 's/^/    /' /run/out
    fi
}

soon() { # COMMAND...: true within 10 s
    for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return 0 || sleep 0.05; done
    "$@"
}

none_left() { [ "$("$pontoon" sandbox ls -q | wc -l)" = 0 ]; }

greeted() { # ADDRESS:PORT: the `hello` of a root file system's index.html
    [ "$(curl -sf -m 2 "http://$1/index.html")" = hello ]
}

make_rootfs() { # DIR: a root file system that is busybox alone
    mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" "$1/etc" "$1/run" "$1/tmp"
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in sh ip cat sleep ping nslookup httpd hostname grep; do ln -s busybox "$1/bin/$applet"; done
    echo nameserver 127.0.0.11 >"$1/etc/resolv.conf"
    echo hello >"$1/index.html"
}

finish() {
    stop_daemon
    if [ $failed != 0 ]; then tail -n 20 /run/pontoon.log "$@"; fi
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}
