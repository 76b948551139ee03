"""What must hold of the graph of any run: nothing moves, nothing overlaps, nothing raises."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tracelake.graph import NODE_STYLES, GraphBuilder

EPOCH = 1_800_000_000
KINDS = ["agent", "llm", "tool", "chain", "retriever", "other"]


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Span dicts of one trace in any order: running first or ended at once, parents any span."""
    count = draw(st.integers(1, 14))
    names = [f"s{index}" for index in range(count)]
    told: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        start = draw(st.integers(0, 30))
        length = draw(st.one_of(st.none(), st.integers(0, 20)))
        kind = draw(st.sampled_from(KINDS))
        above = names[:index] if draw(st.booleans()) else names
        parent = draw(st.one_of(st.none(), st.sampled_from([*above, "missing"])))
        row = {
            "trace_id": "t",
            "span_id": name,
            "parent_id": parent,
            "kind": kind,
            "role": draw(st.sampled_from([None, "agent", "orchestrator"])),
            "agent_name": draw(st.sampled_from(["x", "y", "z", None])),
            "start_time": datetime.fromtimestamp(EPOCH + start, UTC),
            "evidence": draw(st.sampled_from(["recorded", "inferred"])),
        }
        told.append({**row, "status": "running"})
        if length is not None:
            end = datetime.fromtimestamp(EPOCH + start + length, UTC)
            status = draw(st.sampled_from(["ok", "error", "cancelled", "lost"]))
            told.append({**row, "status": status, "end_time": end, "response": "answer"})
    if draw(st.booleans()):
        return draw(st.permutations(told))
    return sorted(told, key=lambda row: row.get("end_time") or row["start_time"])


def boxes(nodes: list[dict[str, Any]], places: dict[str, tuple[float, float]]) -> list[Any]:
    """Edges of every node's box."""
    found: list[Any] = []
    for node in nodes:
        size = NODE_STYLES[node["type"]].size
        x, y = places[node["id"]]
        found.append(
            (
                node["id"],
                x - size.width / 2,
                x + size.width / 2,
                y - size.height / 2,
                y + size.height / 2,
            )
        )
    return found


def overlapping(found: list[Any]) -> list[tuple[str, str]]:
    """Pairs of boxes that share more than an edge."""
    return [
        (one[0], other[0])
        for one, other in combinations(found, 2)
        if one[1] < other[2] and other[1] < one[2] and one[3] < other[4] and other[3] < one[4]
    ]


@settings(max_examples=120)
@given(runs())
def test_a_placed_node_never_moves(run: list[dict[str, Any]]) -> None:
    """Whatever comes later, a node keeps the place it got first."""
    graph = GraphBuilder("t")
    first: dict[str, tuple[float, float]] = {}
    for row in run:
        for node in graph.apply(row).nodes:
            assert first.setdefault(node["id"], (node["x"], node["y"])) == (node["x"], node["y"])


@settings(max_examples=120)
@given(runs())
def test_no_two_nodes_overlap(run: list[dict[str, Any]]) -> None:
    """Boxes never overlap, in the lanes and in the hierarchy, live and read as a whole."""
    live, whole = GraphBuilder("t"), GraphBuilder("t")
    for row in run:
        live.apply(row)
    newest = {row["span_id"]: row for row in run}
    whole.apply_all(newest.values())
    for graph in (live, whole):
        drawn = graph.since(0).nodes
        lanes = {node["id"]: (node["x"], node["y"]) for node in drawn}
        assert not overlapping(boxes(drawn, lanes))
        tree = graph.hierarchy()
        assert tree.keys() == lanes.keys()
        assert not overlapping(boxes(drawn, tree))


@settings(max_examples=80)
@given(runs())
def test_deltas_add_up_to_the_whole(run: list[dict[str, Any]]) -> None:
    """Replaying the deltas gives what a reader who comes at the end gets, and edges have ends."""
    graph = GraphBuilder("t")
    state: dict[str, dict[str, Any]] = {"nodes": {}, "edges": {}, "lanes": {}}
    for row in run:
        delta = graph.apply(row)
        for kind, held in state.items():
            held.update({element["id"]: element for element in getattr(delta, kind)})
        for edge in delta.edges:
            assert {edge["source"], edge["target"]} <= state["nodes"].keys()
    whole = graph.since(0)
    for kind, held in state.items():
        assert held == {element["id"]: element for element in getattr(whole, kind)}
