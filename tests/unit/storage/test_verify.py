"""Damage is named, the rest stays readable, and damaged files can be moved away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tracelake import Lake
from tracelake.storage.segment import list_segments

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Four sealed files, one trace in each."""
    lake = Lake(tmp_path / "lake")
    for number in range(4):
        event: dict[str, Any] = {
            "event_type": "tool_call",
            "trace_id": f"t{number}",
            "span_id": "s",
            "timestamp": "2025-11-22T10:00:00Z",
            "data": {"result": os.urandom(5000).hex()},
        }
        lake.append(event)
        lake.seal()
    return lake


def _file_of(lake: Lake, trace_id: str) -> Path:
    (uri,) = [u for u in lake.files() if pl.read_parquet(u)["trace_id"].to_list() == [trace_id]]
    return Path(uri)


def test_a_whole_lake_is_clean(lake: Lake) -> None:
    """No false alarm, also right after a compaction."""
    report = lake.verify()
    assert (report.is_clean, report.rows) == (True, 4 + 4)
    lake.compact()
    assert lake.verify().is_clean


def test_truncated_empty_and_alien_files_are_named_and_the_rest_is_read(lake: Lake) -> None:
    """Three bad files cost their own rows and nothing else."""
    truncated, empty = _file_of(lake, "t0"), _file_of(lake, "t1")
    os.truncate(truncated, truncated.stat().st_size - 10)
    os.truncate(empty, 0)
    alien = truncated.with_name("alien.parquet")
    pl.DataFrame({"x": [1]}).write_parquet(alien)
    fresh = Lake(lake.path)
    assert set(fresh.spans().collect()["trace_id"]) == {"t2", "t3"}
    assert fresh.trace("t2").height == 1
    assert fresh.latest_traces().height == 4
    problems = {(Path(p.path).name, p.kind) for p in fresh.verify().problems}
    assert problems == {
        (truncated.name, "damaged"),
        (empty.name, "damaged"),
        ("alien.parquet", "alien"),
    }
    fresh.seal()
    fresh.compact()


def test_damage_inside_a_file_is_found(lake: Lake) -> None:
    """A file of the right length whose pages do not decode is named too."""
    path = _file_of(lake, "t0")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 500 : middle + 500] = os.urandom(1000)
    path.write_bytes(content)
    (problem,) = lake.verify().problems
    assert (Path(problem.path).name, problem.kind) == (path.name, "damaged")


def test_quarantine_moves_damage_out_of_the_tables(lake: Lake) -> None:
    """Afterwards tools that read the tables themselves work again, and nothing was deleted."""
    path = _file_of(lake, "t0")
    os.truncate(path, 10)
    moved = lake.quarantine(lake.verify())
    assert [p.name for p in moved] == [path.name]
    assert moved[0].stat().st_size == 10
    assert lake.verify().is_clean
    assert pl.scan_delta(f"{lake.path}/spans").collect().height == 3
    assert lake.spans().collect().height == 3


def test_a_damaged_segment_is_named(lake: Lake) -> None:
    """Lines that are no events are counted by segment."""
    (path,) = list_segments(lake.hot).values()
    with path.open("ab") as file:
        file.write(b"garbage\n")
    (problem,) = lake.verify().problems
    assert (problem.path, problem.kind) == (f"hot/{path.name}", "hot")
    assert lake.spans().collect().height == 4
