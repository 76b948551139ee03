"""`tracelake bench`: figures for people and for programs, of the sizes asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.lake import count
from benchmarks.lake_bytes import sizes
from benchmarks.report import Report
from tracelake.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BENCH = [sys.executable, "-m", "tracelake.cli", "bench"]


def test_it_asks_a_lake_of_the_size_wanted(tmp_path: Path) -> None:
    """One JSON object a line, from any folder."""
    command = [*BENCH, "lake", "queries", "--spans", "0.9k", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    figures = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert figures["lake"]["spans"] == 30 * 27
    assert figures["open one trace"]["rows"] == 27
    assert figures["open one trace"]["target"] == "30 ms"
    assert figures["memory of the process"]["peak_mb"] > 0


def test_bytes_stand_beside_jsonl_and_sqlite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same spans in each; sealing and compaction say how fast they went."""
    sizes(Report(as_json=True), tmp_path, scale=0.02)
    names = {json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()}
    for kind in ("30-turn conversations", "ordinary mix"):
        for what in ("JSONL (baseline)", "SQLite (baseline)", "compacted", "sealing", "compaction"):
            assert f"{kind}: {what}" in names


def test_sizes_are_written_as_people_write_them() -> None:
    """500k and 10M are numbers of spans."""
    assert [count(text) for text in ("500", "500k", "1M", "10m", "1.5k")] == [
        500, 500_000, 1_000_000, 10_000_000, 1_500,
    ]  # fmt: skip


def test_an_unknown_benchmark_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names those that there are."""
    assert main(["bench", "lakes"]) == 2
    assert "lake, relay, infer" in capsys.readouterr().err
