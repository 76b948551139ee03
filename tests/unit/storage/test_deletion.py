"""Deleting traces: hidden at once, gone from every file after the next seal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tracelake import Lake
from tracelake.errors import NotInLake
from tracelake.model import Exchange
from tracelake.storage.sealer import Sealer
from tracelake.storage.xlog import ExchangeLog

if TYPE_CHECKING:
    from pathlib import Path

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)


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


def _everywhere(lake: Lake) -> set[str]:
    """Trace ids in any file of the lake, whoever may read it."""
    found: set[str] = set()
    for table in ("spans", "traces", "exchanges"):
        for uri in lake.files(table):
            found |= set(pl.read_parquet(uri)["trace_id"])
    for path in lake.hot.glob("carry-*"):
        if path.stat().st_size:
            found |= {f"carry {n}" for n in ("t1", "t2") if f'"{n}"'.encode() in path.read_bytes()}
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two traces, each with a sealed span, a carried one, a hot one and an exchange."""
    lake = Lake(tmp_path / "lake")
    log = ExchangeLog(lake.hot)
    for trace_id in ("t1", "t2"):
        _append(lake, trace_id, "sealed", 0)
        _append(lake, trace_id, "carried", 1, status="running")
        for span_id, is_done in ((f"{trace_id}-a", True), (f"{trace_id}-b", False)):
            moments = {"start_time": T0, "end_time": T0}
            exchange = Exchange(
                span_id, method="POST", path="/", upstream="anthropic", request_headers=(),
                request_body=b"", trace_id=trace_id, outcome="ok", status=200, **moments,
            )  # fmt: skip
            log.opened(exchange)
            log.ended(exchange)
            if is_done:
                log.done(span_id, trace_id, None)
    lake.seal()
    for trace_id in ("t1", "t2"):
        _append(lake, trace_id, "hot", 2)
    return lake


def test_a_deleted_trace_is_hidden_at_once(lake: Lake) -> None:
    """No read shows it any more, before anything was rewritten."""
    other = Lake(lake.path)
    other.spans().collect()
    assert lake.delete("t1") == 1
    for reader in (lake, other, Lake(lake.path)):
        assert set(reader.spans().collect()["trace_id"]) == {"t2"}
        assert reader.traces().collect()["trace_id"].to_list() == ["t2"]
        assert reader.latest_traces()["trace_id"].to_list() == ["t2"]
        assert set(reader.exchanges().collect()["trace_id"]) == {"t2"}
        assert reader.trace("t2").height == 3
        with pytest.raises(NotInLake):
            reader.trace("t1")


def test_the_next_seal_removes_it_from_the_files(lake: Lake) -> None:
    """Tables, carry and exchanges are rewritten; what comes late of it stays out too."""
    lake.delete("t1")
    _append(lake, "t1", "late", 3)
    report = lake.seal()
    assert report.purged == 3
    lake.close()
    Sealer(lake.location, reap_grace_s=0).seal()
    assert not any("t1" in found for found in _everywhere(lake))
    assert set(lake.spans().collect()["trace_id"]) == {"t2"}
    assert lake.trace("t2").height == 3
    assert lake.exchanges().collect().height == 2


def test_deleting_by_age_drops_days_and_straddling_traces(tmp_path: Path) -> None:
    """Every trace that started before the moment goes, as a whole; no other loses a span."""
    lake = Lake(tmp_path / "lake")
    for days in range(4):
        _append(lake, f"d{days}", "one", days * 86400)
        _append(lake, f"d{days}", "two", days * 86400 + 50_000)  # past midnight
    lake.seal()
    assert lake.delete(before=T0 + timedelta(days=2)) == 2
    for _ in range(2):
        assert set(lake.spans().collect()["trace_id"]) == {"d2", "d3"}
        assert lake.spans().collect().height == 4
        assert lake.traces().collect().height == 2
        lake.seal()
    held = {trace for uri in lake.files() for trace in pl.read_parquet(uri)["trace_id"]}
    assert held == {"d2", "d3"}


def test_deleting_a_day_takes_what_started_on_it_whole(tmp_path: Path) -> None:
    """Sealed, carried, hot, and its exchanges, those of no trace too; the days beside it stay."""
    lake = Lake(tmp_path / "lake")
    log = ExchangeLog(lake.hot)
    for number in range(3):
        name, seconds = f"d{number}", number * 86400
        _append(lake, name, "sealed", seconds)
        _append(lake, name, "past-midnight", seconds + 50_000)
        _append(lake, name, "carried", seconds + 1, status="running")
        for span_id, trace_id in ((f"{name}-a", name), (f"{name}-b", None)):
            start = T0 + timedelta(seconds=seconds)
            exchange = Exchange(
                span_id, start, "POST", "/", "anthropic", (), b"", end_time=start,
                trace_id=trace_id, outcome="ok", status=200,
            )  # fmt: skip
            log.opened(exchange)
            log.ended(exchange)
            log.done(span_id, trace_id, None)
    assert lake.seal().carried == 3
    for number in range(3):
        _append(lake, f"d{number}", "hot", number * 86400 + 2)
    day = (T0 + timedelta(days=1)).date()
    assert lake.delete(day=day) == 1
    for reader in (lake, Lake(lake.path)):
        for _ in range(2):
            assert set(reader.spans().collect()["trace_id"]) == {"d0", "d2"}
            assert reader.spans().collect().height == 8
            assert sorted(reader.traces().collect()["trace_id"]) == ["d0", "d2"]
            left = {"d0-a", "d0-b", "d2-a", "d2-b"}
            assert set(reader.exchanges().collect()["span_id"]) == left
            ducks = reader.scan("exchanges", engine="duckdb").collect().to_native()
            assert set(ducks["span_id"].to_pylist()) == left
            lake.close()
            log.close()
            Sealer(lake.location, reap_grace_s=0).seal()
    for table in ("spans", "traces", "exchanges"):
        for uri in lake.files(table):
            rows = pl.read_parquet(uri)
            assert "d1" not in rows["trace_id"]
            assert table != "exchanges" or "d1-b" not in rows["span_id"]
    assert not any(b"d1" in path.read_bytes() for path in lake.hot.glob("[!.]*"))


@pytest.mark.parametrize("by_age", [False, True])
def test_what_speaks_of_a_deleted_trace_goes_with_it(tmp_path: Path, by_age: bool) -> None:
    """Its run, notes and checkpoints are hidden at once and leave the files at the next seal."""
    lake = Lake(tmp_path / "lake")
    for days, name in enumerate(("old", "new")):
        _append(lake, name, "one", days * 86400)
        start = T0 + timedelta(days=days)
        lake.write("runs", [{"run_id": name, "start_time": start, "command": ["x"]}])
        # somebody looked at it much later
        row = {"trace_id": name, "start_time": T0 + timedelta(days=9)}
        lake.write("annotations", [{**row, "annotation_id": f"a-{name}", "text": "note"}])
        lake.write("checkpoints", [{**row, "checkpoint_id": f"c-{name}", "name": "here"}])
    lake.seal()
    tables = {"runs": "run_id", "annotations": "trace_id", "checkpoints": "trace_id"}
    moment = T0 + timedelta(days=1)
    assert (lake.delete(before=moment) if by_age else lake.delete("old")) == 1
    for _ in range(2):
        for table, column in tables.items():
            assert lake.records(table).collect()[column].to_list() == ["new"]
            ducks = lake.scan(table, engine="duckdb").collect().to_native()
            assert ducks[column].to_pylist() == ["new"]
        lake.seal()
    for table, column in tables.items():
        held = [name for uri in lake.files(table) for name in pl.read_parquet(uri)[column]]
        assert held == ["new"]


def test_deleting_what_is_not_there_says_so(lake: Lake) -> None:
    """A mistyped id is an error, not a silent success."""
    with pytest.raises(NotInLake):
        lake.delete("t9")
