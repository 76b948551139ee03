"""A relay under clients that come, read a little and leave at random leaks nothing.

Runs 24 s; `TRACELAKE_SOAK_S=600` makes it ten minutes.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.e2e.relay_support import RelayProcess, Upstream, Wire, ask, relay_and_upstream
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOAK_S = float(os.environ.get("TRACELAKE_SOAK_S", "24"))
PATHS = (
    "/v1/sse?n=30&ms=5&pad=2000",
    "/v1/echo",
    "/v1/big?kb=300",
    "/v1/sse?n=5&cut=1",
    "/v1/drop",
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SOAK_S * 2 + 120)]


def misbehave(port: int, until: float, seed: int) -> None:
    """One client: sends, reads some of the answer or all of it, and leaves, again and again."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        path = chance.choice(PATHS)
        body = b"x" * chance.choice((0, 100, 50_000))
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        # a client that is cut off by the relay, as the paths ask for, is no failure
        with contextlib.suppress(OSError, AssertionError), Wire(port, timeout_s=0.3) as wire:
            sent = head + body
            leaves = chance.random()
            wire.send(sent[: int(len(sent) * chance.random())] if leaves < 0.2 else sent)
            if leaves < 0.2:
                continue
            if leaves < 0.6:
                wanted = chance.randrange(1, 20_000)
                wire.until(lambda got, wanted=wanted: len(got) >= wanted)
                if leaves < 0.3:
                    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            else:
                wire.response()


def rss_mb(process: psutil.Process) -> float:
    """Resident memory of the relay."""
    return process.memory_info().rss / 1e6


def state(relay: RelayProcess, process: psutil.Process) -> dict[str, Any]:
    """What could leak, once nothing is under way."""
    told = eventually(
        lambda: (h := relay.health())["in_flight"] == 0 and h["queued_bytes"] == 0 and h,
        timeout_s=30,
    )
    idle = sum(upstream["idle"] for upstream in told["upstreams"].values())
    connections = sum(upstream["connections"] for upstream in told["upstreams"].values())
    return {
        "files": process.num_fds() - connections,
        "tasks": told["tasks"],
        "clients": told["clients"],
        "busy": connections - idle,
        "rss_mb": rss_mb(process),
        "exchanges": told["exchanges"],
        "dropped": told["dropped"],
    }


def soak(relay: RelayProcess, seconds: float) -> None:
    """Twelve misbehaving clients for so long."""
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=misbehave, args=(relay.port, until, seed)) for seed in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_random_disconnects_leak_nothing(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """After random disconnects no file, task, connection or memory stays behind."""
    with relay_and_upstream(tmp_path) as (relay, upstream):
        assert isinstance(upstream, Upstream)
        process = psutil.Process(relay.process.pid)
        soak(relay, SOAK_S / 4)  # what the allocator keeps for good, it has by now
        before = state(relay, process)
        soak(relay, SOAK_S * 3 / 4)
        after = eventually(lambda: (s := state(relay, process))["clients"] <= 1 and s)
        # what the burst needed is given back once the relay has nothing to do
        most_mb = before["rss_mb"] * 1.2 + 5
        after["rss_mb"] = eventually(lambda: (mb := rss_mb(process)) <= most_mb and mb)
        assert ask(relay.port, "/v1/echo").startswith(b"HTTP/1.1 200")
    figures(f"soak {SOAK_S:g} s: before {before}, after {after}")
    assert after["exchanges"] > before["exchanges"]
    assert after["busy"] == 0
    assert after["tasks"] <= before["tasks"]
    assert after["files"] <= before["files"] + 1
    assert after["dropped"] == 0
