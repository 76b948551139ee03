"""What ingest reads back from the lake: exchanges that were read before, and runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tracelake.model import Exchange

if TYPE_CHECKING:
    from tracelake.lake import Lake

#: Older conversations are not carried on across a restart of ingest.
REMEMBER = timedelta(hours=2)


def read_recent(lake: Lake, now: datetime) -> list[tuple[Exchange, bool]]:
    """The exchanges of the last two hours and all that are unfinished, oldest first.

    Returns:
        Each with whether it is done: read, derived from, and its spans in the lake.
    """
    import polars as pl

    since = now - REMEMBER
    frame = lake.answer(
        lambda: (
            lake.exchanges()
            .filter(
                (pl.col("date") >= since.astimezone(UTC).date()) & (pl.col("start_time") >= since)
                | pl.col("outcome").eq("running")
            )
            .sort("start_time")
            .collect()
        )
    )
    return [_exchange(row) for row in frame.iter_rows(named=True)]


def name_of_run(lake: Lake, run_id: str) -> str | None:
    """What a recorded run is called, None where no run of that id was recorded."""
    rows = lake.answer(lambda: lake.records("runs").filter(run_id=run_id).select("name").collect())
    return rows["name"][0] if rows.height else None


def exchange_of_row(row: dict[str, Any]) -> Exchange:
    """An exchange from a row of the table `exchanges`."""
    return Exchange(
        span_id=row["span_id"],
        trace_id=row["trace_id"],
        run_id=row["run_id"],
        start_time=row["start_time"],
        first_byte_time=row["first_byte_time"],
        end_time=row["end_time"],
        method=row["method"],
        path=row["path"],
        upstream=row["upstream"],
        request_headers=_headers(row["request_headers"]),
        request_body=row["request_body"] or b"",
        status=row["status"],
        response_headers=_headers(row["response_headers"]),
        response_body=row["response_body"] or b"",
        outcome=row["outcome"],
        client=json.loads(row["client"] or "{}"),
    )


def _exchange(row: dict[str, Any]) -> tuple[Exchange, bool]:
    return exchange_of_row(row), row["trace_id"] is not None


def _headers(text: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text or "[]"))
