"""The live hub: follows the hot tier and keeps the graphs that somebody watches up to date.

One thread tails the hot folder, folds the events of watched traces and feeds their graphs; readers
ask for what changed since the state they have. A slow reader therefore needs no queue: it gets the
newest version of everything it missed in one delta.

Invariants:
- One hub a process, also when the app's modules are loaded again.
- A watched trace is told everything that readers of the lake are told: it is watched first, then
  read, then what arrived meanwhile is folded in again, which changes nothing twice.
- The hub holds small fields only; bodies stay in the lake.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import types
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from app.live_trace import LiveTrace, read_rows
from app.span_document import read_document
from tracelake.storage.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.lake import Lake

_LOG = logging.getLogger("tracelake.app.hub")
#: A trace that nobody asked about for this long is dropped from memory.
IDLE_S: Final = 120.0
_WAIT_S: Final = 0.5
_REMEMBERED: Final = 10_000
_HOLDER: Final = "_tracelake_hub_holder"


class Hub:
    """Keeps watched traces current.

    Args:
        lake: The lake whose hot folder is followed.
        clock: Seconds that only rise; replaced in tests.

    Attributes:
        runs: How many traces were told of so far; one that was not for long may count again.
    """

    def __init__(self, lake: Lake, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._clock = clock
        self._lock = threading.Lock()
        self.runs = 0
        self._told: dict[str, None] = {}
        self._traces: dict[str, LiveTrace] = {}
        self._stopping = threading.Event()
        self._tail: Tail[dict[str, Any]] = Tail(lake.hot, from_end=True)
        self._thread = threading.Thread(target=self._run, name="tracelake-hub", daemon=True)

    def start(self) -> None:
        """Begin to follow the hot folder."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; subscribers are woken and find the hub stopped."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self._tail.close()
        for trace in self._watched():
            trace.wake()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def watch(self, trace_id: str) -> LiveTrace:
        """The trace, kept current from now on; read from the lake when it is new here.

        A trace the lake does not know yet is empty until its first span arrives. Blocks while the
        lake is read: call it from a thread.
        """
        with self._lock:
            trace = self._traces.get(trace_id)
            if trace is None:
                trace = self._traces[trace_id] = LiveTrace(trace_id)
        trace.touched = self._clock()
        trace.load(lambda: read_rows(self._lake, trace_id))
        return trace

    def document(self, trace_id: str, span_id: str) -> dict[str, Any] | None:
        """A span with its bodies for the detail panel, None while the lake holds no such span.

        Blocks while the lake is read: call it from a thread.
        """
        return read_document(self._lake, trace_id, span_id)

    def subscribe(self, trace_id: str, loop: asyncio.AbstractEventLoop) -> Subscription:
        """Watch a trace from an event loop; close the subscription at the end."""
        return Subscription(self.watch(trace_id), loop)

    def _watched(self) -> list[LiveTrace]:
        with self._lock:
            return list(self._traces.values())

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._tail.wait(_WAIT_S)
            try:
                self._take(self._tail.poll())
            except OSError:
                _LOG.exception("the hot folder cannot be read; trying again")
                self._stopping.wait(1)
            self._drop_idle()
            for trace in self._watched():
                _apart(trace, trace.settle)

    def _take(self, events: list[dict[str, Any]]) -> None:
        mine: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            mine.setdefault(event["trace_id"], []).append(event)
        self._count(mine)
        with self._lock:
            watched = [(self._traces[key], mine[key]) for key in mine if key in self._traces]
        for trace, news in watched:
            _apart(trace, partial(trace.take, news))

    def _count(self, trace_ids: Iterable[str]) -> None:
        for key in trace_ids:
            if key not in self._told:
                self._told[key] = None
                self.runs += 1
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    def _drop_idle(self) -> None:
        oldest = self._clock() - IDLE_S
        with self._lock:
            for key, trace in list(self._traces.items()):
                if trace.touched < oldest and not trace.has_listeners:
                    del self._traces[key]


def _apart(trace: LiveTrace, act: Callable[[], None]) -> None:
    """Whatever is wrong with one trace is its own."""
    try:
        act()
    except Exception:  # noqa: BLE001 - a thread that ended would follow no run any more
        _LOG.exception("trace %s cannot be drawn; the others go on", trace.trace_id)


class Subscription:
    """One reader's wait for news of a trace, in its own event loop."""

    def __init__(self, trace: LiveTrace, loop: asyncio.AbstractEventLoop) -> None:
        self.trace = trace
        self._loop = loop
        self._news = asyncio.Event()
        trace.listen(self._wake)

    async def wait(self) -> None:
        """Return once something changed since the last return."""
        await self._news.wait()
        self._news.clear()

    def close(self) -> None:
        """No more news."""
        self.trace.unlisten(self._wake)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop is closed: the server is going down
            self.close()


def start(lake: Lake) -> Hub:
    """Start the hub of this process, or give the one that runs."""
    holder = _holder()
    with holder.lock:
        if holder.hub is None:
            holder.hub = Hub(lake)
            holder.hub.start()
        return holder.hub


def stop() -> None:
    """Stop the hub of this process, if one runs."""
    holder = _holder()
    with holder.lock:
        hub, holder.hub = holder.hub, None
    if hub is not None:
        hub.stop()


def current() -> Hub:
    """The hub of this process, started on the app's lake if need be."""
    running: Hub | None = _holder().hub
    if running is not None:
        return running
    from app import service

    return start(service.lake())


def _holder() -> Any:
    """A place that reloading the app's modules does not touch."""
    if _HOLDER not in sys.modules:
        holder: Any = types.ModuleType(_HOLDER)
        holder.lock = threading.Lock()
        holder.hub = None
        sys.modules.setdefault(_HOLDER, holder)
    return sys.modules[_HOLDER]
