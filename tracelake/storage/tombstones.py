"""Deletion: marks that hide traces at once, and the purge that follows.

    add(store, trace_ids, …)               hide traces, everything before a moment, days
    read(store) -> Tombstones             what is hidden at present
    Tombstones.hides(trace_id, start) .visible(frame)

Invariants:
- What is hidden is hidden from every reader from the commit of its mark on.
- The next seal rewrites the tables without it, drops it from the carry and skips it in the
  segments; the segments themselves go when they are reaped.
- A mark stays in force for a day, so that a trace still being written does not come back in part;
  after that, importing a deleted trace again is possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from tracelake.schema import Column, Table, polars_schema
from tracelake.storage.rewrite import append

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracelake.storage.table import DeltaStore, Snapshot

TOMBSTONES = Table(
    "tombstones",
    (
        Column("trace_id", "string", "Deleted trace; null in a mark with `before`."),
        Column("before", "timestamp", "Everything that started before this is deleted."),
        Column("day", "date", "UTC day of which what belongs to no trace is deleted."),
        Column("start_time", "timestamp", "Deleted at, UTC."),
        Column("date", "date", "UTC day of the deletion; partition."),
    ),
    ("start_time", "trace_id"),
)
IN_FORCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What is hidden.

    Attributes:
        version: Of the table of marks; -1 when nothing was ever deleted.
        trace_ids: Deleted traces.
        before: Everything that started before this is deleted.
        days: Of these UTC days, what belongs to no trace is deleted; the traces are named.
    """

    version: int = -1
    trace_ids: frozenset[str] = frozenset()
    before: datetime | None = None
    days: frozenset[date] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.trace_ids or self.days) or self.before is not None

    def hides(self, trace_id: str | None, start: datetime) -> bool:
        """Whether a span, trace or exchange is deleted."""
        if self.before is not None and start < self.before:
            return True
        if trace_id is None:
            return bool(self.days) and start.astimezone(UTC).date() in self.days
        return trace_id in self.trace_ids

    def visible(self, frame: pl.LazyFrame, trace: str = "trace_id") -> pl.LazyFrame:
        """The rows that are not deleted; needs `start_time` and the column that names the trace."""
        if self.before is not None:
            frame = frame.filter(pl.col("start_time") >= self.before)
        if self.trace_ids:
            hidden = pl.LazyFrame({trace: sorted(self.trace_ids)})
            frame = frame.join(hidden, on=trace, how="anti")
        if self.days:
            of_a_day = pl.col("start_time").dt.date().is_in(sorted(self.days))
            frame = frame.filter(pl.col(trace).is_not_null() | ~of_a_day)
        return frame


def read(snapshot: Snapshot, now: datetime | None = None) -> Tombstones:
    """The marks in force."""
    if not snapshot.files:
        return Tombstones(snapshot.version)
    since = (now or datetime.now(UTC)) - IN_FORCE
    rows = snapshot.scan().filter(pl.col("start_time") >= since).collect()
    befores = rows["before"].drop_nulls()
    return Tombstones(
        snapshot.version,
        frozenset(rows["trace_id"].drop_nulls()),
        befores.max() if befores.len() else None,  # type: ignore[arg-type]
        frozenset(rows["day"].drop_nulls()),
    )


def add(
    store: DeltaStore,
    trace_ids: Collection[str],
    now: datetime,
    *,
    before: datetime | None = None,
    day: date | None = None,
) -> None:
    """Commit marks; they hide at once."""
    marks: list[dict[str, Any]] = [{"trace_id": trace_id} for trace_id in sorted(trace_ids)]
    marks += [{"before": before}] if before is not None else []
    marks += [{"day": day}] if day is not None else []
    if not marks:
        return
    rows = [{**mark, "start_time": now, "date": now.date()} for mark in marks]
    append(store, pl.DataFrame(rows, schema=polars_schema(TOMBSTONES)), {})
