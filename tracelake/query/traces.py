"""Finding traces: the filters that the app, the HTTP API and the command line share.

Every function takes and returns narwhals lazy frames over the tables `traces` and `spans`, so that
the same question runs on every engine that narwhals drives.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from tracelake.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Order = Literal["newest", "oldest", "costliest", "slowest", "most_errors"]
#: Column to sort by and whether the biggest comes first, for every order.
ORDERS: dict[Order, tuple[str, bool]] = {
    "newest": ("start_time", True),
    "oldest": ("start_time", False),
    "costliest": ("cost_usd", True),
    "slowest": ("duration_ms", True),
    "most_errors": ("error_count", True),
}
#: Columns of `spans` in which a text is looked for; the JSON ones hold it in its escaped form.
_TEXT_COLUMNS = {"system": False, "messages": True, "response": False, "result": False}
_DAY_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces are wanted; every condition that is set must hold.

    Attributes:
        since: First UTC day, inclusive.
        until: Last UTC day, inclusive.
        agents: At least one of these took part.
        models: At least one of these was called.
        tools: At least one of these was called.
        statuses: Status of the root is one of these.
        sources: At least one span came from one of these sources.
        with_errors: At least one span is in error.
        min_cost_usd: US dollars; traces of unknown cost do not match.
        min_duration_s: Seconds.
        text: In a prompt, an answer or a tool result, ignoring case.
        forked_from: Forks of this trace.
    """

    since: date | None = None
    until: date | None = None
    agents: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    with_errors: bool = False
    min_cost_usd: float | None = None
    min_duration_s: float | None = None
    text: str | None = None
    forked_from: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every trace matches."""
        return self == TraceFilter()

    @classmethod
    def parse(cls, params: Mapping[str, Sequence[str]]) -> TraceFilter:
        """Read a filter from query parameters named as the attributes; lists repeat the name.

        Raises:
            QueryError: A name is unknown or a value is not of its type.
        """
        known = {field.name: str(field.type) for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, given in params.items():
            if name not in known:
                raise QueryError(f"unknown filter {name!r}: use {', '.join(known)}")
            try:
                values[name] = _parsed(known[name], given)
            except ValueError as error:
                raise QueryError(f"filter {name}={given[-1]!r}: {error}") from error
        return cls(**values)


def _parsed(kind: str, given: Sequence[str]) -> Any:
    if kind.startswith("tuple"):
        return tuple(given)
    last = given[-1]
    if kind.startswith("date"):
        return date.fromisoformat(last)
    if kind == "bool":
        if last.lower() not in {"true", "false", "1", "0"}:
            raise ValueError("write true or false")
        return last.lower() in {"true", "1"}
    return float(last) if kind.startswith("float") else last


def filter_traces(
    traces: nw.LazyFrame[Any], spans: nw.LazyFrame[Any], wanted: TraceFilter
) -> nw.LazyFrame[Any]:
    """The traces that match.

    Args:
        traces: One row per trace.
        spans: One row per span; read only for conditions that the roll-ups cannot answer (tools,
            sources, text).
        wanted: The conditions.

    Returns:
        The matching rows of `traces`, every column, in no order.
    """
    found = traces
    for condition in _trace_conditions(wanted):
        found = found.filter(condition)
    conditions = _span_conditions(wanted)
    if conditions:
        ids = _within_days(spans, wanted)
        for condition in conditions:
            matching = ids.filter(condition).select("trace_id").unique()
            found = found.join(matching, on="trace_id", how="semi")
    return found


def filter_spans(
    spans: nw.LazyFrame[Any], traces: nw.LazyFrame[Any], wanted: TraceFilter
) -> nw.LazyFrame[Any]:
    """Every span of the traces that match, sorted by trace and start.

    Args:
        spans: One row per span.
        traces: One row per trace.
        wanted: The conditions on the traces.
    """
    if not wanted.is_empty:
        ids = filter_traces(traces, spans, wanted).select("trace_id")
        spans = _within_days(spans, wanted).join(ids, on="trace_id", how="semi")
    return spans.sort("trace_id", "start_time", "span_id")


def sort_traces(traces: nw.LazyFrame[Any], order: Order) -> nw.LazyFrame[Any]:
    """The traces in one of `ORDERS`, unknown values last, ties by id."""
    column, descending = ORDERS[order]
    return traces.sort(
        column, "start_time", "trace_id", descending=[descending, True, False], nulls_last=True
    )


def _trace_conditions(wanted: TraceFilter) -> list[nw.Expr]:
    conditions: list[nw.Expr] = []
    if wanted.since is not None:
        start = datetime.combine(wanted.since, time(), UTC)
        conditions += [nw.col("date") >= wanted.since, nw.col("start_time") >= start]
    if wanted.until is not None:
        conditions.append(nw.col("date") <= wanted.until)
    if wanted.agents:
        conditions.append(_lists_one_of("agents", wanted.agents))
    if wanted.models:
        conditions.append(_lists_one_of("models", wanted.models))
    if wanted.statuses:
        conditions.append(nw.col("status").is_in(list(wanted.statuses)))
    if wanted.with_errors:
        conditions.append(nw.col("error_count") > 0)
    if wanted.min_cost_usd is not None:
        conditions.append(nw.col("cost_usd") >= wanted.min_cost_usd)
    if wanted.min_duration_s is not None:
        conditions.append(nw.col("duration_ms") >= wanted.min_duration_s * 1000)
    if wanted.forked_from is not None:
        conditions.append(nw.col("forked_from_trace_id") == wanted.forked_from)
    return conditions


def _span_conditions(wanted: TraceFilter) -> list[nw.Expr]:
    conditions: list[nw.Expr] = []
    if wanted.tools:
        conditions.append(nw.col("tool_name").is_in(list(wanted.tools)))
    if wanted.sources:
        conditions.append(nw.col("source").is_in(list(wanted.sources)))
    if wanted.text:
        conditions.append(
            nw.any_horizontal(
                *(_contains(name, wanted.text, is_json) for name, is_json in _TEXT_COLUMNS.items()),
                ignore_nulls=True,
            )
        )
    return conditions


def _within_days(spans: nw.LazyFrame[Any], wanted: TraceFilter) -> nw.LazyFrame[Any]:
    # prunes partitions; a trace may run past midnight, so its later days are not cut off
    if wanted.since is not None:
        spans = spans.filter(nw.col("date") >= wanted.since - _DAY_SLACK)
    return spans


def _lists_one_of(column: str, names: Sequence[str]) -> nw.Expr:
    # the column is a JSON array of names: its text holds each name as a JSON string
    return nw.any_horizontal(
        *(
            nw.col(column).str.contains(json.dumps(name, ensure_ascii=False), literal=True)
            for name in names
        ),
        ignore_nulls=True,
    )


def _contains(column: str, text: str, is_json: bool) -> nw.Expr:
    if is_json:
        text = json.dumps(text, ensure_ascii=False)[1:-1]
    return nw.col(column).str.contains(f"(?i){re.escape(text)}")
