"""The relay as a whole: listens, forwards, records, drains."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from tracelake.relay.access import Access, check_binding, is_loopback
from tracelake.relay.client import ClientConnection
from tracelake.relay.departures import Departures
from tracelake.relay.recorder import Recorder
from tracelake.relay.redact import Redaction
from tracelake.relay.routing import Backend, Router
from tracelake.relay.seam import ControlTable
from tracelake.relay.upstream import IDLE_S, Pool, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_log = logging.getLogger(__name__)

#: Calls in flight get this long to end after SIGTERM.
DRAIN_S = 10.0

#: How long the recorder's thread waits for the interpreter while the event loop is busy. Of five
#: milliseconds, Python's own choice, it could not keep up.
_SWITCH_INTERVAL_S = 0.001


class Relay:
    """What all connections share.

    Attributes:
        clients: The open client connections.
        refused: Requests that were answered with a refusal.
        is_draining: It serves what is in flight and nothing else.
    """

    def __init__(
        self,
        hot: Path,
        backends: Iterable[Backend],
        *,
        access: Access | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        known = {backend.name: backend for backend in backends}
        tls = tls_context() if any(b.scheme == "https" for b in known.values()) else None
        self.hot = hot
        self.router = Router(known)
        self.pools = {name: Pool(backend, tls) for name, backend in known.items()}
        self.access = access or Access()
        self.recorder = Recorder(hot, redaction or Redaction())
        self.control = ControlTable()
        self.departures = Departures()
        self.clients: set[ClientConnection] = set()
        self.refused = 0
        self.is_draining = False
        self.address = ""
        self._started = time.time()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the address.

        Raises:
            ConfigError: The address is open to other machines and no token is set.
            OSError: The address cannot be listened on.
        """
        check_binding(host, self.access.token)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self), host, port, backlog=2048
        )
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.address = f"http://{shown}:{bound[1]}"
        self.departures.start(loop)
        self.recorder.start()
        return self.address

    async def sweep(self) -> None:
        """Close connections that have been idle for long; runs until cancelled."""
        while True:
            await asyncio.sleep(5.0)
            for pool in (*self.pools.values(), *self.control.pools()):
                pool.close_idle(older_than_s=IDLE_S)

    async def stop(self, *, drain_s: float = DRAIN_S) -> None:
        """Stop listening, let calls in flight end for so long, write every record, and stop."""
        self.is_draining = True
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.drain()
        deadline = time.monotonic() + drain_s
        while self.clients and time.monotonic() < deadline:  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.02)
        for client in list(self.clients):
            client.cut()
        for pool in self.pools.values():
            pool.close_idle()
        self.departures.stop()
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, self.recorder.close)

    @property
    def in_flight(self) -> int:
        """Calls being served."""
        return sum(client.in_flight for client in self.clients)

    def is_own_name(self, host: str | None) -> bool:
        """Whether a `Host` header names this relay and not a foreign name bound to its address."""
        name = (urlsplit(f"//{host or ''}").hostname or "").lower()
        if is_loopback(name) or self.access.token is not None:
            return True
        return name == (urlsplit(self.address).hostname or "")

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        recorder = self.recorder.health()
        return {
            "status": "degraded" if recorder["spool_error"] else "ok",
            "role": "relay",
            "hot": str(self.hot),
            "uptime_s": round(time.time() - self._started, 3),
            "exchanges": self.recorder.exchanges,
            "in_flight": self.in_flight,
            "refused": self.refused,
            "clients": len(self.clients),
            "tasks": len(asyncio.all_tasks()),
            "controlled_runs": len(self.control),
            **recorder,
            "upstreams": {name: pool.health() for name, pool in self.pools.items()},
        }


async def serve(
    relay: Relay,
    host: str,
    port: int,
    *,
    announce: Callable[[str], None],
    drain_s: float = DRAIN_S,
) -> None:
    """Serve until SIGTERM or SIGINT; a second signal cuts the drain short.

    Args:
        relay: The relay.
        host: Address to listen on.
        port: 0 for a free one.
        announce: Called with the relay's address once it serves.
        drain_s: How long calls in flight get to end.
    """
    raise_file_limit()
    spare_the_collector()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    loop = asyncio.get_running_loop()
    asked = [asyncio.Event(), asyncio.Event()]

    def stop() -> None:
        asked[asked[0].is_set()].set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    address = await relay.start(host, port)
    sweeper = asyncio.create_task(relay.sweep())
    announce(address)
    await asked[0].wait()
    sweeper.cancel()
    stopping = asyncio.create_task(relay.stop(drain_s=drain_s))
    impatient = asyncio.create_task(asked[1].wait())
    await asyncio.wait({stopping, impatient}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        await relay.stop(drain_s=0.0)
    impatient.cancel()


def raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have: each call takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS: "unlimited" cannot be set
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spare_the_collector() -> None:
    """Collect garbage rarely: a call leaves no cycles behind, and a collection delays others."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def announcement(address: str, pid: int) -> bytes:
    """The one line that the relay prints once it serves."""
    return orjson.dumps({"address": address, "pid": pid})
