"""Compaction and vacuum: fewer, sorted files, the same spans, no file taken from a reader."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tracelake import Lake
from tracelake.storage.compactor import Compactor

if TYPE_CHECKING:
    from pathlib import Path

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)
CLOSED = date(2026, 1, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ten seals of spans of the same five traces, one of them amended later."""
    lake = Lake(tmp_path / "lake")
    for seal in range(10):
        for trace in range(5):
            _append(lake, f"t{trace}", f"s{seal}", seal, messages=[{"n": n} for n in range(50)])
        lake.seal()
    _append(lake, "t3", "s4", 100, error_type="Late")
    lake.seal()
    return lake


def _append(lake: Lake, trace_id: str, span_id: str, seconds: float, **data: Any) -> None:
    lake.append(
        {
            "event_type": "llm_call",
            "trace_id": trace_id,
            "span_id": span_id,
            "timestamp": T0 + timedelta(seconds=seconds),
            "data": data,
        }
    )


def _spans(lake: Lake) -> pl.DataFrame:
    return lake.spans().sort("trace_id", "span_id").collect()


def test_compaction_changes_no_answer(lake: Lake) -> None:
    """Eleven files become one, sorted by trace; spans, traces and look-ups stay the same."""
    before, traces, one = _spans(lake), lake.traces().collect(), lake.trace("t3")
    report = Compactor(lake.location).compact(today=CLOSED)
    assert (report.merges, report.files_before, report.files_after) == (1, 11, 1)
    (uri,) = lake.files()
    rows = pq.read_table(uri, columns=["trace_id", "start_time"]).to_pylist()
    assert rows == sorted(rows, key=lambda row: (row["trace_id"], row["start_time"]))
    assert len(rows) == 50
    assert _spans(lake).equals(before)
    assert lake.traces().collect().equals(traces)
    assert lake.trace("t3").equals(one)
    assert _spans(Lake(lake.path)).equals(before)
    assert Compactor(lake.location).compact(today=CLOSED).merges == 0


def test_a_growing_day_is_merged_in_part(lake: Lake) -> None:
    """While a day grows, files are merged when there are enough of one size."""
    report = Compactor(lake.location).compact(today=T0.date())
    assert (report.files_before, report.files_after) == (11, 1)
    assert Compactor(lake.location).compact(today=T0.date()).merges == 0


def test_large_days_are_split_between_traces(lake: Lake) -> None:
    """Memory is bounded: output files hold about the target, and no trace stands in two."""
    before = _spans(lake)
    report = Compactor(lake.location, target_bytes=1).compact(today=CLOSED)
    assert report.files_after == 5
    assert _spans(lake).equals(before)
    held = [pl.read_parquet(uri)["trace_id"].unique().to_list() for uri in lake.files()]
    assert sorted(held) == [["t0"], ["t1"], ["t2"], ["t3"], ["t4"]]


def test_the_vacuum_keeps_what_readers_may_still_read(lake: Lake) -> None:
    """A LazyFrame stays readable for the grace; afterwards its files are deleted."""
    frame, count = lake.spans(), len(list(_parquet(lake)))
    assert Compactor(lake.location, vacuum_grace_s=3600).compact(today=CLOSED).vacuumed == 0
    assert frame.collect().height == 50
    assert len(list(_parquet(lake))) == count + 1
    Compactor(lake.location, vacuum_grace_s=0).vacuum()
    assert [str(path) for path in _parquet(lake)] == lake.files()
    assert lake.spans().collect().height == 50


def test_the_vacuum_deletes_orphans_of_a_crash(lake: Lake) -> None:
    """Files that no commit ever named, because their writer died, do not stay for ever."""
    orphan = next(_parquet(lake)).with_name("part-orphan.zstd.parquet")
    orphan.write_bytes(b"PAR1")
    assert Compactor(lake.location, vacuum_grace_s=3600).vacuum() == 0
    assert orphan.exists()
    Compactor(lake.location, vacuum_grace_s=-1).vacuum()
    assert not orphan.exists()
    assert lake.spans().collect().height == 50


def test_amended_rows_are_compacted_away(lake: Lake) -> None:
    """Only the highest revision of a span remains on the disk."""
    assert pl.scan_delta(f"{lake.path}/spans").collect().height == 51
    lake.compact(today=CLOSED)
    (row,) = (
        pl.scan_delta(f"{lake.path}/spans")
        .filter((pl.col("trace_id") == "t3") & (pl.col("span_id") == "s4"))
        .collect()
        .to_dicts()
    )
    assert (row["revision"], row["error_type"]) == (1, "Late")


def _parquet(lake: Lake) -> Any:
    from pathlib import Path

    return Path(lake.path, "spans").glob("date=*/*.parquet")
