"""The main job from outside: the demo program, recorded unmodified, read back by every door."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from tests.e2e.browser import free_port
from tests.support import command_lines, eventually
from tracelake import Lake
from tracelake.storage.tail import Tail

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def tracelake(*words: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tracelake.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[Any]]:
    """One run of the demo at moderate pace: the lake, its trace, and what a second process saw."""
    lake = tmp_path_factory.mktemp("demo") / "lake"
    command = [sys.executable, "-m", "tracelake.cli", "demo", "--headless", "--once", "--json"]
    command += ["--pace", "0.2", "--lake", str(lake)]
    tail = Tail(lake / "hot")
    seen: list[Any] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None:
            assert time.monotonic() < deadline, "the demo did not end"
            tail.wait(0.1)
            seen += tail.poll()
        out = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, out
    trace_id = json.loads(out.splitlines()[-1])["trace_id"]
    shown = tracelake("show", trace_id, "--json", "--lake", lake)
    assert shown.returncode == 0, shown.stderr
    return lake, json.loads(shown.stdout), seen


def test_the_tree_is_whole(demo: tuple[Path, dict[str, Any], list[Any]]) -> None:
    """One orchestrator, sub-agents under it, calls and tools with their facts, no loose end."""
    _, shown, _ = demo
    spans = shown["spans"]
    by_id = {span["span_id"]: span for span in spans}
    roots = [span for span in spans if span["parent_id"] is None]
    assert [root["kind"] for root in roots] == ["agent"]
    assert [root["role"] for root in roots] == ["orchestrator"]
    assert all(span["parent_id"] in by_id for span in spans if span["parent_id"] is not None)

    agents = [span for span in spans if span["kind"] == "agent" and span["parent_id"]]
    assert len(agents) >= 2
    for agent in agents:
        ancestor = agent
        while ancestor["parent_id"]:
            ancestor = by_id[ancestor["parent_id"]]
        assert ancestor is roots[0]

    calls = [span for span in spans if span["kind"] == "llm" and not span["auxiliary"]]
    assert len(calls) >= 6
    for call in calls:
        assert call["tokens_input"] > 0
        assert call["tokens_output"] > 0
        assert call["cost_usd"] > 0
        assert "as if" in call["cost_note"]
        assert call["messages"]

    tools = [span for span in spans if span["kind"] == "tool"]
    assert len(tools) >= 6
    assert all(tool["parameters"] is not None and tool["result"] for tool in tools)
    assert sum(tool["status"] == "error" for tool in tools) == 1
    assert all(span["status"] in {"ok", "error"} for span in spans)


def test_trace_rolls_up_its_spans(demo: tuple[Path, dict[str, Any], list[Any]]) -> None:
    """The row of `traces` says what its spans say together."""
    _, shown, _ = demo
    trace, spans = shown["trace"], shown["spans"]
    calls = [span for span in spans if span["kind"] == "llm" and not span["auxiliary"]]
    assert trace["span_count"] == len(spans)
    assert trace["llm_calls"] == len(calls)
    assert trace["cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls))
    assert trace["status"] == "ok"
    assert trace["error_count"] == 1
    assert trace["final_output"]


def test_another_process_sees_calls_while_they_run(
    demo: tuple[Path, dict[str, Any], list[Any]],
) -> None:
    """A second process that follows the lake sees each call running before it sees it end."""
    _, shown, seen = demo
    first: dict[str, str] = {}
    for event in seen:
        first.setdefault(event["span_id"], event["data"].get("status"))
    calls = [span["span_id"] for span in shown["spans"] if span["kind"] == "llm"]
    assert calls
    assert {first.get(span_id) for span_id in calls} == {"running"}


def test_sealed_parquet_reads_the_same_everywhere(
    demo: tuple[Path, dict[str, Any], list[Any]],
) -> None:
    """After a seal any Delta reader, and any Parquet reader of `files()`, finds the same spans."""
    lake, shown, _ = demo
    assert tracelake("seal", "--lake", lake).returncode == 0
    expected = sorted(span["span_id"] for span in shown["spans"])
    delta = pl.scan_delta(str(lake / "spans")).select("span_id").collect()["span_id"].to_list()
    assert sorted(delta) == expected
    files = Lake(lake).files("spans")
    rows = duckdb.sql(f"select span_id from read_parquet({files!r})").fetchall()
    assert sorted(row[0] for row in rows) == expected
    exchanges = pl.scan_delta(str(lake / "exchanges")).collect()
    assert exchanges["trace_id"].unique().to_list() == [shown["trace"]["trace_id"]]
    kept = b"".join(exchanges["request_headers"].str.encode("hex").cast(pl.Binary).to_list())
    assert kept


def test_nothing_is_left_running(demo: tuple[Path, dict[str, Any], list[Any]]) -> None:
    """The demo takes its collector, provider and program with it."""
    lake, _, _ = demo

    def idle() -> bool:
        return str(lake) not in command_lines()

    eventually(idle)


def test_stopped_while_its_app_starts_nothing_is_left(tmp_path: Path) -> None:
    """Stopping does not wait for the app, and the app does not stay behind."""
    port = str(free_port())
    command = [sys.executable, "-m", "tracelake.cli", "demo", "--once", "--port", port]
    with subprocess.Popen([*command, "--lake", tmp_path / "lake"]) as process:
        eventually(lambda: f"--server.port {port}" in command_lines())
        process.terminate()
        assert process.wait(timeout=60) != 0
    eventually(lambda: f"--server.port {port}" not in command_lines())


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """What already listens there is not taken for the app."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = tracelake("demo", "--once", "--port", str(port), "--lake", tmp_path / "lake")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"tracelake: port {port} is taken: choose another with --port"
    ]
