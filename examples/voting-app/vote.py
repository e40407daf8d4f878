"""The front end: shows two buttons and puts each vote into a list at the host called `redis`."""
import json
import socket
import uuid
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

import redis

from page import Page, html, serve

CHOICES = ("cats", "dogs")
queue = redis.Redis("redis", socket_timeout=5)


class Vote(Page):
    def do_GET(self):
        self.show(None, self.voter())

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        vote = parse_qs(self.rfile.read(min(size, 1000)).decode()).get("vote", [""])[0]
        if vote not in CHOICES:
            return self.reply("vote=cats or vote=dogs\n", 400, "text/plain")
        voter = self.voter()
        queue.rpush("votes", json.dumps({"voter": voter, "vote": vote}))
        self.show(vote, voter)

    def voter(self):
        """Whoever comes back with our cookie changes his vote; anybody else is new."""
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("voter")
        return cookie.value[:64] if cookie else uuid.uuid4().hex

    def show(self, vote, voter):
        buttons = " ".join(
            f"<button name=vote value={c} class={c}>{c.title()}{' ✓' if c == vote else ''}</button>" for c in CHOICES
        )
        body = f"<form method=post>{buttons}</form><p><small>served by {socket.gethostname()}</small>"
        self.reply(html("Cats or dogs?", body), headers=[("Set-Cookie", f"voter={voter}; HttpOnly; SameSite=Lax")])


serve(Vote)
