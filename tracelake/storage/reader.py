"""Hot and cold as one: what a process reads of a lake.

    Reader(location).spans() .traces() .trace(id) .latest_traces(limit) .exchanges() .files(table)

Invariants:
- Every acknowledged event is in the answer exactly once, also while a seal, a compaction or a
  vacuum is going on: the segments are listed first, then one version of the table is loaded, its
  carry and the tails after its offsets are read; when a seal moved them, all is looked at again.
- A span that is sealed and has later facts in the hot tier is one row: the sealed one, amended.
- Repeated reads parse new bytes only. Safe for threads.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from tracelake.errors import LakeError, NotInLake
from tracelake.schema import SPANS, TABLES, TRACES, polars_schema
from tracelake.storage import cold, damage, tombstones
from tracelake.storage.carry import carry_path, missing
from tracelake.storage.claim import carry_key
from tracelake.storage.derive import lagging_traces
from tracelake.storage.exchanges import hot_exchanges
from tracelake.storage.fold import amend
from tracelake.storage.hot import HotView, Moved
from tracelake.storage.options import storage_options
from tracelake.storage.records import KEYS, no_table_of_records, scan_records
from tracelake.storage.rollup import NEEDED, roll_up
from tracelake.storage.segment import list_segments
from tracelake.storage.table import DeltaStore, Snapshot
from tracelake.storage.tombstones import TOMBSTONES, Tombstones
from tracelake.storage.xlog import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tracelake.config import Location
    from tracelake.storage.cold import Days
    from tracelake.storage.fold import Key

T = TypeVar("T")

_RETRIES = 50
_RETRY_PAUSE_S = 0.01
_KEY = ["trace_id", "span_id"]


@dataclass(frozen=True, slots=True)
class View:
    """One consistent state of the lake.

    What is hot belongs to the reader, who goes on to change it: `hot`, `by_trace` and `days` hold
    only while the reader's lock is held.

    Attributes:
        spans: Sealed spans.
        traces: Sealed roll-ups.
        hot: Unsealed spans, merged with their sealed rows where they have any.
        by_trace: Span ids of the unsealed spans.
        amended: Keys in `hot` that have a sealed row, which `hot` replaces.
        days: Of the hot traces that have sealed spans, where those are.
        lagging: Traces whose sealed roll-up is older than their sealed spans.
        deleted: What is hidden; the hot parts are without it already.
    """

    spans: Snapshot
    traces: Snapshot
    hot: Mapping[Key, Mapping[str, Any]]
    by_trace: Mapping[str, Collection[str]]
    amended: frozenset[Key]
    days: Mapping[str, Days | None]
    lagging: frozenset[str]
    deleted: Tombstones
    serial: int


@dataclass(frozen=True, slots=True)
class FreshTraces:
    """Roll-ups that are not sealed, or are out of date there.

    Attributes:
        serial: Of the view they were made of.
        lagging: Of that view: it may shrink while nothing else of the view changes.
        replaced: Traces whose sealed roll-up does not count.
        frame: The roll-ups that count instead.
    """

    serial: int
    lagging: frozenset[str]
    replaced: frozenset[str]
    frame: pl.DataFrame


class Reader:
    """Reads one lake, from any thread."""

    def __init__(self, location: Location) -> None:
        self.location = location
        options = storage_options(location)
        self._stores = {
            name: DeltaStore(location.tables, table, options) for name, table in TABLES.items()
        }
        self._marks = DeltaStore(location.tables, TOMBSTONES, options)
        self._deleted = Tombstones()
        self._lock = threading.RLock()
        self._hot = HotView(location)
        self._merged: dict[Key, Mapping[str, Any]] = {}
        self._rows: dict[Key, dict[str, Any]] = {}
        self._days: dict[str, Days | None] = {}
        self._known: tuple[int, ...] = ()
        self._lagging: tuple[tuple[int, int], frozenset[str]] = ((-2, -2), frozenset())
        self._frame: tuple[int, pl.DataFrame] = (-1, pl.DataFrame())
        self._fresh = FreshTraces(-1, frozenset(), frozenset(), pl.DataFrame())
        #: Days of sealed traces that were opened, of one version of `traces`.
        self._placed: tuple[int, dict[str, Days | None]] = (-2, {})
        self._serial = 0

    def answer(self, ask: Callable[[], T]) -> T:
        """What `ask` gives; asked again without damaged files when it fails on one."""
        return damage.answer([*self._stores.values()], ask)

    def spans(self) -> pl.LazyFrame:
        """One row per span."""
        view, hot = self.view_of_spans()
        sealed = view.deleted.visible(cold.current(view.spans))
        if view.amended:
            replaced = pl.LazyFrame(sorted(view.amended), schema=_KEY, orient="row")
            sealed = sealed.join(replaced, on=_KEY, how="anti")
        return pl.concat([sealed, hot.lazy()]) if hot.height else sealed

    def trace(
        self,
        trace_id: str,
        columns: Sequence[str] | None = None,
        span_ids: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """Spans of one trace in start order; of sealed ones only the wanted columns are read.

        Raises:
            NotInLake: There is none.
        """
        with self._lock:
            view = self._view()
            there = view.by_trace.get(trace_id, ())
            wanted = there if span_ids is None else [span for span in there if span in span_ids]
            hot = to_frame(view.hot[trace_id, span] for span in wanted)
            days = self._days_of(view, trace_id)
        names = list(SPANS.names) if columns is None else list(columns)
        read = list(dict.fromkeys([*names, *_KEY, "start_time"]))
        frames = [hot.select(read)]
        if days:
            sealed = view.deleted.visible(cold.scan_traces(view.spans, days))
            if span_ids is not None:
                sealed = sealed.filter(pl.col("span_id").is_in(list(span_ids)))
            rows = sealed.select(read).collect()
            frames.insert(0, rows.join(hot, on=_KEY, how="anti"))
        found = pl.concat(frames)
        if found.is_empty():
            what = f"trace {trace_id}" if span_ids is None else f"such span in trace {trace_id}"
            raise NotInLake(f"no {what} in {self.location.tables}: see tracelake ls")
        return found.sort("start_time", "span_id").select(names)

    def traces(self) -> pl.LazyFrame:
        """One row per trace."""
        view, fresh = self.view_of_traces()
        return _with_fresh(view, view.traces.scan(), fresh)

    def latest_traces(self, limit: int) -> pl.DataFrame:
        """The traces that started last, newest first, from as few days as hold them."""
        view, fresh = self.view_of_traces()
        wanted = limit + len(fresh.replaced) + len(view.deleted.trace_ids)
        rows, upto = 0, None
        for file in view.traces.files:  # newest day first
            if rows >= wanted and file.date != upto:
                break
            rows, upto = rows + file.rows, file.date
        newest = [file for file in view.traces.files if upto is not None and file.date >= upto]
        scanned = _with_fresh(view, view.traces.scan(newest), fresh)
        return (
            scanned.top_k(limit, by=["start_time", "trace_id"])
            .collect()
            .sort("start_time", "trace_id", descending=True)
        )

    def exchanges(self) -> pl.LazyFrame:
        """One row per HTTP exchange."""
        snapshot, hot, deleted = self.view_of_exchanges()
        sealed = deleted.visible(snapshot.scan())
        return pl.concat([sealed, hot.lazy()]) if hot.height else sealed

    def view_of_spans(self) -> tuple[View, pl.DataFrame]:
        """The present state, and its hot spans as rows."""
        with self._lock:
            view = self._view()
            return view, self._hot_frame(view)

    def view_of_traces(self) -> tuple[View, FreshTraces]:
        """The present state, and the roll-ups that replace sealed ones or have none."""
        with self._lock:
            view = self._view()
            fresh = self._fresh_roll_ups(view)
        if view.deleted:
            fresh = replace(fresh, frame=view.deleted.visible(fresh.frame.lazy()).collect())
        return view, fresh

    def view_of_exchanges(self) -> tuple[Snapshot, pl.DataFrame, Tombstones]:
        """Sealed exchanges, hot ones as rows, and what is deleted of the sealed."""
        store = self._stores["exchanges"]
        for _ in range(_RETRIES):
            segments = list_segments(self.location.hot, SUFFIX)
            snapshot = store.snapshot()
            try:
                hot = hot_exchanges(self.location, segments, snapshot)
            except Moved:
                time.sleep(_RETRY_PAUSE_S)
                continue
            with self._lock:
                deleted = self._read_deleted()
            return snapshot, deleted.visible(hot.lazy()).collect() if deleted else hot, deleted
        raise self._unsettled("exchanges", SUFFIX)

    def records(self, name: str) -> pl.LazyFrame:
        """The rows of a small table that count.

        Raises:
            LakeError: There is no such table.
        """
        if name not in KEYS:
            raise no_table_of_records(name)
        return scan_records(self._stores[name], self._marks)

    def files(self, name: str) -> list[str]:
        """Live Parquet URIs of a table.

        Raises:
            LakeError: There is no such table.
        """
        return [file.uri for file in self.snapshot(name).files]

    def snapshot(self, name: str) -> Snapshot:
        """The newest version of a table.

        Raises:
            LakeError: There is no such table.
        """
        if name not in self._stores:
            raise LakeError(f"no table {name!r}: there are {', '.join(self._stores)}")
        return self._stores[name].snapshot()

    def _view(self) -> View:
        """The present state; the lock is held."""
        for _ in range(_RETRIES):
            segments = list_segments(self.location.hot)
            spans = self._stores["spans"].snapshot()
            try:
                self._hot.refresh(segments, spans)
                return self._merge(spans)
            except (Moved, FileNotFoundError):
                self._known = ()
                time.sleep(_RETRY_PAUSE_S)
            except BaseException:
                self._known = ()  # what was taken from the hot view is not merged: begin anew
                raise
        raise self._unsettled("spans", ".jsonl")

    def _unsettled(self, name: str, suffix: str) -> LakeError:
        """Why no look at the hot folder agreed with the table."""
        hot = self.location.hot
        number = self._stores[name].snapshot().offset(carry_key(self.location))
        path = carry_path(hot, number, suffix)
        if number and not path.exists():
            return missing(path)
        return LakeError(f"{hot} changes too fast to be read: try again")

    def _merge(self, spans: Snapshot) -> View:
        hot = self._hot
        deleted = self._read_deleted()
        state = (hot.generation, spans.version, deleted.version)
        changed = hot.take_changed()
        traces = self._stores["traces"].snapshot()
        lagging = self._lagging_traces(spans, traces)
        if state != self._known:
            self._merged, self._rows, self._days = {}, {}, {}
            changed = set(hot.spans)
            self._known = state
            self._serial += 1
        elif changed:
            self._serial += 1
        unplaced = {key[0] for key in changed} - self._days.keys()
        if unplaced and spans.files:
            found: dict[str, Days | None] = dict(cold.read_trace_days(traces, unplaced))
            found.update(dict.fromkeys(unplaced & lagging))
            self._days.update(found)
        late = {key for key in changed if key not in hot.carried and key not in self._rows}
        if late and self._days:
            self._rows.update(cold.read_spans(spans, late, self._days))
        for key in changed:
            row = self._rows.get(key)
            span = hot.spans[key] if row is None else amend(row, hot.spans[key])
            if not deleted.hides(key[0], span["start_time"]):
                self._merged[key] = span
        by_trace: Mapping[str, Collection[str]] = hot.by_trace
        if deleted:
            there = {key[0] for key in self._merged}
            by_trace = {
                trace_id: [span for span in spans_of if (trace_id, span) in self._merged]
                for trace_id, spans_of in hot.by_trace.items()
                if trace_id in there
            }
        return View(
            spans, traces, self._merged, by_trace, frozenset(self._rows), self._days,
            lagging, deleted, self._serial,
        )  # fmt: skip

    def _read_deleted(self) -> Tombstones:
        snapshot = self._marks.snapshot()
        if snapshot.version != self._deleted.version:
            self._deleted = tombstones.read(snapshot)
        return self._deleted

    def _lagging_traces(self, spans: Snapshot, traces: Snapshot) -> frozenset[str]:
        versions = (spans.version, traces.version)
        if versions != self._lagging[0]:
            key = carry_key(self.location)
            found = lagging_traces(self._stores["spans"], spans, traces, key)
            self._lagging = (versions, frozenset(found))
        return self._lagging[1]

    def _days_of(self, view: View, trace_id: str) -> dict[str, Days | None]:
        if trace_id in view.days:
            return {trace_id: view.days[trace_id]}
        if trace_id in view.by_trace:
            return {}
        if trace_id in view.lagging:
            return {trace_id: None}
        version, placed = self._placed
        if version != view.traces.version:
            self._placed = version, placed = view.traces.version, {}
        if trace_id not in placed:
            placed[trace_id] = cold.read_trace_days(view.traces, [trace_id]).get(trace_id)
        found = placed[trace_id]
        return {} if found is None else {trace_id: found}

    def _hot_frame(self, view: View) -> pl.DataFrame:
        if self._frame[0] != view.serial:
            self._frame = (view.serial, to_frame(view.hot.values()))
        return self._frame[1]

    def _fresh_roll_ups(self, view: View) -> FreshTraces:
        """Roll-ups of the traces whose sealed one is missing or out of date."""
        known = self._fresh
        if known.serial == view.serial and known.lagging == view.lagging:
            return known
        replaced = view.lagging.union(view.by_trace)
        if not replaced:
            fresh = pl.DataFrame(schema=polars_schema(TRACES))
        else:
            hot = self._hot_frame(view).select(NEEDED)
            days = {**view.days, **dict.fromkeys(view.lagging)}
            if days:
                sealed = cold.scan_traces(view.spans, days).select(NEEDED).collect()
                hot = pl.concat([sealed.join(hot, on=_KEY, how="anti"), hot])
            fresh = roll_up(hot)
        self._fresh = FreshTraces(view.serial, view.lagging, replaced, fresh)
        return self._fresh


def _with_fresh(view: View, sealed: pl.LazyFrame, fresh: FreshTraces) -> pl.LazyFrame:
    sealed = view.deleted.visible(sealed)
    if not fresh.replaced:
        return sealed
    replaced = pl.col("trace_id").is_in(sorted(fresh.replaced))
    return pl.concat([sealed.filter(~replaced), fresh.frame.lazy()])


def to_frame(spans: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Spans as a frame with every column of the table."""
    rows = list(spans)
    schema = polars_schema(SPANS)
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema)
