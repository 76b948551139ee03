"""Traces as one Parquet file that opens again as the lake they came from.

Besides the spans it holds what the calls were on the wire, so that a prompt can be sent again as it
was and a run be repeated from the recording; the recorded runs, their working files included; notes
and checkpoints.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import IO, TYPE_CHECKING

import polars as pl

from tracelake.schema import ANNOTATIONS, CHECKPOINTS, EXCHANGES, RUNS
from tracelake.storage import bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.lake import Lake
    from tracelake.schema import Table

#: Traces whose exchanges are in memory at once.
_TRACES_AT_ONCE = 200
_DAY = timedelta(days=1)


def write_bundle(
    lake: Lake, spans: pl.DataFrame, file: IO[bytes], *, spans_only: bool = False
) -> dict[str, int]:
    """Write spans and all that belongs to their traces.

    Args:
        lake: Where the spans were read.
        spans: From `spans_of`.
        file: Open for writing, at its start.
        spans_only: Leave everything else out.

    Returns:
        Rows of each further table that has any.
    """
    others = () if spans_only else _others(lake, spans)
    manifest = bundle.write_bundle(file, spans, others)
    return {name: manifest.rows(name) for name in manifest.parts}


def _others(lake: Lake, spans: pl.DataFrame) -> Iterator[tuple[Table, pl.DataFrame]]:
    trace_ids = spans["trace_id"].unique().sort()
    for start in range(0, len(trace_ids), _TRACES_AT_ONCE):
        some = trace_ids.slice(start, _TRACES_AT_ONCE)
        yield EXCHANGES, _exchanges(lake, spans, some)
    # a recorded run gives its trace its own id
    run_ids = pl.concat([trace_ids, spans["run_id"].drop_nulls().unique()])
    for table, column, ids in (
        (RUNS, "run_id", run_ids),
        (ANNOTATIONS, "trace_id", trace_ids),
        (CHECKPOINTS, "trace_id", trace_ids),
    ):
        yield table, _records(lake, table, column, ids)


def _exchanges(lake: Lake, spans: pl.DataFrame, trace_ids: pl.Series) -> pl.DataFrame:
    days = spans.lazy().filter(pl.col("trace_id").is_in(trace_ids.implode())).select("date")
    first, last = days.select(first=pl.min("date"), last=pl.max("date")).collect().row(0)
    # a call's exchange begins with it; a day more costs little, and clocks differ
    first, last = max(first, date.min + _DAY) - _DAY, min(last, date.max - _DAY) + _DAY
    near = pl.col("date").is_between(first, last)
    return lake.answer(
        lambda: (
            lake.exchanges()
            .filter(near, pl.col("trace_id").is_in(trace_ids.implode()))
            .filter(pl.col("end_time").is_not_null())
            .sort("trace_id", "start_time", "span_id")
            .collect()
        )
    )


def _records(lake: Lake, table: Table, column: str, ids: pl.Series) -> pl.DataFrame:
    found = lake.answer(
        lambda: lake.records(table.name).filter(pl.col(column).is_in(ids.implode())).collect()
    )
    return found.select(table.names).sort(table.sort)
