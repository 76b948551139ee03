"""What lives as long as the app's process: the lake, the collector and their start and stop.

Invariants:
- One lake a process: `TRACELAKE_DIR`, else `~/.tracelake`.
- The collector is adopted when one of the same lake runs already, and then outlives the app.
- Other machines are served only with `TRACELAKE_TOKEN`.
"""

from __future__ import annotations

import functools
import gc
import logging
import socket
import sys
import threading
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import streamlit as st
from anyio import to_thread

from app import hub
from app.demos import Demos
from app.routes import guard
from tracelake.config import locate
from tracelake.demo.launch import running_provider
from tracelake.errors import LakeError
from tracelake.ingest import collector, settings, state
from tracelake.lake import Lake
from tracelake.model import utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from app.demos import Demo
    from tracelake.config import Location
    from tracelake.demo.launch import RunningProvider
    from tracelake.ingest.settings import Settings

_LOG = logging.getLogger("tracelake.app")


@functools.cache
def location() -> Location:
    """Where the lake of this process lives."""
    return locate()


@functools.cache
def lake() -> Lake:
    """The lake of this process, shared by every session and route."""
    return Lake(location())


@functools.cache
def demos() -> Demos:
    """The demos that pages started."""
    return Demos()


@dataclass(frozen=True, slots=True)
class Displaced:
    """The relay listens at another port than it was to.

    Attributes:
        wanted: Port of the lake's settings, which another program had.
        used: Port that it listens at instead.
        is_free: Whether it could listen at `wanted` by now.
    """

    wanted: int
    used: int
    is_free: bool


class _Collecting:
    """The collector of this process's lake: one, adopted or started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._options = collector.Options(any_port=True)
        self._wanted: int | None = None
        self._running: collector.Collector | None = None

    def ensure(self) -> collector.Collector:
        with self._lock:
            # one that ended by itself, or was another's and is gone, is no collector any more
            if self._running is not None and collector.find_running(location()) is None:
                self._running.stop()
                self._running = None
            if self._running is None:
                self._running = self._start()
            return self._running

    def _start(self) -> collector.Collector:
        wanted = settings.read_settings(location()).port
        if wanted != self._wanted:
            self._options = replace(self._options, port=wanted)
        running = collector.ensure_running(location(), self._options)
        # started again it listens where programs have been told to send
        relay, otlp = urlsplit(running.state.relay).port, urlsplit(running.state.otlp).port
        self._options = replace(self._options, port=relay, otlp_port=otlp)
        self._wanted = wanted
        return running

    def displaced(self) -> tuple[int, int] | None:
        """The port that the relay was to have and the one it has, where they differ."""
        with self._lock:
            if self._running is None or not self._running.is_owned or self._wanted is None:
                return None
            used = urlsplit(self._running.state.relay).port or self._wanted
            return None if used == self._wanted else (self._wanted, used)

    def is_owned(self) -> bool:
        with self._lock:
            return self._running is not None and self._running.is_owned

    def stop(self, *, forget_ports: bool = False) -> None:
        """Stop it; the next one listens where this one did, or where the settings say."""
        with self._lock:
            if self._running is not None:
                self._running.stop()
                self._running = None
            if forget_ports:
                self._wanted = None


_collecting = _Collecting()


def running_collector() -> collector.Collector:
    """The collector of this lake, adopted or started at the first call.

    Raises:
        TraceLakeError: It could not be started; the next call tries again.
    """
    return _collecting.ensure()


@functools.cache
def _open_provider() -> tuple[RunningProvider, ExitStack]:
    stack = ExitStack()
    return stack.enter_context(running_provider(pace=1.0)), stack


def offline_provider() -> RunningProvider:
    """The offline provider of this process, started when it is first needed.

    Raises:
        TraceLakeError: It did not start.
    """
    if _open_provider.cache_info().currsize and _open_provider()[0].process.poll() is not None:
        _open_provider.cache_clear()
    return _open_provider()[0]


def stop_provider() -> None:
    """Stop the offline provider, if one was started."""
    if _open_provider.cache_info().currsize:
        _open_provider()[1].close()
        _open_provider.cache_clear()


def addresses() -> dict[str, str] | None:
    """What to export for clients, or None while no collector runs.

    Returns:
        `anthropic_base_url`, `openai_base_url`, `relay` and `otlp`.
    """
    found = collector.find_running(location())
    return found.addresses if found is not None else None


def collector_health() -> dict[str, Any] | None:
    """What the relay says of itself, with its `address`, or None while no collector runs.

    Raises:
        LakeError: It runs but does not answer.
    """
    found = collector.find_running(location())
    if found is None:
        return None
    return {**found.health(), "address": found.addresses["relay"]}


def ingest_problem() -> str | None:
    """What keeps recorded calls from becoming spans or Parquet, None when nothing does."""
    return state.problem_of(state.read_state(location().hot), utc_now())


def read_settings() -> Settings:
    """The settings of this lake's collector.

    Raises:
        ConfigError: They are damaged.
    """
    return settings.read_settings(location())


def write_settings(changed: Settings) -> None:
    """Keep the settings of this lake's collector; `restart_collector` makes them hold.

    Raises:
        ConfigError: A collector could not use them; what was there stays.
        LakeError: They could not be written.
    """
    try:
        settings.write_settings(location(), changed)
    except OSError as error:
        raise LakeError(f"the settings could not be written: {error}") from error


def owns_collector() -> bool:
    """Whether the collector was started by this process, which may then restart it."""
    return _collecting.is_owned()


def restart_collector(*, at_wanted_port: bool = False) -> None:
    """Stop the collector that this process started and start it again at the same address.

    Calls in flight may end first. Where the settings name another port by now it takes that.

    Args:
        at_wanted_port: At the port of the settings, whatever it had instead.

    Raises:
        TraceLakeError: It did not start again.
    """
    _collecting.stop(forget_ports=at_wanted_port)
    running_collector()


def displaced() -> Displaced | None:
    """Where the relay listens instead of at the port it was to have; None where it has that."""
    ports = _collecting.displaced()
    return Displaced(*ports, is_free=_is_free(ports[0])) if ports else None


def _is_free(port: int) -> bool:
    """Whether a relay could listen there; nobody is contacted."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((collector.Options().host, port))
        except OSError:
            return False
    return True


def stop_collector() -> None:
    """Stop the collector if this process started it, and forget it."""
    _collecting.stop()


def start_demo() -> Demo:
    """Start the demo, and the collector that is to record it where none runs."""
    return demos().start(lake(), lambda: collector.find_running(location()) or running_collector())


@functools.cache
def app_version() -> str:
    """The installed version of Trace Lake."""
    return version("tracelake")


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncGenerator[dict[str, object]]:
    """Start the live hub and the collector with the app, and stop with it what it started."""
    # what is loaded by now stays: taken out of every later collection
    gc.collect()
    gc.freeze()
    hub.start(lake())
    try:
        await to_thread.run_sync(running_collector)
    except Exception:  # noqa: BLE001 - the pages show it; what is recorded stays readable
        _LOG.exception("the collector did not start")
    try:
        yield {}
    finally:
        await to_thread.run_sync(demos().stop)
        await to_thread.run_sync(stop_provider)
        await to_thread.run_sync(hub.stop)
        await to_thread.run_sync(stop_collector)


def refuse_open_binding() -> None:
    """End the process when it is about to serve other machines without an access token."""
    address = st.get_option("server.address")
    if guard.access_token() is not None:
        # the owner chose to be reached under names that only he knows
        st.set_option("server.allowedHosts", [])
    elif not guard.is_loopback(address or "0.0.0.0"):
        sys.exit(
            f"tracelake: refusing to listen on {address or 'every address'}: "
            f"set {guard.TOKEN_ENV} to a secret that visitors must know, "
            "or leave out --server.address"
        )
