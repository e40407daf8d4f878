#!/bin/sh
# The native API from curl: one POST for each call, JSON in and out. curl.sh [SOCKET]
set -eu
socket=${1:-${PONTOON_HOST:-/run/pontoon/pontoon.sock}}
socket=${socket#unix://}

call() {
    printf '\nPOST /%s %s\n' "$1" "$2"
    curl -sS --fail-with-body --unix-socket "$socket" -d "$2" "http://pontoon/$1"
}

started=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
trap 'call Sandbox.Remove "{\"name\": \"web\", \"force\": true}"; call Network.Remove "{\"name\": \"curls\"}"' EXIT

call Network.Create '{"name": "curls", "pools": [{"subnet": "10.99.0.0/24"}], "labels": {"example": "api"}}'

# No `netns`: the daemon makes one. No `host_port`: it picks one that is free.
call Sandbox.Create '{"name": "web", "networks": [{"network": "curls", "aliases": ["www"]}], "ports": [{"port": 80}]}'
call Sandbox.Inspect '{"name": "web"}'
call Network.Inspect '{"name": "curls"}'

# An error has a kind, a sentence, its causes, and a fitting HTTP status (here 409): `web` uses the network.
call Network.Remove '{"name": "curls"}' || echo "refused, as it should be"

# A stream of JSON lines: what happened since, then what happens. `--max-time` ends it.
printf '\nPOST /Events.Watch\n'
curl -sS --max-time 1 --unix-socket "$socket" -d "{\"since\": \"$started\"}" http://pontoon/Events.Watch 2>/dev/null || true

# What every call takes and gives, and how the daemon is.
printf '\nGET /schema, /metrics\n'
curl -sS --fail --unix-socket "$socket" http://pontoon/schema | head -c 300
echo ...
curl -sS --fail --unix-socket "$socket" http://pontoon/metrics | head -n 5
