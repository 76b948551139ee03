"""The questions that have targets, to a lake of many spans with small payloads.

build(report, folder, spans, payload_chars)   30 days of traces, sealed and compacted
ask(report, folder)                           medians, and the memory of the asking process
"""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from benchmarks import lake_data
from benchmarks.report import progress
from tracelake import Lake
from tracelake.query.calls import find_spans, search_text
from tracelake.query.rollups import cost_by_model
from tracelake.query.traces import TraceFilter, filter_traces
from tracelake.schema import SPANS, TRACES
from tracelake.storage.rewrite import append
from tracelake.storage.rollup import roll_up
from tracelake.storage.table import DeltaStore

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals as nw

    from benchmarks.report import Report

DAYS = 30
ROUNDS = 9
#: Question to its targets, milliseconds: up to a million spans, above.
TARGETS = {
    "latest 50 traces": (10, 50),
    "agent and error in a day": (50, None),
    "agent and error in 2 days": (None, 150),
    "open one trace": (30, 150),
    "text in prompts, 2 days": (300, 300),
}


def build(report: Report, folder: Path, spans: int, payload_chars: int) -> None:
    """Build the lake unless it is there."""
    lake = Lake(folder)
    if lake.files():
        return
    stores = [DeltaStore(lake.path, table) for table in (SPANS, TRACES)]
    began = time.perf_counter()
    with progress(f"building {spans:,} spans, day", DAYS) as step:
        for frame in lake_data.small_spans(DAYS, spans // DAYS, payload_chars):
            append(stores[0], frame, {})
            append(stores[1], roll_up(frame), {})
            step(1)
    seconds = time.perf_counter() - began
    report.line("queries", "built", spans=spans, all_s=seconds)


def ask(report: Report, location: str) -> None:
    """Ask each question some times.

    Args:
        report: Where the figures go.
        location: A lake, the built one or anybody's; it is only read.
    """
    lake = Lake(location)
    spans = lake.spans().select(pl.len()).collect().item()
    rows = lake.traces().select("trace_id", "start_time").sort("start_time").collect()
    if rows.is_empty():
        report.line("queries", "lake", note=f"{location} holds no traces")
        return
    sizes = lake.spans().select(pl.col("messages").str.len_bytes().mean()).collect().item()
    report.line(
        "queries", "lake", spans=spans, traces=rows.height, files=len(lake.files()),
        prompt_bytes=round(sizes or 0), **_stored(lake),
    )  # fmt: skip
    newest = rows["start_time"][-1]
    until = newest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    day, days = until - timedelta(days=1), until - timedelta(days=2)
    # each trace is opened once: a second look at the same one would be cheaper
    opened = iter(rows["trace_id"].gather_every(max(rows.height // ROUNDS, 1)).to_list() * ROUNDS)

    def scan(table: str = "spans") -> nw.LazyFrame[Any]:
        return lake.scan(table)

    questions: dict[str, Callable[[], Any]] = {
        "latest 50 traces": lambda: lake.latest_traces(50),
        "agent and error in a day": lambda: find_spans(
            scan(), since=day, agent_name="coder", status="error"
        ).collect(),
        "agent and error in 2 days": lambda: find_spans(
            scan(), since=days, agent_name="coder", status="error"
        ).collect(),
        "open one trace": lambda: lake.trace(next(opened)),
        "text in prompts, 2 days": lambda: search_text(
            scan(), "def __init__", since=days, columns=("messages",)
        ).select("trace_id", "span_id").collect(),
        "traces with a text, 2 days": lambda: filter_traces(
            scan("traces"), scan(), TraceFilter(since=days.date(), text="def __init__")
        ).collect(),
        "cost by model and day": lambda: cost_by_model(scan()).collect(),
        "costliest 50 traces": lambda: lake.traces().top_k(50, by="cost_usd").collect(),
    }  # fmt: skip
    for name, question in questions.items():
        _measure(report, name, question, spans)
    report.memory("queries")


def _stored(lake: Lake) -> dict[str, float]:
    if not lake.location.is_local:
        return {}
    return {"mb": sum(Path(uri).stat().st_size for uri in lake.files()) / 1e6}


def _measure(report: Report, name: str, question: Callable[[], Any], spans: int) -> None:
    times: list[float] = []
    busy: list[float] = []
    rows = 0
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        rows = len(question())
        times.append((time.perf_counter() - began) * 1e3)
        busy.append((time.process_time() - used) * 1e3)
    goal = TARGETS.get(name, (None, None))[spans > 1_000_000]
    report.line(
        "queries", name, target=f"{goal} ms" if goal else "",
        median_ms=statistics.median(times[1:]), fastest_ms=min(times), first_ms=times[0],
        cpu_ms=statistics.median(busy[1:]), rows=rows,
    )  # fmt: skip
