"""Times an attach through dockerd, on Pontoon's network and on Docker's own bridge, turn by turn: measure.py SOCKET [ROUNDS]

Connects and disconnects one running container called `web` to the networks `ours` and `theirs`; milliseconds, median of all.
"""
import http.client
import json
import socket
import statistics
import sys
import time


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


def timed(network, verb):
    link = Unix("docker")
    start = time.monotonic()
    link.request("POST", f"/networks/{network}/{verb}", json.dumps({"Container": "web"}), {"Content-Type": "application/json"})
    answer = link.getresponse()
    text = answer.read()
    took = time.monotonic() - start
    assert answer.status == 200, text
    return took * 1000


rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
times = {}
for _ in range(rounds + 2):
    for network in ("ours", "theirs"):
        for verb in ("connect", "disconnect"):
            times.setdefault((verb, network), []).append(timed(network, verb))
for verb in ("connect", "disconnect"):
    ours, theirs = (statistics.median(times[verb, network][2:]) for network in ("ours", "theirs"))
    print(f"{verb}: pontoon {ours:.1f} ms, dockerd's bridge {theirs:.1f} ms, {theirs / ours:.1f}x")
