"""Two traces side by side: which spans stand for each other, and what changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tracelake import schema
from tracelake.replay.align import changed_parts
from tracelake.replay.compare import compare, merged_graph, pair_diff
from tracelake.replay.compare_page import render_page

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def span(number: int, span_id: str, kind: str, parent: str | None, **columns: Any) -> Any:
    """A row of `spans`."""
    row: dict[str, Any] = dict.fromkeys(schema.SPANS.names)
    start = START + timedelta(seconds=number)
    row |= {"span_id": span_id, "kind": kind, "parent_id": parent, "start_time": start}
    return {**row, "status": "ok", "agent_name": "boss", **columns}


def llm(number: int, span_id: str, asked: str, said: str, **columns: Any) -> Any:
    """A model call of the root agent."""
    messages = json.dumps([{"role": "user", "content": asked}])
    more = {"model": "m", "messages": messages, "response": said, "cost_usd": 0.5}
    return span(number, span_id, "llm", "root") | more | columns


def tool(number: int, span_id: str, name: str, given: str, result: str) -> Any:
    """A tool call of the root agent."""
    parameters = json.dumps({"q": given})
    return span(
        number, span_id, "tool", "root", tool_name=name, parameters=parameters, result=result
    )


def trace(trace_id: str, output: str) -> dict[str, Any]:
    """A row of `traces`."""
    row: dict[str, Any] = dict.fromkeys(schema.TRACES.names)
    return {**row, "trace_id": trace_id, "final_output": output, "tokens_input": 10}


BEFORE = [
    span(0, "root", "agent", None, name="boss", role="orchestrator"),
    llm(1, "a1", "plan", "search twice"),
    tool(2, "t1", "search", "one", "first"),
    tool(3, "t2", "search", "two", "second"),
    llm(4, "a2", "sum up", "done"),
]
ROOT_2 = {"parent_id": "root2"}
AFTER = [
    span(0, "root2", "agent", None, name="boss", role="orchestrator"),
    llm(1, "b1", "plan", "search other things", match="edited", original_span_id="a1", **ROOT_2),
    tool(2, "u2", "search", "two", "second") | ROOT_2,
    tool(3, "u3", "write", "file", "written") | ROOT_2,
    llm(4, "b2", "sum up, please", "all done", match="live", **ROOT_2),
]


def test_spans_are_paired_by_origin_by_content_and_by_place() -> None:
    """Equal tools find each other in another order; what has no twin stands alone."""
    found = compare(trace("A", "done"), BEFORE, trace("B", "all done"), AFTER)
    told = {(row.before, row.after): (row.status, row.parts) for row in found.rows}
    assert told == {
        ("root", "root2"): ("changed", ("below",)),
        ("a1", "b1"): ("changed", ("output",)),
        ("t1", None): ("only_before", ()),
        ("t2", "u2"): ("same", ()),
        (None, "u3"): ("only_after", ()),
        ("a2", "b2"): ("changed", ("input", "output")),
    }
    assert dict(found.counts) == {"changed": 3, "only_before": 1, "same": 1, "only_after": 1}
    assert dict(found.matches) == {"edited": 1, "live": 1}
    assert (found.output[0].op, found.output[0].text) == ("added", "all ")


def test_only_live_calls_cost_money() -> None:
    """An answer from the recording or by hand is free; one without a price makes it unknown."""
    found = compare(trace("A", ""), BEFORE, trace("B", ""), AFTER)
    assert found.spent_usd == 0.5
    offline = [*AFTER[:-1], {**AFTER[-1], "cost_note": "as if: offline provider"}]
    assert compare(trace("A", ""), BEFORE, trace("B", ""), offline).spent_usd == 0
    unpriced = [*AFTER[:-1], {**AFTER[-1], "cost_usd": None}]
    assert compare(trace("A", ""), BEFORE, trace("B", ""), unpriced).spent_usd is None


def test_a_trace_is_the_same_as_itself_but_for_ids_and_times() -> None:
    """Ids, durations and dates inside texts are no change."""
    before = [BEFORE[0], llm(1, "a1", "job 3f9a2c1d of 2026-11-21", "took 1.3s")]
    after = [AFTER[0], llm(1, "b1", "job 9b8e7f60 of 2026-11-22", "took 0.7s", **ROOT_2)]
    found = compare(trace("A", "x"), before, trace("B", "x"), after)
    assert {row.status for row in found.rows} == {"same"}
    assert not found.output_changed


def test_a_matched_call_is_the_same_in_another_folder() -> None:
    """A replay works in a copy: its path in prompts is no change of a call that was matched."""
    before = llm(1, "a1", "list /home/me/app", "see /home/me/app/a.py")
    more = {"original_span_id": "a1", **ROOT_2}
    after = llm(1, "b1", "list /lake/work", "see /lake/work/a.py", match="volatile", **more)
    assert changed_parts(before, after) == ()
    assert changed_parts(before, after | {"match": "fuzzy"}) == ("input", "output")
    assert changed_parts(before, after | {"status": "error"}) == ("outcome",)


def test_the_merged_graph_holds_both_paths() -> None:
    """Every span once, with its status; what only the second trace has hangs on its twin."""
    found = compare(trace("A", ""), BEFORE, trace("B", ""), AFTER)
    graph = merged_graph(found)
    assert [node["id"] for node in graph["nodes"]] == [row.id for row in found.rows]
    assert {edge["source"] for edge in graph["edges"]} == {"root"}
    added = next(node for node in graph["nodes"] if node["status"] == "only_after")
    assert added["after"] == "u3"


def test_a_pair_is_compared_word_by_word_and_an_absent_span_as_empty() -> None:
    """Input and output of two spans; what only one has is added or removed as a whole."""
    both = pair_diff(BEFORE[-1], AFTER[-1])
    assert [(c.op, c.text) for c in both["output"]] == [("added", "all "), ("same", "done")]
    alone = pair_diff(None, AFTER[3])
    assert {chunk.op for chunk in alone["output"]} == {"added"}


def test_text_of_traces_is_escaped_on_the_page() -> None:
    """A trace cannot put markup into the page."""
    evil = "<script>alert(1)</script>"
    after = [AFTER[0], llm(1, "b1", evil, evil, agent_name=evil, model=evil)]
    page = render_page(compare(trace("A", "x"), BEFORE, trace("B", evil), after))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
