"""Finding traces by what they are and what was said in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pytest

from tracelake.errors import QueryError
from tracelake.lake import Lake
from tracelake.query import rollups
from tracelake.query.traces import ORDERS, TraceFilter, filter_spans, filter_traces, sort_traces

if TYPE_CHECKING:
    from pathlib import Path

#: Trace id: day, agent, model, cost, seconds, tool, answer, failed, source.
TRACES: dict[str, tuple[Any, ...]] = {
    "a": (1, "coder", "opus", 2.0, 60, "grep", 'He said "stop" loudly', False, "proxy"),
    "b": (2, "coder", "mini", 0.01, 5, "read_file", "ALL tests PASS", True, "proxy"),
    "c": (3, "tester", "local", None, 1, None, "naïve café (1+1)?", False, "playground"),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three traces on three days."""
    path: Path = tmp_path_factory.mktemp("lake")
    lake = Lake(path)
    for trace_id, row in TRACES.items():
        day, agent, model, cost, seconds, tool, answer, failed, source = row
        at = datetime(2026, 11, day, 12, tzinfo=UTC).isoformat()
        common = {"trace_id": trace_id, "timestamp": at, "agent_name": agent}
        root = {"role": "orchestrator", "source": source, "status": "ok"}
        root["duration_ms"] = 1000.0 * seconds
        call = {"model": model, "response": answer, "source": source}
        call |= {"cost_usd": cost, "duration_ms": 500.0 * seconds}
        call |= {"tokens": {"input": 10, "output": 2}, "ttft_ms": 10.0}
        call["messages"] = [{"role": "user", "content": f"{answer}\nprompt of {trace_id}"}]
        if failed:
            call["error"] = "boom"
        lake.append({"event_type": "span", "span_id": "r", **common,
                     "data": {"kind": "agent", "name": agent, **root}})  # fmt: skip
        lake.append({"event_type": "llm_call", "span_id": "l", "parent_id": "r", **common,
                     "data": call})  # fmt: skip
        if tool:
            data = {"tool_name": tool, "result": "found", "duration_ms": 1.0, "source": source}
            lake.append({"event_type": "tool_call", "span_id": "t", "parent_id": "r", **common,
                         "data": data})  # fmt: skip
    return lake


def _frames(lake: Lake) -> tuple[nw.LazyFrame[Any], nw.LazyFrame[Any]]:
    return nw.from_native(lake.traces()), nw.from_native(lake.spans())


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TraceFilter(), "abc"),
        (TraceFilter(since=date(2026, 11, 2)), "bc"),
        (TraceFilter(until=date(2026, 11, 2)), "ab"),
        (TraceFilter(agents=("coder",)), "ab"),
        (TraceFilter(agents=("code",)), ""),
        (TraceFilter(agents=("coder", "tester")), "abc"),
        (TraceFilter(models=("mini",)), "b"),
        (TraceFilter(tools=("grep",)), "a"),
        (TraceFilter(sources=("playground",)), "c"),
        (TraceFilter(with_errors=True), "b"),
        (TraceFilter(min_cost_usd=0.01), "ab"),
        (TraceFilter(min_duration_s=5), "ab"),
        (TraceFilter(text="tests pass"), "b"),
        (TraceFilter(text='said "stop"'), "a"),
        (TraceFilter(text="café (1+1)?"), "c"),
        (TraceFilter(text="prompt of a"), "a"),
        (TraceFilter(text="loudly\nprompt"), "a"),
        (TraceFilter(text=".*"), ""),
        (TraceFilter(agents=("coder",), with_errors=True, text="pass"), "b"),
        (TraceFilter(statuses=("ok",), models=("local",)), "c"),
    ],
)
def test_filters_find_what_they_say(lake: Lake, wanted: TraceFilter, found: str) -> None:
    """Each condition, and several together, keep exactly the traces that meet them."""
    traces, spans = _frames(lake)
    rows = filter_traces(traces, spans, wanted).collect("polars").to_native()
    assert "".join(sorted(rows["trace_id"])) == found
    whole = filter_spans(spans, traces, wanted).collect("polars").to_native()
    assert "".join(sorted(set(whole["trace_id"]))) == found


def test_a_filter_reads_query_parameters_and_refuses_what_it_does_not_know() -> None:
    """The names in a URL are the names of the filter; a typo is an error, not a wider answer."""
    wanted = TraceFilter.parse(
        {"since": ["2026-11-01"], "agents": ["a", "b"], "with_errors": ["true"],
         "min_cost_usd": ["0.5"], "text": ["hi"]}
    )  # fmt: skip
    assert wanted == TraceFilter(
        since=date(2026, 11, 1), agents=("a", "b"), with_errors=True, min_cost_usd=0.5, text="hi"
    )
    for bad in ({"agent": ["a"]}, {"since": ["soon"]}, {"with_errors": ["si"]}):
        with pytest.raises(QueryError):
            TraceFilter.parse(bad)


@pytest.mark.parametrize(
    ("order", "first"),
    [("newest", "c"), ("oldest", "a"), ("costliest", "a"), ("slowest", "a"), ("most_errors", "b")],
)
def test_orders_put_the_right_trace_first(lake: Lake, order: Any, first: str) -> None:
    """Every order sorts by what it says; unknown values come last."""
    assert order in ORDERS
    traces, _ = _frames(lake)
    ids = sort_traces(traces, order).collect("polars").to_native()["trace_id"].to_list()
    assert ids[0] == first
    if order == "costliest":
        assert ids[-1] == "c"


def test_rollups_sum_and_keep_unknown_costs_unknown(lake: Lake) -> None:
    """Spend, calls and latency per day; a model without a price has no cost, not zero."""
    traces, spans = _frames(lake)
    cost = {r["model"]: r["cost_usd"] for r in _rows(rollups.cost_by_model(spans))}
    assert cost == {"opus": 2.0, "mini": 0.01, "local": None}
    calls = {(r["day"].day, r["kind"]): (r["calls"], r["errors"])
             for r in _rows(rollups.calls_by_day(spans))}  # fmt: skip
    assert calls == {
        (1, "llm"): (1, 0), (1, "tool"): (1, 0),
        (2, "llm"): (1, 1), (2, "tool"): (1, 0), (3, "llm"): (1, 0),
    }  # fmt: skip
    assert [r["p50_ms"] for r in _rows(rollups.latency_by_day(spans))] == [30000, 2500, 500]
    total = _rows(rollups.totals(traces, rollups.not_spent(spans)))[0]
    assert (total["traces"], total["priced"], total["with_errors"]) == (3, 2, 1)
    assert total["llm_calls"] == 3
    assert total["not_spent_usd"] == 0


def test_what_no_provider_was_paid_for_is_told(tmp_path: Path) -> None:
    """Answers from a recording and offline ones are not spent; an edited request is sent."""
    calls: list[dict[str, Any]] = [
        {"cost_usd": 1.0},
        {"cost_usd": 2.0, "match": "exact"},
        {"cost_usd": 4.0, "match": "edited"},
        {"cost_usd": 8.0, "match": "edited", "request_edited": True},
        {"cost_usd": 16.0, "match": "live"},
        {"cost_usd": 32.0, "match": "live", "cost_note": "as if: offline provider"},
        {"cost_usd": None, "match": "exact"},
    ]
    with Lake(tmp_path / "lake") as lake:
        for number, data in enumerate(calls):
            at = f"2026-11-01T10:00:0{number}.000000Z"
            lake.append({"event_type": "llm_call", "trace_id": f"t{number % 2}", "timestamp": at,
                         "span_id": f"c{number}", "agent_name": "a", "data": data})  # fmt: skip
        traces, spans = _frames(lake)
        free = {r["trace_id"]: r["not_spent_usd"] for r in _rows(rollups.not_spent(spans))}
        assert free == {"t0": 4.0, "t1": 34.0}
        one = traces.filter(nw.col("trace_id") == "t1")
        assert _rows(rollups.totals(one, rollups.not_spent(spans)))[0]["not_spent_usd"] == 34.0


def _rows(frame: nw.LazyFrame[Any]) -> list[dict[str, Any]]:
    return list(frame.collect("polars").to_native().iter_rows(named=True))
