"""The collector of a lake, seen from outside: find it, start it, stop it, redirect a run.

A collector is one supervising process (`tracelake.ingest.supervisor`) with two children: the relay
and the ingest process. It holds an exclusive lock on `hot/.collector.lock` while it lives and
writes its addresses to `hot/collector.json`, so that others find and adopt it.

Invariants:
- One collector per hot folder.
- Who adopted a collector never stops it; who started it does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tracelake.config import OTLP_PORT, Location
from tracelake.errors import LakeError
from tracelake.ingest.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

LOCK_NAME = ".collector.lock"
STATE_NAME = "collector.json"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a collector is to be started.

    Attributes:
        host: Address to bind; anything but loopback demands a token.
        port: Port of the relay; 0 takes a free one, None that of the lake's settings.
        any_port: Take a free port where one is in use.
        otlp_port: Port that receives OpenTelemetry; 0 takes a free one. None takes the usual one,
            a free one where that is in use or where `port` is 0.
        anthropic_backend: Base URL of Anthropic; None takes the lake's settings.
        openai_backend: Base URL of OpenAI; None takes the lake's settings.
        upstreams: Upstreams by name besides those of the lake's settings, before which they go.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    any_port: bool = False
    otlp_port: int | None = None
    anthropic_backend: str | None = None
    openai_backend: str | None = None
    upstreams: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def names_providers(self) -> bool:
        """Whether a provider is given, which a collector that runs already would not know."""
        return bool(self.anthropic_backend or self.openai_backend or self.upstreams)


@dataclass(frozen=True, slots=True)
class State:
    """What a running collector tells of itself in `collector.json`.

    Attributes:
        pid: Process id of the supervisor.
        relay: Address of the relay, for example `http://127.0.0.1:8001`.
        secret: Lets its user redirect runs; the file is readable by the owner only.
        otlp: Address that receives OpenTelemetry, for example `http://127.0.0.1:4318`; empty for a
            collector of an earlier version, which receives none.
    """

    pid: int
    relay: str
    secret: str
    otlp: str = ""

    def to_json(self) -> bytes:
        """As it stands in the file."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> State:
        """The state that a collector told.

        Raises:
            KeyError: Something is missing.
        """
        return State(
            int(found["pid"]),
            str(found["relay"]),
            str(found["secret"]),
            str(found.get("otlp", "")),
        )


class Collector:
    """A running collector, adopted or started by us."""

    def __init__(self, state: State, process: subprocess.Popen[str] | None = None) -> None:
        self.state = state
        self._process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def is_owned(self) -> bool:
        """Whether this process started it and therefore stops it."""
        return self._process is not None

    @property
    def is_alive(self) -> bool:
        """Whether the collector that this process started still runs; True for an adopted one."""
        return self._process is None or self._process.poll() is None

    @property
    def addresses(self) -> dict[str, str]:
        """What to export: `anthropic_base_url`, `openai_base_url`, `relay`, `otlp`."""
        return {**base_urls(self.state.relay), "otlp": self.state.otlp}

    def health(self, timeout_s: float = 2.0) -> dict[str, Any]:
        """What `/health` of the relay answers.

        Raises:
            LakeError: The relay does not answer.
        """
        return self._call("GET", "/health", timeout_s=timeout_s)

    def redirect(self, run_id: str, address: str) -> None:
        """Send the calls of one run to another local address instead of their provider.

        Raises:
            LakeError: The relay does not answer or refuses.
        """
        self._call("POST", f"/control/runs/{run_id}", {"address": address})

    def release(self, run_id: str) -> None:
        """Take a redirection back.

        Raises:
            LakeError: The relay does not answer or refuses.
        """
        self._call("DELETE", f"/control/runs/{run_id}")

    def stop(self) -> None:
        """Stop it if this process started it; calls in flight may end first."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _call(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = 5.0
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self.state.relay + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "X-Tracelake-Control": self.state.secret,
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")
        except (OSError, ValueError) as error:
            raise LakeError(f"the relay at {self.state.relay} does not answer: {error}") from error


def base_urls(relay: str, *, run_id: str | None = None) -> dict[str, str]:
    """The base URLs that point SDKs at a relay, optionally at one run of it."""
    prefix = f"{relay}/r/{run_id}" if run_id else relay
    return {
        "relay": relay,
        "anthropic_base_url": prefix,
        "openai_base_url": f"{prefix}/v1",
    }


def find_running(location: Location) -> Collector | None:
    """The collector that serves this lake now, or None."""
    return _read_state(location.hot) if _is_taken(location.hot) else None


def _is_taken(hot: Path) -> bool:
    """Whether a collector serves this hot folder, or is about to."""
    try:
        descriptor = os.open(hot / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_state(hot: Path) -> Collector | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return Collector(State.from_json(json.loads((hot / STATE_NAME).read_bytes())))
    return None


def start(location: Location, options: Options) -> Collector:
    """Start a collector as a child of this process and wait until it serves.

    What `options` leave open is taken from the lake's settings.

    Raises:
        ConfigError: The lake's settings cannot be used.
        LakeError: It did not come up; the message is its own last word.
    """
    settings = read_settings(location)
    command = [sys.executable, "-m", "tracelake.ingest.supervisor"]
    command += ["--tables", location.tables, "--hot", str(location.hot)]
    port = settings.port if options.port is None else options.port
    command += ["--host", options.host, "--port", str(port)]
    command += ["--any-port"] if options.any_port else []
    usual = OTLP_PORT if port else 0
    command += ["--otlp-port", str(usual if options.otlp_port is None else options.otlp_port)]
    command += ["--any-otlp-port"] if options.otlp_port is None else []
    command += ["--anthropic-backend", options.anthropic_backend or settings.anthropic_backend]
    command += ["--openai-backend", options.openai_backend or settings.openai_backend]
    for name, url in {**settings.upstreams, **options.upstreams}.items():
        command += ["--upstream", f"{name}={url}"]
    # a session of its own: Ctrl+C in our terminal is for us, and we stop it in order
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TRACELAKE_REDACT": _patterns(settings)},
    )
    line = process.stdout.readline() if process.stdout else ""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = {"error": f"the collector ended with exit code {process.wait(STOP_TIMEOUT_S)}"}
    if "error" in answer:
        process.communicate(timeout=STOP_TIMEOUT_S)
        raise LakeError(str(answer["error"]))
    return Collector(State.from_json({**answer, "pid": process.pid}), process)


def _patterns(settings: Settings) -> str:
    """What is to be redacted: the environment's patterns and the lake's, one a line."""
    return "\n".join([os.environ.get("TRACELAKE_REDACT", ""), *settings.redact])


def ensure_running(location: Location, options: Options | None = None) -> Collector:
    """The collector of this lake: adopted where one runs or is being started, else started.

    Raises:
        LakeError: None could be started.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while _is_taken(location.hot) and time.monotonic() < deadline:
        if found := _read_state(location.hot):
            return found
        time.sleep(0.05)
    return start(location, options or Options())
