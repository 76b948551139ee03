"""A page that does not decode: every way into the lake answers with what is left, and names it."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests.parquet_pages import pages_of
from tracelake import Lake
from tracelake.cli.main import main
from tracelake.errors import NotInLake
from tracelake.ingest.recover import read_recent
from tracelake.ingest.reindex import reindex
from tracelake.model import Exchange
from tracelake.replay.recorded import settle
from tracelake.replay.sides import read_side
from tracelake.replay.source import find_run, find_trace_of, read_recording
from tracelake.storage.xlog import ExchangeLog

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def damaged(tmp_path: Path) -> Lake:
    """Two traces in files of their own; of the first no text and no body decodes any more."""
    with Lake(tmp_path / "lake") as lake:
        log = ExchangeLog(lake.hot)
        for number in range(2):
            text, trace_id = os.urandom(3000).hex(), f"t{number}"
            data = {"status": "ok", "response": text, "kind": "llm", "name": "call"}
            event: dict[str, Any] = {"event_type": "span", "trace_id": trace_id, "data": data}
            lake.append({**event, "span_id": f"s{number}", "timestamp": T0})
            exchange = Exchange(
                f"e{number}", T0, "POST", "/v1/messages", "anthropic", (), b"ask", end_time=T0,
                trace_id=trace_id, status=200, response_body=text.encode(), outcome="ok",
            )  # fmt: skip
            log.opened(exchange)
            log.ended(exchange)
            log.done(f"e{number}", trace_id, None)
            lake.seal()
        log.close()
        for table, column in (("spans", "response"), ("exchanges", "response_body")):
            (path,) = [
                Path(uri)
                for uri in lake.files(table)
                if pl.read_parquet(uri)["trace_id"].to_list() == ["t0"]
            ]
            (page,) = pages_of(path, column)
            content = bytearray(path.read_bytes())
            content[page.offset : page.offset + page.size_bytes] = os.urandom(page.size_bytes)
            path.write_bytes(content)
    return Lake(tmp_path / "lake")


def test_the_page_is_really_damaged(damaged: Lake) -> None:
    """Without being asked through `answer`, every engine fails on it."""
    with pytest.raises(pl.exceptions.PolarsError):
        damaged.spans().collect()
    with pytest.raises(duckdb.Error):
        damaged.scan("spans", engine="duckdb").collect()


def test_sql(damaged: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    """Spans and exchanges."""
    for table in ("spans", "exchanges"):
        query = f"SELECT * FROM {table}"
        assert main(["sql", query, "--json", "--lake", damaged.path]) == 0
        assert [json.loads(line)["trace_id"] for line in capsys.readouterr().out.splitlines()] == [
            "t1"
        ]


def test_export(damaged: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is left is written, and what is not is said."""
    caplog.set_level(logging.WARNING)
    assert main(["export", str(tmp_path / "out.parquet"), "--lake", damaged.path]) == 0
    assert pl.read_parquet(tmp_path / "out.parquet")["trace_id"].to_list() == ["t1"]
    assert "left out a damaged file" in caplog.text


def test_an_engine_of_choice(damaged: Lake) -> None:
    """DuckDB, through `answer`."""
    found = damaged.answer(lambda: damaged.scan("spans", engine="duckdb").collect().to_native())
    assert found["trace_id"].to_pylist() == ["t1"]


def test_replay_and_comparison(damaged: Lake) -> None:
    """The trace that is whole can be run again and compared."""
    assert read_recording(damaged, "t1").incomplete == ()
    with pytest.raises(NotInLake):
        read_recording(damaged, "t0")
    assert find_trace_of(Lake(damaged.path), "s1") == "t1"
    assert read_side(Lake(damaged.path), "t1") is not None
    found = settle(Lake(damaged.path), "t1", 0)
    assert found is not None
    assert found["status"] == "ok"


def test_ingest(damaged: Lake) -> None:
    """It starts, and derives again what can be read."""
    assert read_recent(damaged, T0) != []
    assert reindex(Lake(damaged.path), T0).exchanges == 1


def test_small_tables(tmp_path: Path) -> None:
    """What else was written is read, deleted and sealed beside a file that is not whole."""
    with Lake(tmp_path / "lake") as lake:
        for number in range(3):
            lake.append(
                {
                    "event_type": "span",
                    "trace_id": f"t{number}",
                    "span_id": f"s{number}",
                    "timestamp": T0,
                    "data": {"status": "ok", "kind": "llm", "name": "call"},
                }
            )
            lake.write(
                "runs", [{"run_id": f"t{number}", "name": f"run {number}", "start_time": T0}]
            )
        lake.seal()
        (path,) = [
            Path(uri)
            for uri in lake.files("runs")
            if pl.read_parquet(uri)["run_id"].to_list() == ["t0"]
        ]
        content = path.read_bytes()
        path.write_bytes(content[:4] + os.urandom(len(content) - 12) + content[-8:])
        assert [run for run in ("t0", "t1", "t2") if find_run(lake, run)] == ["t1", "t2"]
        assert lake.delete("t1") == 1
        assert lake.seal().purged == 3  # a span, a trace, a run
        assert find_run(lake, "t1") is None
        assert lake.answer(lambda: lake.records("runs").collect())["run_id"].to_list() == ["t2"]
        assert path.exists()
