"""One watched trace: its folded spans without bodies, its graph, and who waits for news of it."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import orjson

from tracelake.errors import NotInLake
from tracelake.graph import GraphBuilder
from tracelake.graph.facts import tool_names
from tracelake.schema import SPANS
from tracelake.storage.fold import fold_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracelake.lake import Lake
    from tracelake.storage.fold import FoldedSpan

#: Columns that may be large and that no graph shows.
BODIES: Final = frozenset(
    {"request", "system", "messages", "tools", "parameters", "result", "attributes"}
)
_RESPONSE_CHARS: Final = 600
#: Calls and tools of one agent with nodes of their own.
STACK_AFTER: Final = 150


class LiveTrace:
    """A trace that is kept current; safe for threads.

    Attributes:
        trace_id: The trace.
        epoch: Names this graph's life; positions and sequence numbers of another are void.
        touched: When somebody last asked for it, by the hub's clock.
        changed: When news of it last came, by `time.monotonic`; before any, when it was first
            looked at, since nobody knows yet whether it waits.
    """

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.epoch = uuid.uuid4().hex[:12]
        self.touched = 0.0
        self.changed = time.monotonic()
        self._graph = GraphBuilder(trace_id, stack_after=STACK_AFTER)
        self._spans: dict[str, FoldedSpan | dict[str, Any]] = {}
        self._early: list[Mapping[str, Any]] | None = []  # events that came before `load` was done
        self._lock = threading.RLock()
        self._loading = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()
        self._told = "running"

    def load(self, read: Callable[[], Sequence[dict[str, Any]]]) -> None:
        """Read what the lake holds, once; events that arrive meanwhile are kept and folded in."""
        with self._loading:
            if self._early is None:
                return
            rows = read()
            with self._lock:
                for row in rows:
                    self._spans[row["span_id"]] = row
                self._graph.apply_all(rows)
                early, self._early = self._early, None
                self._fold(early)
        self.wake()

    def take(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Fold new events of this trace in and wake who waits."""
        with self._lock:
            if self._early is not None:
                self._early.extend(events)
                return
            self._fold(events)
        self.wake()

    def message(
        self, since: int = 0, *, known: str | None = None, layout: str = "lanes"
    ) -> dict[str, Any] | None:
        """What changed after the state `since`, as it goes to the browser.

        Args:
            since: Sequence number the reader has; 0 for everything.
            known: Status the reader has; another one is news as well.
            layout: `hierarchy` adds the places of all nodes in that layout.

        Returns:
            `{type, epoch, prev, seq, nodes, edges, lanes, totals, status}`, or None without news.
        """
        with self._lock:
            delta = self._graph.since(since)
            status = self._graph.totals.status(time.time())
            if since and not delta and known in {None, status}:
                return None
            found: dict[str, Any] = {
                "type": "delta" if since else "snapshot",
                "epoch": self.epoch,
                "prev": since,
                "seq": delta.seq,
                "nodes": delta.nodes,
                "edges": delta.edges,
                "lanes": delta.lanes,
                "totals": self._graph.totals.as_dict(),
                "status": status,
            }
            if layout == "hierarchy":
                found["places"] = self._graph.hierarchy()
            return found

    def places(self) -> dict[str, tuple[float, float]]:
        """Places of all nodes in the layout `hierarchy`."""
        with self._lock:
            return self._graph.hierarchy()

    def totals(self, *, now: float | None = None) -> dict[str, Any]:
        """Counts of the whole trace with `status` and `elapsed_s` (None before the first span)."""
        with self._lock:
            totals, moment = self._graph.totals, now or time.time()
            status = totals.status(moment)
            end = moment if status == "running" else totals.last or totals.first
            elapsed = None if totals.first is None else max(0.0, (end or 0) - totals.first)
            return {**totals.as_dict(), "status": status, "elapsed_s": elapsed}

    def summary(self, node_id: str) -> dict[str, Any] | None:
        """The node with that id, or None."""
        with self._lock:
            return self._graph.node(node_id)

    @property
    def has_listeners(self) -> bool:
        """Whether somebody waits for news."""
        return bool(self._listeners)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after every change, from whatever thread made it."""
        with self._lock:
            self._listeners.add(wake)

    def unlisten(self, wake: Callable[[], None]) -> None:
        """Take `listen` back."""
        with self._lock:
            self._listeners.discard(wake)

    def settle(self) -> None:
        """Wake who waits when nothing but time ended the run."""
        if self._told != self._graph.totals.status(time.time()):
            self.wake()

    def wake(self) -> None:
        """Tell everybody who waits."""
        with self._lock:
            self._told = self._graph.totals.status(time.time())
            listeners = list(self._listeners)
        for wake in listeners:
            wake()

    def _fold(self, events: Sequence[Mapping[str, Any]]) -> None:
        if events:
            self.changed = time.monotonic()
        changed: dict[str, None] = {}
        for event in events:
            span_id = event["span_id"]
            self._spans[span_id] = fold_event(self._spans.get(span_id), without_bodies(event))
            changed[span_id] = None
        self._graph.apply_all([self._spans[span_id] for span_id in changed])


def without_bodies(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event whose data keeps what a graph shows: no prompts, no results, a short answer."""
    data = {key: value for key, value in event["data"].items() if key not in BODIES}
    if isinstance(text := data.get("response"), str):
        data["response"] = text[:_RESPONSE_CHARS]
    if blocks := data.get("response_blocks"):
        data["response_blocks"] = _names_only(blocks)
    return {**event, "data": data}


def read_rows(lake: Lake, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace as the lake holds them, without bodies; none of an unknown trace."""
    import polars as pl

    columns = [name for name in SPANS.names if name not in BODIES]
    try:
        frame = lake.trace(trace_id, columns=columns)
    except NotInLake:
        return []
    light = frame.with_columns(
        pl.col("response").str.slice(0, _RESPONSE_CHARS),
        *(pl.lit(None, pl.String).alias(name) for name in BODIES),
    )
    rows = light.to_dicts()
    for row in rows:
        if row["response_blocks"]:
            row["response_blocks"] = _names_only(row["response_blocks"])
    return rows


def _names_only(blocks: object) -> str:
    """Content blocks reduced to the names of the tools they call, as JSON."""
    names = [{"type": "tool_use", "name": name} for name in tool_names(blocks)]
    return orjson.dumps(names).decode()
