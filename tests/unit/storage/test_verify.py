"""Damage is named, the rest stays readable, and damaged files can be moved away."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.parquet_pages import pages_of
from tracelake import Lake
from tracelake.errors import LakeError, NotInLake
from tracelake.model import Exchange
from tracelake.storage.carry import carry_path
from tracelake.storage.compactor import Compactor
from tracelake.storage.segment import list_segments
from tracelake.storage.xlog import SUFFIX, ExchangeLog

_NOON = datetime(2025, 11, 22, 12, tzinfo=UTC)
_CALL: dict[str, Any] = {"event_type": "llm_call", "span_id": "open", "timestamp": _NOON}


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


def _spoil(path: Path, column: str = "result") -> None:
    """Noise in a page of one column: the file keeps its length and its footer."""
    (page,) = pages_of(path, column)
    content = bytearray(path.read_bytes())
    content[page.offset : page.offset + page.size_bytes] = os.urandom(page.size_bytes)
    path.write_bytes(content)


def test_questions_are_answered_without_a_file_that_does_not_decode(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    """A page gone bad costs its file's rows; the rest is read, and the log names the file."""
    path = _file_of(lake, "t1")
    _spoil(path)
    with pytest.raises(pl.exceptions.ComputeError):
        Lake(lake.path).spans().collect()
    assert Lake(lake.path).trace("t2").height == 1
    fresh = Lake(lake.path)
    found = fresh.answer(lambda: fresh.spans().collect())
    assert set(found["trace_id"]) == {"t0", "t2", "t3"}
    assert path.name in caplog.text
    assert fresh.spans().collect().height == 3
    (problem,) = fresh.verify().problems
    assert problem.path.endswith(path.name)
    fresh.quarantine(fresh.verify())
    assert fresh.verify().is_clean


def test_opening_a_trace_that_lies_in_ruins_says_it_is_not_there(lake: Lake) -> None:
    """Nothing is made up: what cannot be read is missing, loudly."""
    _spoil(_file_of(lake, "t1"))
    with pytest.raises(NotInLake):
        Lake(lake.path).trace("t1")


def test_a_question_that_is_wrong_stays_wrong(lake: Lake) -> None:
    """Where no file is damaged the error is the asker's own."""
    with pytest.raises(pl.exceptions.PolarsError):
        lake.answer(lambda: lake.spans().select(pl.col("status").str.to_date()).collect())


def _append(lake: Lake, trace_id: str, span_id: str, **data: Any) -> None:
    event = {"event_type": "tool_call", "trace_id": trace_id, "span_id": span_id, "data": data}
    lake.append({**event, "timestamp": "2025-11-22T10:01:00Z"})


def test_damage_does_not_stop_sealing(lake: Lake) -> None:
    """A late fact about a span that can no longer be read is kept, and the others are sealed."""
    _spoil(_file_of(lake, "t1"), "span_id")
    _append(lake, "t1", "s", name="late")
    _append(lake, "t4", "s")
    fresh = Lake(lake.path)
    assert fresh.seal().spans == 2
    assert set(fresh.spans().collect()["trace_id"]) == {"t0", "t1", "t2", "t3", "t4"}


def test_damage_does_not_stop_compaction(lake: Lake) -> None:
    """A merge with the damaged file is not done; the others are, and the file stays."""
    for trace_id in ("t1", "t2"):
        _append(lake, trace_id, "more")
        lake.seal()
    path = next(
        p for p in map(Path, lake.files()) if pl.read_parquet(p).rows()[0][:2] == ("t1", "s")
    )
    _spoil(path)
    report = Compactor(Lake(lake.path).location).compact(today=date(2999, 1, 1))
    assert (report.merges, report.files_before, report.files_after) == (1, 2, 1)
    assert path.exists()


def test_quarantine_moves_damage_out_of_the_tables(lake: Lake) -> None:
    """Afterwards tools that read the tables themselves work again, and nothing was deleted."""
    path = _file_of(lake, "t0")
    os.truncate(path, 10)
    moved = lake.quarantine(lake.verify())
    assert [Path(p).name for p in moved] == [path.name]
    assert Path(moved[0]).stat().st_size == 10
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


@pytest.mark.parametrize("left", [0, 1, 300])
def test_a_torn_commit_is_named_and_told_in_one_line(lake: Lake, left: int) -> None:
    """An empty commit passes for one of nothing, another for an error of many lines."""
    lake.write("annotations", [{"annotation_id": "a", "trace_id": "t0", "start_time": _NOON}])
    path = Path(lake.path, "spans", "_delta_log", f"{4:020d}.json")
    os.truncate(path, left)
    fresh = Lake(lake.path)
    report = fresh.verify()
    assert [(problem.path, problem.kind) for problem in report.problems] == [
        (f"spans/_delta_log/{path.name}", "log")
    ]
    assert fresh.quarantine(report) == []
    assert fresh.records("annotations").collect().height == 1
    if left:
        with pytest.raises(LakeError, match=r"\A[^\n]*spans cannot be read[^\n]*\Z"):
            fresh.spans()
        with pytest.raises(LakeError, match=r"\A[^\n]*spans cannot be read[^\n]*\Z"):
            fresh.seal()


@pytest.mark.parametrize("suffix", [".jsonl", SUFFIX])
@pytest.mark.parametrize("left", [None, 0, 5, 20, -3])
def test_a_carry_that_is_not_whole_is_named_and_nothing_is_sealed_twice(
    tmp_path: Path, left: int | None, suffix: str
) -> None:
    """Without it nobody knows what was sealed; of one that was cut the rest still counts."""
    lake = Lake(tmp_path / "lake")
    for trace_id in ("t0", "t1"):
        lake.append({**_CALL, "trace_id": trace_id, "data": {"status": "running"}})
        lake.append({**_CALL, "trace_id": trace_id, "span_id": "done", "data": {}})
    with closing(ExchangeLog(lake.hot)) as log:
        for span_id in ("a", "b"):
            exchange = Exchange(span_id, _NOON, "POST", "/v1/messages", "anthropic", (), b"{}")
            log.opened(exchange)
            log.done("a", "t0", None)
        log.ended(replace(exchange, span_id="a", end_time=_NOON, status=200, outcome="ok"))
    lake.seal()
    path = carry_path(lake.hot, 1, suffix)
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left if left >= 0 else path.stat().st_size + left)
    fresh = Lake(lake.path)
    assert [problem.path for problem in fresh.verify().problems] == [f"hot/{path.name}"]

    def read() -> pl.DataFrame:
        return (fresh.spans() if suffix == ".jsonl" else fresh.exchanges()).collect()

    if left is None or left >= 0:
        for ask in (read, fresh.seal):
            with pytest.raises(
                LakeError, match=rf"\A[^\n]*{path.name} is (missing|damaged)[^\n]*\Z"
            ):
                ask()
        return
    rows = read().height
    assert rows == (3 if suffix == ".jsonl" else 1)
    fresh.seal()
    assert read().height == rows
