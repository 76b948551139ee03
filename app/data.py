"""What the pages show: the only module that collects frames for them.

Results are cached by what was asked and by the state of the lake, so that a page redrawn without
news costs nothing and news is never hidden.

Invariants:
- Pages get plain values: lists of dictionaries with JSON columns parsed, or frozen values.
- Nothing here draws.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import narwhals as nw
import streamlit as st

from app import service
from tracelake import schema
from tracelake.errors import NotInLake
from tracelake.exporters import Selection, spans_of, write_bundle
from tracelake.query import rollups
from tracelake.query.traces import TraceFilter, filter_traces, sort_traces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from tracelake.query.traces import Order

P = ParamSpec("P")
T = TypeVar("T")

#: Columns of a trace that its list shows; `final_output` may be long and is read on its own.
_LISTED = tuple(name for name in schema.TRACES.names if name != "final_output")
#: Columns of a span that a tree shows: all but the payloads.
_LIGHT = tuple(n for n in schema.SPANS.names if n == "error" or n not in schema.SPANS.wide)
_CACHED = 64
#: Of so many traces an export holds all that belongs to them, of more the spans alone.
WHOLE_EXPORT_TRACES = 500
#: Tests in a row that somebody may have run since the last program.
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class TracePage:
    """One page of a list of traces: its rows and how many traces match in all."""

    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What there is to filter by: every agent, model, tool and source of the lake, sorted."""

    agents: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PerDay:
    """The charts of a selection; each a list of rows as `tracelake.query.rollups` names them."""

    cost_by_model: list[dict[str, Any]]
    calls_by_day: list[dict[str, Any]]
    latency_by_day: list[dict[str, Any]]


def has_traces() -> bool:
    """Whether the lake holds a trace."""
    return latest_trace() is not None


@dataclass(frozen=True, slots=True)
class LakeFacts:
    """How big the lake is; `cold_bytes` is None where the tables are in object storage."""

    path: str
    traces: int
    spans: int
    hot_bytes: int
    cold_bytes: int | None


def lake_facts() -> LakeFacts:
    """How big the lake is."""
    lake = service.lake()
    spans, traces = _frames()
    cold = None
    if lake.location.is_local:
        tables = (Path(lake.path) / name for name in schema.TABLES)
        cold = sum(f.stat().st_size for table in tables for f in table.rglob("*") if f.is_file())
    return LakeFacts(
        path=lake.path,
        traces=int(_collect(traces.select(nw.len())).item()),
        spans=int(_collect(spans.select(nw.len())).item()),
        hot_bytes=sum(entry.stat().st_size for entry in _files(lake.hot)),
        cold_bytes=cold,
    )


def latest_trace() -> dict[str, Any] | None:
    """The trace that started last, or None in an empty lake."""
    return _latest_trace(snapshot_id())


def latest_run() -> str:
    """Id of the trace that started last and is no Playground test, if there is one.

    Raises:
        NotInLake: The lake is empty.
    """
    rows = list_traces(TraceFilter(), page_size=_LOOKED_AT).rows
    if not rows:
        raise NotInLake("no trace in this lake")
    ids = [row["trace_id"] for row in rows]
    runs = (name for name in ids if read_spans(name)[0]["source"] != "playground")
    return next(runs, ids[0])


def list_traces(
    wanted: TraceFilter, *, order: Order = "newest", page: int = 1, page_size: int = 50
) -> TracePage:
    """One page of the traces that match.

    Args:
        wanted: The conditions.
        order: One of `tracelake.query.traces.ORDERS`.
        page: From 1.
        page_size: Rows a page.

    Returns:
        Rows with every column of `traces` but `final_output`, `agents` and `models` as lists.
    """
    return _list_traces(wanted, order, page, page_size, snapshot_id())


def trace_facets() -> Facets:
    """What there is to filter by."""
    return _facets(snapshot_id())


def totals(wanted: TraceFilter) -> dict[str, Any]:
    """Sums over the traces that match, as `rollups.totals` names them."""
    return _totals(wanted, snapshot_id())


def per_day(wanted: TraceFilter) -> PerDay:
    """What the traces that match did day by day; reads their spans, which may take a moment."""
    return _per_day(wanted, snapshot_id())


def read_trace(trace_id: str) -> dict[str, Any]:
    """The roll-up of one trace, every column.

    Raises:
        NotInLake: There is no such trace.
    """
    return _read_trace(trace_id, snapshot_id())


def read_spans(trace_id: str) -> list[dict[str, Any]]:
    """Every span of a trace in start order, without the payloads.

    Raises:
        NotInLake: There is no such trace.
    """
    return _read_spans(trace_id, snapshot_id())


def read_whole_spans(trace_id: str) -> list[dict[str, Any]]:
    """Every span of a trace in start order, every column, JSON columns parsed; not cached.

    Raises:
        NotInLake: There is no such trace.
    """
    rows = service.lake().trace(trace_id).iter_rows(named=True)
    return [jsonable(row, schema.SPANS) for row in rows]


def read_span(trace_id: str, span_id: str) -> dict[str, Any]:
    """One span, every column, JSON columns parsed.

    Raises:
        NotInLake: There is no such trace or span.
    """
    return _read_span(trace_id, span_id, snapshot_id())


def request_headers(span_id: str) -> list[tuple[str, str]]:
    """Headers that a recorded call was sent with, credentials redacted; empty when not relayed."""
    found = service.lake().exchanges().filter(span_id=span_id).select("request_headers").collect()
    rows = found["request_headers"].to_list()
    return [(name, value) for name, value in _parsed(rows[0] if rows else None) or []]


def experiments(trace_id: str, span_id: str) -> list[dict[str, Any]]:
    """The LLM spans of playground tests of one span, oldest first, every column."""
    return _experiments(trace_id, span_id, snapshot_id())


def export_parquet(wanted: TraceFilter, trace_ids: Sequence[str] = ()) -> bytes:
    """The traces of a selection as one Parquet file that opens again, see `write_bundle`.

    Args:
        wanted: The conditions; used when no trace is named.
        trace_ids: These traces alone.
    """
    named = Selection(trace_ids=tuple(trace_ids))
    spans = spans_of(service.lake(), named if trace_ids else Selection(wanted))
    # a file that a page makes stands in memory: of very many traces it holds the spans
    spans_only = spans["trace_id"].n_unique() > WHOLE_EXPORT_TRACES
    buffer = io.BytesIO()
    write_bundle(service.lake(), spans, buffer, spans_only=spans_only)
    return buffer.getvalue()


def jsonable(row: dict[str, Any], table: schema.Table) -> dict[str, Any]:
    """A row with its JSON columns parsed; text that is not JSON stays text."""
    names = {column.name for column in table.columns if column.dtype == "json"}
    return {name: _parsed(value) if name in names else value for name, value in row.items()}


def snapshot_id() -> str:
    """Changes whenever a reader of the lake could see something new."""
    lake = service.lake()
    state = sorted((entry.name, entry.stat().st_size) for entry in _files(lake.hot))
    if lake.location.is_local:
        tables = Path(lake.path)
        state += [(name, len(_files(tables / name / "_delta_log"))) for name in ("spans", "traces")]
    return hashlib.blake2b(repr(state).encode(), digest_size=12).hexdigest()


def _answered(ask: Callable[P, T]) -> Callable[P, T]:
    """A question that is asked again without a file that turns out to be damaged."""

    @functools.wraps(ask)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        return service.lake().answer(lambda: ask(*args, **kwargs))

    return asked


@st.cache_data(max_entries=4, show_spinner=False)
def _latest_trace(snapshot: str) -> dict[str, Any] | None:
    del snapshot
    rows = service.lake().latest_traces(1).rows(named=True)
    return jsonable(rows[0], schema.TRACES) if rows else None


@st.cache_data(max_entries=_CACHED, show_spinner=False)
@_answered
def _list_traces(
    wanted: TraceFilter, order: Order, page: int, page_size: int, snapshot: str
) -> TracePage:
    del snapshot
    spans, traces = _frames()
    found = filter_traces(traces, spans, wanted)
    total = int(_collect(found.select(nw.len())).item())
    rows = sort_traces(found.select(*_LISTED), order)
    start = (page - 1) * page_size
    frame = rows.to_native().slice(start, page_size).collect()
    return TracePage([jsonable(row, schema.TRACES) for row in frame.iter_rows(named=True)], total)


@st.cache_data(max_entries=4, show_spinner=False)
@_answered
def _facets(snapshot: str) -> Facets:
    del snapshot
    spans, traces = _frames()
    names = _collect(traces.select("agents", "models").unique())
    tools = _collect(spans.select("tool_name").unique())["tool_name"]
    sources = _collect(spans.select("source").unique())["source"]
    return Facets(
        agents=_named(names["agents"].to_list()),
        models=_named(names["models"].to_list()),
        tools=tuple(sorted(tools.drop_nulls())),
        sources=tuple(sorted(sources.drop_nulls())),
    )


@st.cache_data(max_entries=16, show_spinner=False)
@_answered
def _totals(wanted: TraceFilter, snapshot: str) -> dict[str, Any]:
    spans, traces = _frames()
    free = nw.from_native(_not_spent(snapshot).lazy())
    return _rows(rollups.totals(filter_traces(traces, spans, wanted), free))[0]


@st.cache_data(max_entries=2, show_spinner=False)
@_answered
def _not_spent(snapshot: str) -> pl.DataFrame:
    del snapshot
    return _collect(rollups.not_spent(_frames()[0]))


@st.cache_data(max_entries=16, show_spinner=False)
@_answered
def _per_day(wanted: TraceFilter, snapshot: str) -> PerDay:
    del snapshot
    spans, traces = _frames()
    if not wanted.is_empty:
        chosen = filter_traces(traces, spans, wanted).select("trace_id")
        spans = spans.join(chosen, on="trace_id", how="semi")
    return PerDay(
        cost_by_model=_rows(rollups.cost_by_model(spans)),
        calls_by_day=_rows(rollups.calls_by_day(spans)),
        latency_by_day=_rows(rollups.latency_by_day(spans)),
    )


@st.cache_data(max_entries=_CACHED, show_spinner=False)
@_answered
def _read_trace(trace_id: str, snapshot: str) -> dict[str, Any]:
    del snapshot
    rows = _rows(_frames()[1].filter(nw.col("trace_id") == trace_id))
    if not rows:
        raise NotInLake(f"no trace {trace_id!r} in this lake")
    return jsonable(rows[0], schema.TRACES)


@st.cache_data(max_entries=_CACHED, show_spinner=False)
def _read_spans(trace_id: str, snapshot: str) -> list[dict[str, Any]]:
    del snapshot
    return list(service.lake().trace(trace_id, columns=_LIGHT).iter_rows(named=True))


@st.cache_data(max_entries=_CACHED, show_spinner=False)
def _read_span(trace_id: str, span_id: str, snapshot: str) -> dict[str, Any]:
    del snapshot
    try:
        frame = service.lake().trace(trace_id, span_ids=[span_id])
    except NotInLake as error:
        raise NotInLake(f"no span {span_id!r} in trace {trace_id!r}") from error
    return jsonable(frame.row(0, named=True), schema.SPANS)


@st.cache_data(max_entries=_CACHED, show_spinner=False)
@_answered
def _experiments(trace_id: str, span_id: str, snapshot: str) -> list[dict[str, Any]]:
    del snapshot
    spans, _ = _frames()
    found = spans.filter(
        nw.col("source") == "playground",
        nw.col("kind") == "llm",
        nw.col("forked_from_trace_id") == trace_id,
        nw.col("original_span_id") == span_id,
    )
    return [jsonable(row, schema.SPANS) for row in _rows(found.sort("start_time"))]


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def _frames() -> tuple[nw.LazyFrame[Any], nw.LazyFrame[Any]]:
    lake = service.lake()
    return nw.from_native(lake.spans()), nw.from_native(lake.traces())


def _collect(frame: nw.LazyFrame[Any]) -> pl.DataFrame:
    return frame.collect("polars").to_native()


def _rows(frame: nw.LazyFrame[Any]) -> list[dict[str, Any]]:
    return list(_collect(frame).iter_rows(named=True))


def _named(lists: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for text in lists for name in _parsed(text) or ()}))


def _parsed(value: str | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return value
