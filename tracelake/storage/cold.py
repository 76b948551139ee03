"""Questions to the sealed spans that readers and the sealer share.

    current(snapshot) -> LazyFrame         one row per span: the highest revision of each
    read_spans(snapshot, keys, days) -> {(trace_id, span_id): row}
    read_trace_days(traces, trace_ids) -> {trace_id: (first day, last day)}
    files_of(snapshot, days) -> the files that may hold these traces

Invariant: wide columns are read only from files, and row groups, that hold a wanted trace.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from tracelake.schema import SPANS
from tracelake.storage.table import scan_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tracelake.storage.fold import Key
    from tracelake.storage.table import File, Snapshot

#: First and last UTC day on which spans of a trace start; None where nobody knows.
Days = tuple[date, date]
_KEY = ["trace_id", "span_id"]


def current(snapshot: Snapshot, files: Iterable[File] | None = None) -> pl.LazyFrame:
    """Rows of some or all files, of each span the highest revision only."""
    rows = snapshot.scan(files)
    amended = amended_spans(snapshot)
    if amended.is_empty():
        return rows
    return (
        rows.join(amended.lazy(), on=_KEY, how="left")
        .filter(pl.col("_top").is_null() | (pl.col("revision") == pl.col("_top")))
        .drop("_top")
    )


@lru_cache(maxsize=8)
def _amended(files: tuple[File, ...], options: tuple[tuple[str, str], ...]) -> pl.DataFrame:
    return (
        scan_files(SPANS, files, dict(options) or None)
        .filter(pl.col("revision") > 0)
        .group_by(_KEY)
        .agg(pl.col("revision").max().alias("_top"))
        .collect()
    )


def amended_spans(snapshot: Snapshot) -> pl.DataFrame:
    """Keys of spans with a revision above 0, and their highest, as `_top`.

    Costs nothing in the usual case: the log's statistics say which files hold one.
    """
    files = tuple(file for file in snapshot.files if file.revision > 0)
    return _amended(files, tuple((snapshot.options or {}).items()))


def files_of(snapshot: Snapshot, days: Mapping[str, Days | None]) -> list[File]:
    """Files that may hold spans of the given traces."""
    found: list[File] = []
    for file in snapshot.files:
        likely = [
            trace_id
            for trace_id, span in days.items()
            if span is None or span[0] <= file.date <= span[1]
        ]
        if likely and file.may_hold(likely):
            found.append(file)
    return found


def read_trace_days(traces: Snapshot, trace_ids: Collection[str]) -> dict[str, Days]:
    """The days of sealed traces, from their roll-ups; unknown traces are left out."""
    if not trace_ids or not traces.files:
        return {}
    rows = (
        traces.scan()
        .filter(_is_one_of(list(trace_ids)))
        .select("trace_id", "start_time", "end_time")
        .collect()
    )
    return {trace_id: (start.date(), end.date()) for trace_id, start, end in rows.iter_rows()}


def scan_traces(snapshot: Snapshot, days: Mapping[str, Days | None]) -> pl.LazyFrame:
    """Current rows of the given traces."""
    rows = current(snapshot, files_of(snapshot, days))
    known = [span for span in days.values() if span is not None]
    if known and len(known) == len(days):
        first, last = min(d[0] for d in known), max(d[1] for d in known)
        rows = rows.filter(pl.col("date").is_between(first, last))
    return rows.filter(_is_one_of(list(days)))


def _is_one_of(trace_ids: list[str]) -> pl.Expr:
    """A comparison with one value lets the scan pass over row groups; a set does not always."""
    if len(trace_ids) == 1:
        return pl.col("trace_id") == trace_ids[0]
    return pl.col("trace_id").is_in(trace_ids)


def read_spans(
    snapshot: Snapshot, keys: Collection[Key], days: Mapping[str, Days | None]
) -> dict[Key, dict[str, Any]]:
    """Sealed rows of the given spans, whole; narrow first, so that misses cost little.

    Args:
        snapshot: Of `spans`.
        keys: Spans to look for.
        days: Where to look: traces that are not in it are taken to hold no sealed span.
    """
    wanted = {key for key in keys if key[0] in days}
    if not wanted:
        return {}
    where = {key[0]: days[key[0]] for key in wanted}
    candidates = pl.DataFrame(sorted(wanted), schema=_KEY, orient="row")
    narrow = scan_traces(snapshot, where).select(_KEY).collect()
    present = narrow.join(candidates, on=_KEY, how="semi")
    if present.is_empty():
        return {}
    there = {trace_id: where[trace_id] for trace_id in present["trace_id"].unique()}
    rows = scan_traces(snapshot, there).join(present.lazy(), on=_KEY, how="semi").collect()
    return {(row["trace_id"], row["span_id"]): row for row in rows.iter_rows(named=True)}
