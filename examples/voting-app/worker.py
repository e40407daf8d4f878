"""Takes votes from `redis` and writes them to `db`. A vote waits while the database is away, whatever address it returns with."""
import json
import time

import psycopg2
import redis

from votes import connect

TABLE = "CREATE TABLE IF NOT EXISTS votes (voter text PRIMARY KEY, vote text NOT NULL)"
INSERT = "INSERT INTO votes VALUES (%(voter)s, %(vote)s) ON CONFLICT (voter) DO UPDATE SET vote = EXCLUDED.vote"


def write(vote):
    while True:
        try:
            with connect() as db, db.cursor() as cursor:
                cursor.execute(TABLE)
                cursor.execute(INSERT, vote)
            return
        except psycopg2.OperationalError:
            time.sleep(0.2)


def read(queue):
    while True:
        try:
            return json.loads(queue.blpop("votes")[1])
        except redis.ConnectionError:
            time.sleep(0.2)


queue = redis.Redis("redis")
while True:
    write(read(queue))
