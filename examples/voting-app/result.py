"""The other page: shows what PostgreSQL, at the host called `db`, has counted. `/results.json` is the same for programs."""
import json

import psycopg2

from page import Page, html, serve
from votes import count

REFRESH = "<meta http-equiv=refresh content=2>"


class Result(Page):
    def do_GET(self):
        try:
            votes = {choice: 0 for choice in ("cats", "dogs")} | count()
        except psycopg2.OperationalError as error:
            return self.reply(html("The database is away", f"<small>{error}</small>", REFRESH), 503)
        if self.path == "/results.json":
            return self.reply(json.dumps(votes) + "\n", kind="application/json")
        total = sum(votes.values())
        bars = "".join(
            f"<div class={choice} style='flex: {n}'>{choice} {n}</div>" for choice, n in votes.items() if n
        )
        self.reply(html("Result", f"<div class=bar>{bars}</div><p><small>{total} votes</small>", REFRESH))


serve(Result)
