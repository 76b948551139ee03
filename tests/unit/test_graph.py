"""The graph of a trace: what is drawn, how it hangs together, how it grows."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tracelake.graph import EDGE_STYLES, NODE_STYLES, GraphBuilder, style_table
from tracelake.graph.facts import read_facts, shorten
from tracelake.model import to_iso
from tracelake.storage.fold import fold_event

START = 1_800_000_000.0


def span(
    span_id: str, kind: str, at: float, end: float | None = None, **columns: Any
) -> dict[str, Any]:
    """A span dict: seconds after the start of the trace, running while `end` is None."""
    from datetime import UTC, datetime

    def moment(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.fromtimestamp(START + seconds, UTC)

    return {
        "trace_id": "t",
        "span_id": span_id,
        "kind": kind,
        "status": "running" if end is None else "ok",
        "start_time": moment(at),
        "end_time": moment(end),
        "duration_ms": None if end is None else (end - at) * 1000,
        "agent_name": "root",
        **columns,
    }


def agent(span_id: str, at: float, end: float | None = None, **columns: Any) -> dict[str, Any]:
    """An agent span named as its id."""
    return span(span_id, "agent", at, end, **{"agent_name": span_id, **columns})


DELEGATION = [
    agent("root", 0, 20, role="orchestrator"),
    span("plan", "llm", 1, 2, parent_id="root", model="opus", response="Two parts."),
    span("task-a", "tool", 3, 9, parent_id="root", tool_name="task", evidence="inferred"),
    span("task-b", "tool", 3.1, 12, parent_id="root", tool_name="task"),
    agent("a", 3.2, 9, parent_id="task-a", role="agent"),
    agent("b", 3.3, 12, parent_id="task-b", role="agent"),
    span("a1", "llm", 4, 6, parent_id="a", agent_name="a", response="half"),
    span("b1", "llm", 4, 7, parent_id="b", agent_name="b", response="other half"),
    span("sum", "llm", 13, 15, parent_id="root", model="opus", response="Done."),
]


def build(spans: list[dict[str, Any]]) -> GraphBuilder:
    """A graph that took the spans in one by one."""
    graph = GraphBuilder("t")
    for one in spans:
        graph.apply(one)
    return graph


def nodes(graph: GraphBuilder) -> dict[str, dict[str, Any]]:
    """Nodes by id."""
    return {node["id"]: node for node in graph.since(0).nodes}


def edges(graph: GraphBuilder) -> dict[str, dict[str, Any]]:
    """Edges by id, `source>target`."""
    return {edge["id"]: edge for edge in graph.since(0).edges}


def test_each_kind_of_span_is_its_type_of_node() -> None:
    """The root is the orchestrator, sub-agents are agents, an answered call has a response."""
    types = {key: node["type"] for key, node in nodes(build(DELEGATION)).items()}
    assert types["root"] == "orchestrator"
    assert types["a"] == types["b"] == "agent"
    assert types["plan"] == "llm"
    assert types["plan:response"] == "response"
    assert types["task-a"] == "tool"


def test_a_run_is_followed_from_call_to_answer_to_tool_to_agent_and_back() -> None:
    """Requests are solid, answers dashed, delegation thick; a sub-agent's answer flows back."""
    found = {key: edge["type"] for key, edge in edges(build(DELEGATION)).items()}
    assert found == {
        "root>plan": "request",
        "plan>plan:response": "response",
        "plan:response>task-a": "request",
        "plan:response>task-b": "request",
        "task-a>a": "delegation",
        "task-b>b": "delegation",
        "a>a1": "request",
        "b>b1": "request",
        "a1>a1:response": "response",
        "b1>b1:response": "response",
        "a1:response>sum": "response",
        "b1:response>sum": "response",
        "sum>sum:response": "response",
    }


def test_an_inferred_span_marks_the_edges_that_rest_on_it() -> None:
    """What was inferred is told from what was recorded, on nodes and on edges."""
    graph = build(DELEGATION)
    assert nodes(graph)["task-a"]["inferred"]
    assert edges(graph)["plan:response>task-a"]["inferred"]
    assert not edges(graph)["plan:response>task-b"]["inferred"]
    assert not edges(graph)["plan>plan:response"]["inferred"]


def test_parallel_agents_stand_side_by_side_and_a_later_one_below() -> None:
    """Lanes that overlap in time have different columns; a later agent reuses a free one."""
    later = [
        agent("c", 16, 18, parent_id="root", role="agent"),
        span("c1", "llm", 16.5, 17, parent_id="c", agent_name="c", response="x"),
    ]
    lanes = {lane["name"]: lane for lane in build([*DELEGATION, *later]).since(0).lanes}
    assert len({lanes[name]["x"] for name in ("root", "a", "b")}) == 3
    assert lanes["c"]["x"] == lanes["a"]["x"]
    assert lanes["c"]["y"] >= lanes["a"]["y"] + lanes["a"]["height"]


def test_time_runs_downwards_across_lanes() -> None:
    """A call stands below every call that had ended before it began, whatever its lane."""
    drawn = nodes(build(DELEGATION))
    assert drawn["sum"]["y"] > max(drawn["a1"]["y"], drawn["b1"]["y"])
    assert drawn["a1"]["y"] == drawn["b1"]["y"]
    assert drawn["plan:response"]["y"] == drawn["plan"]["y"]
    assert drawn["plan:response"]["x"] > drawn["plan"]["x"]


def test_a_lane_sums_up_its_agent() -> None:
    """Roll-ups count each span once, however often it is told of, and leave side calls out."""
    call = {"tokens_input": 100, "tokens_output": 5, "cost_usd": 0.01}
    graph = build(
        [
            agent("root", 0, role="orchestrator"),
            span("c1", "llm", 1, parent_id="root"),
            span("c1", "llm", 1, 2, parent_id="root", **call),
            span("c1", "llm", 1, 2, parent_id="root", **call),
            span("c2", "llm", 3, 4, parent_id="root", status="error", error="no"),
            span("title", "llm", 3, 4, parent_id="root", auxiliary=True, **call),
        ]
    )
    (lane,) = graph.since(0).lanes
    assert (lane["calls"], lane["tokens_input"], lane["errors"]) == (2, 100, 1)
    assert lane["cost_usd"] == pytest.approx(0.01)
    assert graph.totals.as_dict()["calls"] == 2


def test_an_unknown_cost_is_none() -> None:
    """A price nobody knows is never shown as free."""
    graph = build([agent("root", 0), span("c", "llm", 1, 2, parent_id="root")])
    assert graph.totals.as_dict()["cost_usd"] is None


def test_an_error_shows_on_call_and_answer() -> None:
    """A failed call is an error with its message, where an answer would stand."""
    failed = {"status": "error", "error_type": "overloaded", "error": "try later"}
    drawn = nodes(build([agent("root", 0), span("c", "llm", 1, 2, parent_id="root", **failed)]))
    assert drawn["c"]["status"] == "error"
    assert drawn["c:response"]["label"] == "overloaded: try later"


def test_applying_a_span_twice_changes_nothing() -> None:
    """Told again, a span gives an empty delta and no new sequence number."""
    graph = build(DELEGATION)
    before = graph.seq
    assert not graph.apply_all(DELEGATION)
    assert graph.seq == before


def test_a_late_reader_gets_the_newest_version_once() -> None:
    """`since` gives each changed element once, whatever happened in between."""
    graph = GraphBuilder("t")
    graph.apply(agent("root", 0))
    seen = graph.seq
    graph.apply(span("c", "llm", 1, parent_id="root"))
    graph.apply(span("c", "llm", 1, 2, parent_id="root", response="hi"))
    missed = graph.since(seen)
    assert [node["id"] for node in missed.nodes] == ["c", "c:response"]
    assert missed.nodes[0]["status"] == "ok"
    assert not graph.since(missed.seq)


def test_calls_that_arrive_before_their_agent_are_joined_to_it() -> None:
    """OpenTelemetry tells of children first; the agent takes its place above them, not beside."""
    graph = build(
        [
            span("c1", "llm", 2, 3, parent_id="x", agent_name="x", response="a"),
            agent("x", 1, 5, parent_id="root"),
            agent("root", 0, 6),
        ]
    )
    drawn = nodes(graph)
    assert drawn["x"]["lane"] == drawn["c1"]["lane"]
    assert drawn["x"]["y"] < drawn["c1"]["y"]
    assert {"x>c1", "root>x"} <= edges(graph).keys()


def test_a_chain_only_links_its_children() -> None:
    """Spans of other kinds are not drawn; what hangs on them hangs on their agent."""
    graph = build(
        [
            agent("root", 0),
            span("chain", "chain", 1, parent_id="root"),
            span("c", "llm", 2, parent_id="chain"),
        ]
    )
    assert nodes(graph).keys() == {"root", "c"}
    assert nodes(graph)["c"]["lane"] == nodes(graph)["root"]["lane"]


def test_a_program_without_agents_is_its_root() -> None:
    """A trace whose root is no agent still has an orchestrator."""
    graph = build([span("main", "chain", 0, name="main"), span("c", "llm", 1, parent_id="main")])
    assert nodes(graph)["main"]["type"] == "orchestrator"


def test_parents_in_a_circle_do_no_harm() -> None:
    """Corrupt parents are drawn as well as can be; nothing hangs or raises."""
    graph = build([agent("a", 0, parent_id="b"), agent("b", 1, parent_id="a")])
    assert nodes(graph).keys() == {"a", "b"}
    assert graph.hierarchy().keys() == {"a", "b"}
    own = build([span("t", "tool", 1, 2, parent_id="t")])
    assert "t>t" not in edges(own)


def test_elements_hold_no_bodies() -> None:
    """However long prompts and answers are, what goes to a browser stays small."""
    big = "x" * 200_000
    row = span(
        "c", "llm", 1, 2, parent_id="root", response=big, system=big, messages=big, error=big
    )
    assert len(str(build([agent("root", 0), row]).since(0))) < 4_000


def test_answers_of_tool_calls_alone_name_the_tools() -> None:
    """An answer without text says which tools it calls, in either provider's shape."""
    anthropic = '[{"type": "tool_use", "name": "grep", "input": {}}]'
    openai = '[{"type": "function", "function": {"name": "find", "arguments": "{}"}}]'
    assert read_facts(span("c", "llm", 1, 2, response_blocks=anthropic)).answer == "→ grep"
    assert read_facts(span("c", "llm", 1, 2, response_blocks=openai)).answer == "→ find"


def test_shorten_keeps_one_line() -> None:
    """Labels are one line of bounded length."""
    assert shorten("a\n\n b", 10) == "a b"
    assert shorten("abcdefghijkl", 5) == "abcd…"


def test_events_folded_by_the_lake_build_the_same_graph() -> None:
    """The builder reads what the fold of the lake makes of raw events."""
    from tracelake.model import utc_now

    folded: dict[str, Any] = {}
    for event_type, span_id, parent, data in (
        ("agent_start", "root", None, {}),
        ("llm_call", "c", "root", {"status": "running", "model": "m"}),
        ("llm_call", "c", "root", {"status": "ok", "response": "hi", "tokens": {"input": 3}}),
        ("agent_end", "root", None, {}),
    ):
        event = {
            "event_type": event_type, "trace_id": "t", "span_id": span_id, "parent_id": parent,
            "timestamp": utc_now(), "agent_name": "main", "data": data,
        }  # fmt: skip
        folded[span_id] = fold_event(folded.get(span_id), event)
    graph = build(list(folded.values()))
    assert {node["label"] for node in nodes(graph).values()} == {"main", "m", "hi"}
    assert graph.totals.status(0) == "ok"
    assert to_iso(folded["c"]["start_time"])


def test_two_thousand_nodes_are_built_in_a_blink() -> None:
    """Building and laying out 2,000 nodes one by one stays far below a second."""
    spans = [agent("root", 0)]
    for index in range(667):
        at = 1 + index * 2.0
        spans.append(span(f"c{index}", "llm", at, at + 1, parent_id="root", response="r"))
        spans.append(span(f"t{index}", "tool", at + 1, at + 1.5, parent_id="root", tool_name="t"))
    graph = GraphBuilder("t")
    began = time.process_time()
    for one in spans:
        graph.apply(one)
    took = time.process_time() - began
    assert len(graph.since(0).nodes) == 2002
    assert took < 2, f"{took:.3f} s of one core"


def long_run(calls: int) -> list[dict[str, Any]]:
    """An agent that makes so many calls with a tool each; every third one says nothing."""
    spans = [agent("root", 0, role="orchestrator")]
    for index in range(calls):
        at, answer = 1.0 + index, "" if index % 3 == 0 else "ok"
        call = span(f"c{index}", "llm", at, at + 0.5, parent_id="root", response=answer)
        tool = span(f"t{index}", "tool", at + 0.6, at + 0.8, parent_id="root", tool_name="grep")
        spans += [{**call, "tokens_input": 10}, tool]
    return spans


def test_a_long_run_goes_on_in_stacks() -> None:
    """After so many calls and tools the next ones share a node, which sums them up."""
    graph = GraphBuilder("t", stack_after=20)
    spans = long_run(200)
    spans[-1] |= {"status": "error", "error": "no such file"}
    graph.apply_all(spans)
    nodes = {node["id"]: node for node in graph.since(0).nodes}
    stacks = [node for node in nodes.values() if node["type"] == "stack"]
    assert [stack["label"] for stack in stacks] == [
        "21 to 120", "121 to 220", "221 to 320", "321 to 400",
    ]  # fmt: skip
    assert [(stack["calls"], stack["tools"], stack["errors"]) for stack in stacks] == [
        (50, 50, 0), (50, 50, 0), (50, 50, 0), (40, 40, 1),
    ]  # fmt: skip
    assert [stack["status"] for stack in stacks] == ["ok", "ok", "ok", "error"]
    assert stacks[0]["tokens_input"] == 500
    assert nodes["t9"]["stack"] is None
    assert nodes["c10"]["stack"] == nodes["t10"]["stack"] == stacks[0]["id"]
    assert nodes["c11:response"]["stack"] == stacks[0]["id"]
    assert sum(node["stack"] is None for node in nodes.values()) == 1 + 20 + 6 + len(stacks)
    assert graph.hierarchy().keys() == {key for key, node in nodes.items() if not node["stack"]}


def test_nothing_moves_when_a_stack_grows() -> None:
    """Nodes keep their places, in the lanes and in their stack's column, and never overlap."""
    graph = GraphBuilder("t", stack_after=6)
    places: dict[str, Any] = {}
    for row in long_run(150):
        for node in graph.apply(row).nodes:
            place = (node["x"], node["y"])
            assert places.setdefault(node["id"], place) == place
    columns: dict[str | None, list[Any]] = {}
    for node in graph.since(0).nodes:
        columns.setdefault(node["stack"], []).append((node["x"], node["y"]))
    assert len(columns) == 4
    for column in columns.values():
        assert len(set(column)) == len(column)


def test_a_call_of_another_agent_ends_a_stack() -> None:
    """What follows a delegation stands below it: the order of work can still be read."""
    graph = GraphBuilder("t", stack_after=4)
    spans = long_run(10)
    spans.append(agent("helper", 11.7, 11.9, parent_id="t9", role="agent"))
    spans += [span("inner", "llm", 11.75, 11.8, parent_id="helper", agent_name="helper")]
    spans += [span("after", "llm", 13, 14, parent_id="root", response="ok")]
    graph.apply_all(spans)
    nodes = {node["id"]: node for node in graph.since(0).nodes}
    assert nodes["t9"]["stack"] is not None
    assert nodes["after"]["stack"] not in {None, nodes["t9"]["stack"]}
    assert nodes[nodes["after"]["stack"]]["y"] > nodes["inner"]["y"]


def test_one_call_with_thousands_of_tools_is_stacked_too() -> None:
    """A program without model calls, or with one that calls many tools, stays readable as well."""
    graph = GraphBuilder("t", stack_after=20)
    spans = [agent("root", 0)]
    spans += [span(f"t{n}", "tool", 1 + n, 1.5 + n, parent_id="root") for n in range(1000)]
    graph.apply_all(spans)
    assert sum(node["stack"] is None for node in graph.since(0).nodes) < 130


def test_styles_are_as_promised() -> None:
    """Shapes and lines of the five node types and three edge types never change by accident."""
    shapes = {name: style.shape for name, style in NODE_STYLES.items()}
    assert shapes == {
        "orchestrator": "circle", "agent": "circle", "llm": "rounded", "tool": "hexagon",
        "response": "rectangle",
    }  # fmt: skip
    assert EDGE_STYLES["request"].line == "solid"
    assert EDGE_STYLES["response"].line == "dashed"
    assert EDGE_STYLES["delegation"].width > 2 * EDGE_STYLES["request"].width
    assert style_table()["nodes"]["llm"]["shape"] == "rounded"


@pytest.mark.parametrize("name", ["llm", "tool", "response"])
@pytest.mark.parametrize("shade", [0, 1])
def test_labels_can_be_read_on_their_fill(name: Any, shade: int) -> None:
    """Text inside a node has a contrast of at least 4.5:1 in both themes."""
    style = NODE_STYLES[name]
    assert _contrast(style.fill[shade], style.text[shade]) >= 4.5


def _contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
