"""Sends the calls of a captured program again, each when it was due.

Usage: play.py CAPTURE BASE_URL [HEADER=VALUE …]

BASE_URL takes the place of all before the `/v1` of the captured paths, or of it too when it ends
with a slash. A header given takes the place of the captured one.

A call waits for the calls that had ended before it in the capture, then as long as it did there.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

CAPTURE, BASE = sys.argv[1], urlsplit(sys.argv[2])
OTHER = {name.lower(): value for name, _, value in (word.partition("=") for word in sys.argv[3:])}
LEFT_OUT = {"host", "content-length", "connection", "transfer-encoding"}


IDLE: list[http.client.HTTPConnection] = []


def send(call: dict) -> None:
    """Send one call and read its answer to the end, on a kept connection as SDKs do."""
    try:
        connection = IDLE.pop()
    except IndexError:
        connection = http.client.HTTPConnection(BASE.hostname, BASE.port, timeout=60)
    body = None if call["req_body"] is None else json.dumps(call["req_body"]).encode()
    headers = {name: value for name, value in call["req_headers"] if name.lower() not in LEFT_OUT}
    headers |= {name: OTHER[name.lower()] for name in headers if name.lower() in OTHER}
    path = BASE.path + call["path"]
    if BASE.path.endswith("/"):
        path = BASE.path + call["path"].removeprefix("/v1/")
    connection.request(call["method"], path, body, headers)
    answer = connection.getresponse()
    answer.read()
    IDLE.append(connection)
    if answer.status != call["status"]:
        sys.exit(f"{call['method']} {path}: {answer.status} instead of {call['status']}")


def main() -> None:
    """Play the capture to its end."""
    lines = Path(CAPTURE).read_text(encoding="utf-8").splitlines()
    calls = sorted(map(json.loads, lines), key=lambda call: call["t_start"])
    done = [threading.Event() for _ in calls]
    began = calls[0]["t_start"]

    def play(number: int) -> None:
        call = calls[number]
        before = [n for n, other in enumerate(calls) if other["t_end"] <= call["t_start"]]
        for earlier in before:
            done[earlier].wait()
        time.sleep(call["t_start"] - max([calls[n]["t_end"] for n in before], default=began))
        send(call)
        done[number].set()

    threads = [threading.Thread(target=play, args=[number]) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(event.is_set() for event in done):
        sys.exit("not every call was answered")


main()
