"""Deriving every span anew from the recorded exchanges, after parsing or inference got better.

Span ids are functions of the exchanges, so a re-derived span amends the one that is there; spans
that nothing changed about stay as they are. What a person or a Tracer wrote is not touched.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.infer import Inference
from tracelake.ingest.pipeline import Pipeline
from tracelake.ingest.recover import exchange_of_row, name_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, datetime

    from tracelake.lake import Lake
    from tracelake.model import Exchange

#: Rows read at a time; bodies are large.
BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What was read and derived.

    Attributes:
        failed: Exchanges that could not be read; the log says which and why.
    """

    exchanges: int
    events: int
    failed: int


def reindex(
    lake: Lake,
    now: datetime,
    *,
    since: date | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReindexReport:
    """Derive the spans of all recorded exchanges again and append what they say.

    Args:
        lake: Where exchanges are read and events appended; `seal` afterwards amends the tables.
        now: The current time; conversations quiet for long before it are ended.
        since: First UTC day; by default all.
        progress: Told exchanges done and in all, after every batch.
    """
    import polars as pl

    def wanted() -> pl.LazyFrame:
        ended = lake.exchanges().filter(pl.col("end_time").is_not_null())
        return ended if since is None else ended.filter(pl.col("date") >= since)

    key = ("span_id", "date", "start_time")
    keys = lake.answer(lambda: wanted().select(key).sort("start_time", "span_id").collect())
    pipeline = Pipeline(
        inference=(inference := Inference()),
        append=lake.append,
        done=_nothing,
        identify=lambda _exchange: {},
        name_of_run=functools.partial(name_of_run, lake),
    )

    def read() -> Iterator[tuple[Exchange, bool]]:
        for start in range(0, keys.height, BATCH_ROWS):
            batch = keys.slice(start, BATCH_ROWS)
            these = (
                pl.col("date").is_in(batch["date"].unique().to_list()),
                pl.col("span_id").is_in(batch["span_id"].to_list()),
            )
            rows = lake.answer(
                lambda these=these: wanted().filter(*these).sort("start_time", "span_id").collect()
            )
            for row in rows.iter_rows(named=True):
                yield exchange_of_row(row), False
            progress(start + batch.height, keys.height)

    pipeline.recover(read())
    pipeline.emit(inference.idle(now))
    counters = pipeline.counters
    return ReindexReport(counters.exchanges, counters.events, counters.failed)


def _nothing(_span_id: str, _trace_id: str | None, _client: dict[str, Any]) -> None:
    """The exchanges are done already."""
