"""The collector process: keeps one relay and one ingest process alive.

Prints one JSON line once both serve (`{"relay": …, "otlp": …, "pid": …, "secret": …}`, or
`{"error": …}`), then only logs. A child that dies is started again, after a pause that grows while
it keeps dying; it comes back on the same port. SIGTERM and SIGINT stop both in order: the relay
first, so that ingest still reads what it recorded last.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import logging
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.ingest.collector import LOCK_NAME, STATE_NAME, State
from tracelake.processes import stop_on_signals, tell_starter, when_parent_ends
from tracelake.storage.files import atomic_write

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

log = logging.getLogger("tracelake.collector")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
#: A child that lived this long is healthy again: its next death starts with the first pause.
HEALTHY_AFTER_S = 30.0
CHILD_STOP_S = 8.0


class Child:
    """One supervised process that says on its first line of output that it serves."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = list(command)
        self.pause_s = FIRST_PAUSE_S
        self.restarts = 0
        self._start()

    def _start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> dict[str, str]:
        """Its first line of output as JSON; empty when it ended without one."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        with contextlib.suppress(ValueError):
            return json.loads(line)
        return {}

    def revive(self, stopping: threading.Event) -> None:
        """Start it again after its pause."""
        lived_s = time.monotonic() - self.started
        if lived_s > HEALTHY_AFTER_S:
            self.pause_s = FIRST_PAUSE_S
        log.warning(
            "%s ended with exit code %s, starting it again in %.1f s",
            self.name,
            self.process.returncode,
            self.pause_s,
        )
        if stopping.wait(self.pause_s):
            return
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        self.restarts += 1
        if self.process.stdout:
            self.process.stdout.close()
        self._start()
        self.ready()

    def stop(self) -> None:
        """Ask it to end, wait, and end it for good when it does not."""
        self.process.terminate()
        try:
            self.process.wait(CHILD_STOP_S)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in %s s and was killed", self.name, CHILD_STOP_S)
            self.process.kill()
            self.process.wait()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracelake.ingest.supervisor")
    parser.add_argument("--tables", required=True)
    parser.add_argument("--hot", required=True, type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--any-port", action="store_true")
    parser.add_argument("--otlp-port", type=int, required=True)
    parser.add_argument("--any-otlp-port", action="store_true")
    parser.add_argument("--anthropic-backend", required=True)
    parser.add_argument("--openai-backend", required=True)
    parser.add_argument("--upstream", action="append", default=[])
    return parser.parse_args(argv)


def _relay_command(options: argparse.Namespace, port: int) -> list[str]:
    command = [sys.executable, "-m", "tracelake.relay", "--with-parent", "--hot", str(options.hot)]
    command += ["--host", options.host, "--port", str(port)]
    command += ["--anthropic-backend", options.anthropic_backend]
    command += ["--openai-backend", options.openai_backend]
    for upstream in options.upstream:
        command += ["--upstream", upstream]
    return command


def _start_relay(options: argparse.Namespace) -> tuple[Child, str] | str:
    """The relay and its address, or why there is none."""
    ports = [options.port, 0] if options.any_port and options.port else [options.port]
    ready: dict[str, str] = {}
    for port in ports:
        relay = Child("relay", _relay_command(options, port))
        ready = relay.ready()
        if "address" in ready:
            address = ready["address"]
            relay.command = _relay_command(options, int(address.rsplit(":", 1)[1]))
            return relay, address
        relay.process.wait()
    return ready.get("error", "the relay did not start: its log above says why")


def _ingest_command(options: argparse.Namespace, relay: str, otlp: str | None) -> list[str]:
    """How ingest is started: first anywhere it may listen, later where it listened first."""
    command = [sys.executable, "-m", "tracelake.ingest", "--tables", options.tables]
    command += ["--hot", str(options.hot), "--relay", relay, "--host", options.host]
    if otlp is not None:
        return [*command, "--otlp-port", otlp.rsplit(":", 1)[1]]
    any_port = ["--any-port"] if options.any_port or options.any_otlp_port else []
    return [*command, "--otlp-port", str(options.otlp_port), *any_port]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a collector until it is told to stop; the exit code is 1 where it could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parse(argv)
    options.hot.mkdir(parents=True, exist_ok=True)
    lock = os.open(options.hot / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _fail("another collector already serves this lake")
    (options.hot / STATE_NAME).unlink(missing_ok=True)  # of one that was killed
    stopping = stop_on_signals()
    when_parent_ends(stopping.set)
    secret = secrets.token_urlsafe(24)
    # by the environment: arguments are visible to every user of the machine
    os.environ["TRACELAKE_CONTROL_SECRET"] = secret
    started = _start_relay(options)
    if isinstance(started, str):
        return _fail(started)
    relay, address = started
    ingest = Child("ingest", _ingest_command(options, address, None))
    ready = ingest.ready()
    if "otlp" not in ready:
        relay.stop()
        ingest.stop()
        why = "the ingest process did not start: its log above says why"
        return _fail(ready.get("error", why))
    ingest.command = _ingest_command(options, address, ready["otlp"])
    state = State(os.getpid(), address, secret, ready["otlp"])
    atomic_write(options.hot / STATE_NAME, state.to_json(), mode=0o600)
    if not tell_starter(state.to_json()):
        stopping.set()
    while not stopping.wait(0.2):
        for child in (relay, ingest):
            if child.process.poll() is not None:
                child.revive(stopping)
    relay.stop()
    ingest.stop()
    (options.hot / STATE_NAME).unlink(missing_ok=True)
    return 0


def _fail(why: str) -> int:
    tell_starter(json.dumps({"error": why}).encode())
    return 1


if __name__ == "__main__":
    sys.exit(main())
