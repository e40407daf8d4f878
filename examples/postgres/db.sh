#!/bin/sh
# PostgreSQL in a sandbox: makes its data at the first start, in the volume that is mounted there, then serves it.
# Starts as root, since the folder it is read from may be closed to others; PostgreSQL itself refuses to run as root.
set -eu
volume=/var/lib/postgresql/data
data=$volume/cluster
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
postgres="setpriv --reuid=postgres --regid=postgres --init-groups --"

cd /
mkdir -p $volume
chown postgres:postgres $volume
if [ ! -d $data ]; then
    # Made beside and moved into place: a first start that is cut short leaves nothing half done.
    rm -rf $volume/new
    # The password is the tutorials'. Who may ask for it at all is the network's business.
    password=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:-postgres}" >"$password"
    chown postgres "$password"
    $postgres "$bin/initdb" -D $volume/new --username=postgres --pwfile="$password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync >/dev/null
    rm "$password"
    echo 'host all all all scram-sha-256' >>$volume/new/pg_hba.conf
    sync
    mv $volume/new $data
fi
exec $postgres "$bin/postgres" -D $data -c listen_addresses='*' -c unix_socket_directories=
