"""What the figures above a run say, and when it is over."""

from __future__ import annotations

from typing import Any

import polars as pl

from tests.unit.test_graph import agent, build, span
from tracelake.graph.totals import SETTLED_S
from tracelake.schema import SPANS, polars_schema
from tracelake.storage.rollup import NEEDED, roll_up

_EVENING = 1e12  # long after all of it


def _in_lake(spans: list[dict[str, Any]]) -> dict[str, Any]:
    schema = {name: dtype for name, dtype in polars_schema(SPANS).items() if name in NEEDED}
    rows = [{name: one.get(name) for name in NEEDED} for one in spans]
    rows = [{**row, "trace_id": "t", "revision": 0} for row in rows]
    return roll_up(pl.DataFrame(rows, schema=schema)).row(0, named=True)


def test_a_run_stands_as_its_first_root_does() -> None:
    """Neither a second root nor a sub-agent that orchestrates others says how the run stands."""
    spans = [
        agent("root", 0, role="orchestrator"),
        agent("sub", 1, 5, parent_id="root", role="orchestrator"),
        agent("second", 2, 6, role="orchestrator"),
    ]
    for order in (spans, spans[::-1]):
        graph = build([])
        for one in order:
            graph.apply(one)
        assert graph.totals.status(_EVENING) == "running"
    graph.apply(agent("root", 0, 9, role="orchestrator", status="error"))
    assert graph.totals.status(_EVENING) == "error"


def test_a_run_whose_root_never_comes_ends_some_time() -> None:
    """Without a root it goes on while a span runs and a while longer, then as the lake has it."""
    calls = [span(f"c{i}", "llm", i, i + 1, parent_id="elsewhere") for i in range(3)]
    graph = build(calls)
    last = graph.totals.last
    assert last is not None
    assert graph.totals.status(last + SETTLED_S / 2) == "running"
    assert graph.totals.status(last + SETTLED_S) == "ok" == _in_lake(calls)["status"]
    (lane,) = graph.since(0).lanes
    assert lane["status"] == "ok"
    graph.apply(span("c4", "llm", 4, parent_id="elsewhere"))
    assert graph.totals.status(_EVENING) == "running"


def test_figures_are_those_of_the_lake() -> None:
    """A search is no tool call, and an embedding has its price, here as in the history."""
    spans = [
        agent("root", 0, 9, role="orchestrator"),
        span("c", "llm", 1, 2, parent_id="root", tokens_input=7, cost_usd=0.5),
        span("t", "tool", 2, 3, parent_id="c"),
        span("r", "retriever", 3, 4, parent_id="root"),
        span("e", "embedding", 4, 5, parent_id="root", tokens_input=30, cost_usd=0.25),
    ]
    live, lake = build(spans).totals.as_dict(), _in_lake(spans)
    names = {"calls": "llm_calls", "tools": "tool_calls", "errors": "error_count"}
    for name, value in live.items():
        assert value == (lake[names.get(name, name)] or 0), name
