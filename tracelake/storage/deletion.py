"""Deleting traces: which marks hide what somebody wants to be gone.

delete(reader, trace_id | before= | day=) -> number of traces hidden
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl

from tracelake.errors import NotInLake
from tracelake.storage import drafts, tombstones
from tracelake.storage.options import storage_options
from tracelake.storage.records import TRACE_OF
from tracelake.storage.table import DeltaStore
from tracelake.storage.tombstones import TOMBSTONES

if TYPE_CHECKING:
    from tracelake.storage.reader import Reader


def delete(
    reader: Reader,
    trace_id: str | None = None,
    *,
    before: datetime | None = None,
    day: date | None = None,
) -> int:
    """Hide one trace, all that started before a moment, or all that started on a UTC day.

    Edits of their calls that are kept on this machine are deleted at once.

    Returns:
        Number of traces hidden.

    Raises:
        NotInLake: There is no such trace.
    """
    location = reader.location
    rows = reader.traces().select("trace_id", "start_time", "end_time")
    if day is not None:
        chosen = pl.col("start_time").dt.date() == day
    elif before is not None:
        chosen = pl.col("start_time") < before
    else:
        chosen = pl.col("trace_id") == trace_id
    found = rows.filter(chosen).collect()
    if before is None and day is None and found.is_empty():
        raise NotInLake(f"no trace {trace_id} in {location.tables}: see tracelake ls")
    named = found
    if before is not None:
        # What is before a moment goes without being named, but for what reaches into its day, and
        # what somebody may have written of later.
        midnight = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        noted = pl.col("trace_id").is_in(sorted(_traces_with_records(reader)))
        named = found.filter((pl.col("end_time") >= midnight) | noted)
    marks = DeltaStore(location.tables, TOMBSTONES, storage_options(location))
    tombstones.add(marks, set(named["trace_id"]), datetime.now(UTC), before=before, day=day)
    drafts.forget(location.hot, found["trace_id"])
    return found.height


def _traces_with_records(reader: Reader) -> set[str]:
    """Ids of the traces that rows of small tables speak of."""

    def ask() -> pl.DataFrame:
        frames = [reader.records(name).select(trace=column) for name, column in TRACE_OF.items()]
        return pl.concat(frames).collect()

    return set(reader.answer(ask)["trace"].drop_nulls())
