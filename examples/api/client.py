#!/usr/bin/env python3
"""The native API from Python, with nothing but its own library. client.py [SOCKET]"""
import http.client
import json
import os
import socket
import sys


class Refused(Exception):
    """The daemon said no; `kind` is for programs, the message for people."""

    def __init__(self, kind, message, causes):
        super().__init__(": ".join([message, *causes]))
        self.kind = kind


class Pontoon(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("pontoon", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, **body):
        """call("Network.Create", name="web") -> what the daemon returns; the connection is used again."""
        self.request("POST", "/" + method, json.dumps(body))
        response = self.getresponse()
        reply = json.load(response)
        if response.status >= 400:
            raise Refused(**reply)
        return reply

    def watch(self, **body):
        """Events from now on, as they happen. Takes the connection for itself."""
        self.request("POST", "/Events.Watch", json.dumps(body))
        return map(json.loads, self.getresponse())


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PONTOON_HOST", "/run/pontoon/pontoon.sock")
    path = host.removeprefix("unix://")
    pontoon = Pontoon(path)
    events = Pontoon(path).watch(filters={"name": ["snakes", "viper"]})

    made = pontoon.call("Network.Create", name="snakes", ipv6=True)
    print("network", made["name"], made["id"][:12])
    try:
        pontoon.call("Sandbox.Create", name="viper", networks=[{"network": "snakes"}], ports=[{"port": 80}])
        viper = pontoon.call("Sandbox.Inspect", name="viper")
        for seat in viper["networks"]:
            print("viper is in", seat["network"], "as", ", ".join(seat["addresses"]))
        for port in viper["ports"]:
            print("port", port["port"], "is published as", port["host_port"])
        try:
            pontoon.call("Network.Remove", name="snakes")
        except Refused as refused:
            print(refused.kind, "-", refused)
        pontoon.call("Sandbox.Remove", name="viper", force=True)
    finally:
        pontoon.call("Network.Remove", name="snakes")
    for event in events:
        print("event:", event["object"], event["action"], event["name"])
        if (event["object"], event["action"]) == ("network", "remove"):
            break


if __name__ == "__main__":
    main()
