#!/bin/sh
# A PostgreSQL that persists, in ten lines. Which daemon: PONTOON_HOST, or the installed one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
start() { pontoon run -d --name pg -e POSTGRES_PASSWORD=secret -v pgdata:/var/lib/postgresql/data -v "$here:/pg:ro" -- /pg/db.sh; }
sql() { pontoon run --rm -e PGPASSWORD=secret psql -h pg -U postgres -qAt -c "$1"; }
trap 'pontoon sandbox rm -f pg; pontoon volume rm -f pgdata' EXIT

start
until sql 'CREATE TABLE IF NOT EXISTS notes (note text)' 2>/dev/null; do sleep 0.2; done
sql "INSERT INTO notes VALUES ('written before')"
pontoon sandbox rm -f pg # the database is gone, its root with it ...
start
until sql 'SELECT note FROM notes' 2>/dev/null; do sleep 0.2; done # ... but not pgdata: prints `written before`
