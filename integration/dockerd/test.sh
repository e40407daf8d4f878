#!/bin/bash
# Drives a real dockerd that has its networks, addresses and volumes from Pontoon, on a host of its own.
# usage: test.sh [PONTOON]    exit 0: passed or skipped (with PONTOON_TEST_REQUIRE=1 a skip fails)
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../host.sh"
need dockerd docker docker-compose iptables nft busybox ip curl unshare redis-server python3 pg_createcluster
enter "$@"

export DOCKER_HOST=unix:///run/docker.sock COMPOSE_PROJECT_NAME=voting
ours="-d pontoon --ipam-driver pontoon"
docker() { timeout 60 docker "$@"; }

main() {
    dockerd_first
    start_dockerd
    make_image
    networks
    containers
    connected
    restarts
    away
    volumes
    voting_app
    nothing_left
    stop_dockerd
    finish /run/dockerd.log
}

# dockerd sets the policy of FORWARD to DROP where nobody had switched forwarding on before it.
dockerd_first() {
    stop_daemon
    echo 0 >/proc/sys/net/ipv4/ip_forward
    launch_dockerd
    check "dockerd starts first" soon docker version
    check "its policy is DROP" sh -c "iptables -S FORWARD | grep -q -- '-P FORWARD DROP'"
    start_daemon
    ip netns add lan && ip link add lan0 type veth peer name eth0 netns lan
    ip addr add 192.0.2.1/24 dev lan0 && ip link set lan0 up
    ip -n lan addr add 192.0.2.2/24 dev eth0 && ip -n lan link set eth0 up && ip -n lan route add default via 192.0.2.1
    check "a network of ours beside it" "$pontoon" network create beside
    check "a sandbox there" "$pontoon" run -d --name there --network beside -p 8099:80 -- \
        sh -c 'echo hello >/tmp/index.html; exec busybox httpd -f -p 80 -h /tmp'
    check "the LAN reaches its port" soon ip netns exec lan curl -sf -m 2 -o /dev/null http://192.0.2.1:8099/index.html
    check "it goes" "$pontoon" sandbox rm -f there
    check "and its network" "$pontoon" network rm beside
    ip link del lan0 && ip netns del lan
    stop_dockerd
}

start_dockerd() {
    launch_dockerd
    check "dockerd starts" soon docker version
}

launch_dockerd() {
    rm -f /run/docker.pid
    dockerd -H $DOCKER_HOST --data-root /run/docker-data --exec-root /run/docker-exec --pidfile /run/docker.pid \
        >>/run/dockerd.log 2>&1 &
    dockerd=$!
}

stop_dockerd() { # [SIGNAL]
    kill -"${1:-TERM}" $dockerd
    wait $dockerd 2>/dev/null
}

make_image() {
    make_rootfs /run/rootfs
    mkdir /run/rootfs/seed && echo seed >/run/rootfs/seed/file
    for applet in wget ls grep; do ln -s busybox /run/rootfs/bin/$applet; done
    check "an image" sh -c "tar -C /run/rootfs -c . | docker import - bb"
}

same() { # WANTED COMMAND...
    wanted=$1 && shift
    got=$("$@" 2>&1)
    echo "wanted: $wanted" && echo "found: $got" && [ "$got" = "$wanted" ]
}

says() { # WORDS COMMAND...
    words=$1 && shift
    text=$("$@" 2>&1) && echo "$text" && case $text in *"$words"*) ;; *) return 1 ;; esac
}

refused() { # WORDS COMMAND...
    words=$1 && shift
    if text=$("$@" 2>&1); then echo "was done: $text" && return 1; fi
    echo "$text" && case $text in *"$words"*) ;; *) return 1 ;; esac
}

once() { docker run --rm --stop-signal KILL "$@"; }                   # ... IMAGE COMMAND
serve() { docker run -d --stop-signal KILL "$@" bb httpd -f -p 80; }  # ...
fetch() { once --network "$1" bb wget -qO- "http://$2/index.html"; }
in_web() { docker exec web "$@"; }
# Neighbours of a container in two networks that ask for its port by the host's address: one of them is in the network that
# the port does not lead through, and past the NAT its answer would go astray.
asked_from() { # NETWORK...
    for network; do
        same hello once --network "$network" bb busybox timeout 4 wget -qO- http://192.0.2.9:8080/index.html || return
    done
}
address_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"; }
count() { "$@" | wc -l; }
twins() { nft -j list set inet pontoon twin4 | grep -o '"concat"' | wc -l; }
on_bridges() { ip -o link | grep -cE '^[0-9]+: (pt|ph)'; }
subnet_of() { docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$1"; }

networks() {
    for name in front back; do check "network $name" docker network create $ours $name; done
    check "an internal one" docker network create $ours --internal inner
    check "one with a range" docker network create $ours --subnet 10.77.0.0/24 --ip-range 10.77.0.128/25 \
        --gateway 10.77.0.254 --aux-address printer=10.77.0.129 ranged
    check "Docker's addresses on our network" docker network create -d pontoon --subnet 10.78.0.0/24 mixed
    check "our addresses on Docker's network" docker network create --ipam-driver pontoon theirs
    check "an overlap is refused" refused "overlaps with 10.77.0.0/24" docker network create $ours --subnet 10.77.0.0/25 x
    check "so is an option that nobody knows" refused "colour" docker network create $ours -o colour=red x
    check "nothing is left of those" same 0 count docker network ls -q -f name=^x$
    check "our own tools know them" same 5 count sh -c "'$pontoon' network ls -q -f label=io.pontoon.held-by"
    check "and our prune leaves them" "$pontoon" network prune -f
    check "... all five" same 5 count sh -c "'$pontoon' network ls -q -f label=io.pontoon.held-by"
}

containers() {
    check "a container with ports" serve --restart always --name web --network front -p 8080:80 -p 127.0.0.1:8081:80 \
        -p 9000-9019:9000-9019/udp
    check "its port answers" soon greeted 127.0.0.1:8080
    check "so does the one for this host" greeted 127.0.0.1:8081
    check "a range is one" sh -c "'$pontoon' sandbox ls | grep -q '9000-9019->9000-9019/udp'"
    check "a neighbour finds it by name" same hello fetch front web
    check "a stranger does not" refused "bad address" once --network back bb ping -c 1 -W 1 web
    check "nor by its address" refused "100% packet loss" once --network back bb ping -c 1 -W 1 "$(address_of web front)"
    check "of sixteen that want one port at once one gets it" contest
    check "a taken port is refused" refused 8080 once -p 8080:80 --network back bb true
    check "the range is kept" same 10.77.0.128 sh -c "timeout 60 docker run --rm --network ranged bb ip -4 -o addr |
        sed -n 's/.*eth0 *inet \([0-9.]*\)\/24.*/\1/p'"
    check "an address that was asked for" once --network ranged --ip 10.77.0.99 bb sh -c "ip addr | grep -q 10.77.0.99/24"
    check "the gateway's is refused" refused "in use" once --network ranged --ip 10.77.0.254 bb true
    check "no way out of an internal network" refused "" once --network inner bb sh -c "ip route | grep default"
    check "a container on mixed" serve --name web2 --network mixed
    check "mixed works" same hello fetch mixed web2
    check "web2 goes" docker rm -f web2
    check "an address of ours on theirs" once --network theirs bb sh -c "ip -4 addr show eth0 | grep -q $(subnet_of theirs | cut -d. -f1-2)"
    check "no second interface for the way out" refused "does not exist" ip link show docker_gwbridge
}

# One runs; the others are told who has the port, and nothing of theirs is left once they are removed.
contest() {
    for i in $(seq 16); do
        docker run -d --name "c$i" --network back -p 8090:80 bb sleep 100 >"/run/c$i" 2>&1 &
        runs="${runs:-} $!"
    done
    wait $runs
    same 1 count docker ps -q -f name=^c || return
    same 15 count grep -l "8090/tcp is already published by sandbox docker-" /run/c? /run/c?? || return
    same 2 count "$pontoon" sandbox ls -q || return
    docker rm -f $(docker ps -aq -f name=^c) && same 1 count "$pontoon" sandbox ls -q && same 1 on_bridges
}

connected() {
    ip addr add 192.0.2.9/32 dev lo
    check "connect a running one" docker network connect --alias www back web
    check "it has a second interface" in_web ip -4 addr show eth1
    check "it is found there" same hello fetch back www
    check "its port still answers" greeted 127.0.0.1:8080
    check "and neighbours of both networks that ask by the host's address" asked_from front back
    check "pontoon says who listens in it" says "listens on [::]:80" "$pontoon" why lan :8080
    check "connect to an internal one" docker network connect inner web
    check "it is found there as well" same hello fetch inner web
    check "one that is connected is in use" refused "active endpoints" docker network rm back
    check "its ports move" docker network disconnect front web
    check "to the network that is left" soon greeted 127.0.0.1:8080
    check "and move" docker network connect front web
    check "back" soon greeted 127.0.0.1:8080
    check "the neighbours are answered as before" asked_from front back
    check "disconnect" docker network disconnect back web
    check "disconnect again" docker network disconnect inner web
    check "those of the network that it has left are answered as well" asked_from front back
    check "one interface is left" same 1 on_bridges
    check "one seat is left" same 1 count "$pontoon" sandbox ls -q
}

# A container that is removed while Pontoon is away: dockerd asks its plugin again for a while.
away() {
    check "one that goes meanwhile" serve --name gone --network front -p 8082:80
    check "it answers" soon greeted 127.0.0.1:8082
    stop_daemon KILL
    docker rm -f gone >/run/gone.log 2>&1 &
    removal=$!
    sleep 2
    start_daemon
    wait $removal
    check "it is gone for dockerd" refused "No such object" docker inspect gone
    check "its port is closed" soon sh -c '! curl -s -m 1 http://127.0.0.1:8082/'
    check "no seat is left" soon same 0 count "$pontoon" sandbox ls -q
    check "no interface" same 0 on_bridges
    check "its address and port are free" serve --name gone --network front -p 8082:80
    check "it answers again" soon greeted 127.0.0.1:8082
    check "gone goes" docker rm -f gone
}

works() { # AFTER
    check "after $1 its port answers" soon greeted 127.0.0.1:8080
    check "after $1 it is found by name" same hello fetch front web
    check "after $1 neighbours of both networks are answered" asked_from front back
    check "after $1 there are two interfaces" same 2 on_bridges
    check "after $1 there are two seats" same 2 count "$pontoon" sandbox ls -q
}

restarts() {
    check "two networks again" docker network connect --alias www back web
    stop_daemon KILL
    check "its port answers without us" greeted 127.0.0.1:8080
    start_daemon
    works "the death of pontoon"
    stop_daemon TERM
    start_daemon
    works "a restart of pontoon"
    stop_dockerd TERM
    check "dockerd takes all back" same 0 on_bridges
    start_dockerd
    works "a restart of dockerd"
    stop_dockerd KILL
    start_dockerd
    works "the death of dockerd"
    stop_dockerd KILL
    stop_daemon KILL
    start_daemon
    start_dockerd
    works "the death of both, pontoon first"
    stop_daemon KILL
    stop_dockerd KILL
    launch_dockerd
    sleep 1
    start_daemon
    check "dockerd starts before us" soon docker version
    works "the death of both, dockerd first"
    check "no seat knows of one that has gone" same 1 twins
    check "web goes" docker rm -f web
    check "and what its seats knew of each other" same 0 twins
    check "and its interface" same 0 on_bridges
}

mounts_of() { "$pontoon" volume inspect "$1" | sed -n '/"mounts"/,/\]/p' | grep -cE '"[0-9a-f]{64}"'; }

volumes() {
    check "a volume" docker volume create -d pontoon data
    check "one in memory" docker volume create -d pontoon -o type=tmpfs -o device=tmpfs -o o=size=1m ram
    check "dockerd lists them" same 2 count docker volume ls -q -f driver=pontoon
    check "the first user fills it" same seed once -v data:/seed bb cat /seed/file
    check "it keeps what it has" same seed once -v data:/data bb cat /data/file
    for name in one two; do
        check "$name mounts both" docker run -d --stop-signal KILL --name $name -v data:/data -v ram:/ram bb sleep 300
    done
    check "two mounts are counted" same 2 mounts_of data
    check "our rm is refused" refused "in use by a runtime (2 mounts" "$pontoon" volume rm data
    check "Docker's rm is refused" refused "volume is in use" docker volume rm data
    check "what one writes" docker exec one sh -c "echo shared >/ram/file"
    check "the other reads" same shared docker exec two cat /ram/file
    check "one goes" docker rm -f one
    check "one mount is left" same 1 mounts_of data
    check "memory stays as long" findmnt /run/lib/volumes/ram/_data
    stop_daemon KILL
    start_daemon
    check "the count is kept" same 1 mounts_of data
    stop_dockerd KILL
    start_dockerd
    check "two starts again" docker start two
    check "and is counted once" same 1 mounts_of data
    check "two goes" docker rm -f two
    check "no mount is left" same 0 mounts_of data
    check "nor the memory" refused "" findmnt /run/lib/volumes/ram/_data
    check "a new one by run" docker run -d --stop-signal KILL --name three --volume-driver pontoon -v fresh:/fresh bb sleep 300
    check "prune takes what is free" sh -c "'$pontoon' volume prune -a -f && '$pontoon' volume rm ram"
    check "and leaves what is not" same fresh docker volume ls -q -f driver=pontoon
    check "three goes" docker rm -f three
    check "fresh goes" docker volume rm fresh
}

compose() { timeout 120 docker-compose -f "$here/compose.yaml" "$@"; }
results() { curl -sf -m 3 http://127.0.0.1:5001/results.json; }

voting_app() {
    mkdir -p /run/hostroot/usr /run/hostroot/etc /run/hostroot/var/lib && install -d -m 1777 /run/hostroot/tmp
    for link in bin lib lib64 sbin; do ln -s usr/$link /run/hostroot/$link; done
    cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache /run/hostroot/etc
    check "an image that is the host's programs" sh -c "tar -C /run/hostroot -c . | docker import - hostroot"
    check "compose up" compose up -d
    check "the result page" soon results
    for vote in cats cats dogs; do
        check "a vote for $vote" soon curl -sf -m 5 -o /dev/null -d vote=$vote http://127.0.0.1:5000/
    done
    check "votes are counted" soon same '{"cats": 2, "dogs": 1}' results
    check "front-end does not reach the database" refused "bad address" once --network voting_front-end bb ping -c 1 db
    check "the database is made anew" compose up -d --force-recreate --no-deps db
    check "and has kept the votes" soon same '{"cats": 2, "dogs": 1}' results
    app_restarts
    check "compose down" compose down -v
    check "nothing of it is left" same 0 on_bridges
    check "no seat of it" none_left
    check "nor what its seats knew of each other" same 0 twins
}

# Started again by dockerd (`restart: always`), whose containers end with it.
counts() { # DOGS AFTER
    check "after $2 a vote" eventually curl -sf -m 5 -o /dev/null -d vote=dogs http://127.0.0.1:5000/
    check "after $2 it is counted" eventually same "{\"cats\": 2, \"dogs\": $1}" results
}

eventually() { soon "$@" || soon "$@" || soon "$@"; }

app_restarts() {
    stop_daemon
    start_daemon
    counts 2 "a restart of pontoon"
    stop_dockerd
    start_dockerd
    counts 3 "a restart of dockerd"
    stop_dockerd
    stop_daemon
    start_daemon
    start_dockerd
    counts 4 "a restart of both, pontoon first"
    stop_dockerd KILL
    stop_daemon KILL
    launch_dockerd
    sleep 1
    start_daemon
    check "dockerd is there" soon docker version
    counts 5 "the death of both, dockerd first"
}

nothing_left() {
    check "the networks go" docker network rm front back inner ranged mixed theirs
    check "no network of Docker's is left" same 3 count "$pontoon" network ls -q
    check "no subnet" same '[]' curl -s --unix-socket /run/pontoon/pontoon.sock -X POST http://x/Pool.List -d '{}'
    check "no seat" none_left
    check "no volume" same 0 count "$pontoon" volume ls -q
    check "no interface" same "docker0 lo pontoon0 " sh -c "ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | tr '\n' ' '"
}

main
