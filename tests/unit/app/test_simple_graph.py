"""The streamlit-agraph renderer: same styles, same places, no markup."""

from __future__ import annotations

from typing import Any

from app.components.simple_graph import MAX_NODES, vis_graph
from tests.unit.test_graph import DELEGATION, build, span
from tracelake.graph import NODE_STYLES, GraphBuilder

HOSTILE = "<img src=x onerror=alert(1)>"


def message(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """The snapshot of a graph."""
    delta = build(spans).since(0)
    return {"nodes": delta.nodes, "edges": delta.edges}


def test_shapes_lines_and_places_are_those_of_the_live_graph() -> None:
    """Both renderers draw the one style table at the same places."""
    snapshot = message(DELEGATION)
    drawn = vis_graph(snapshot, dark=False)
    nodes = {node["id"]: node for node in drawn["nodes"]}
    assert nodes["task-a"]["shape"] == "hexagon"
    assert nodes["plan"]["color"]["background"] == NODE_STYLES["llm"].fill[0]
    assert [(node["x"], node["y"]) for node in drawn["nodes"]] == [
        (node["x"], node["y"]) for node in snapshot["nodes"]
    ]
    edges = {edge["id"]: edge for edge in drawn["edges"]}
    assert edges["plan>plan:response"]["dashes"]
    assert not edges["root>plan"]["dashes"]
    assert edges["task-a>a"]["width"] > 2 * edges["root>plan"]["width"]


def test_text_of_a_trace_is_never_a_title() -> None:
    """The package writes titles into the page as HTML, so no node has one."""
    hostile = span("c", "llm", 1, 2, model=HOSTILE, response=HOSTILE, error=HOSTILE)
    for node in vis_graph(message([hostile]), dark=True)["nodes"]:
        assert "title" not in node


def test_large_graphs_are_cut_with_their_edges() -> None:
    """No edge is left without its ends when nodes are left out."""
    spans = [span(f"c{index}", "llm", index, index + 1, response="r") for index in range(400)]
    drawn = vis_graph(message(spans), dark=False)
    known = {node["id"] for node in drawn["nodes"]}
    assert len(known) == MAX_NODES
    assert all({edge["from"], edge["to"]} <= known for edge in drawn["edges"])


def test_a_long_run_is_drawn_with_its_stacks_closed() -> None:
    """Many calls stand in one node; what is in it, placed beside the graph, is left out."""
    graph = GraphBuilder("t", stack_after=20)
    graph.apply_all(span(f"c{index}", "tool", index, index + 1) for index in range(300))
    delta = graph.since(0)
    drawn = vis_graph({"nodes": delta.nodes, "edges": delta.edges}, dark=False)["nodes"]
    assert len({(node["x"], node["y"]) for node in drawn}) == len(drawn)
    assert any(node["id"].startswith("stack:") for node in drawn)
