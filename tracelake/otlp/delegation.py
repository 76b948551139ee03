"""Agents that instrumentations do not tell, tell twice, or away from the tool that called them.

- LangGraph's agents are graphs inside of graphs: a chain whose parts lie one graph deeper than
  itself is one.
- Traceloop opens a span of its own around or beside each run of a LangGraph agent: of an agent
  right inside one of its name, and of one without calls beside one of its name that ran at the same
  time, the span that tells less becomes a chain.
- Traceloop hangs agents that run as tools of openai-agents on the workflow: they go below the tool
  of their name that ran meanwhile.

Only names and times together count. What is moved says that it was inferred.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tracelake.otlp.conventions import UNNAMED_GRAPH
from tracelake.otlp.nodes import tell

if TYPE_CHECKING:
    from tracelake.otlp.nodes import JsonEvent, Node, Trace

#: Neighbours that are looked at; more agents than that below one span are taken as they are.
_NEIGHBOURS_MAX: Final = 64
_NAME_MIN: Final = 3
_CONFIDENCE: Final = 0.8


def promote_graphs(trace: Trace, nodes: list[Node], told: list[JsonEvent]) -> list[Node]:
    """Take graphs inside of graphs for agents.

    Args:
        trace: The trace of the spans.
        nodes: The new spans.
        told: Takes the events that say so.

    Returns:
        The spans that became agents.
    """
    promoted: list[Node] = []
    for node in nodes:
        if node.graph_path is None:
            continue
        below = (trace.nodes[child] for child in trace.children.get(node.span_id, ()))
        above = trace.nodes.get(node.sent_parent or "")
        is_graph = any(_is_deeper(part, node) for part in below)
        for graph in (node if is_graph else None, above if _is_deeper(node, above) else None):
            if graph is not None and graph.kind == "chain":
                told += _promote(trace, graph)
                promoted.append(graph)
    return promoted


def _is_deeper(part: Node, graph: Node | None) -> bool:
    """Whether a span is a part of a graph that runs inside of another one."""
    if part.graph_path is None or graph is None or not graph.graph_path:
        return False
    return part.graph_path.rpartition("|")[0] == graph.graph_path


def _promote(trace: Trace, graph: Node) -> list[JsonEvent]:
    name = graph.name
    if name == UNNAMED_GRAPH:
        name = (graph.graph_path or "").rpartition("|")[2].partition(":")[0] or name
    graph.kind, graph.agent, graph.own_agent = "agent", name, name
    changes = {"kind": "agent", "name": name, "evidence": "inferred", "evidence_source": "subgraph"}
    return tell(trace, graph, changes, agent_name=name)


def settle_agents(trace: Trace, nodes: list[Node]) -> list[JsonEvent]:
    """What follows from new spans for the agents of a trace.

    Args:
        trace: Their trace, with them in it.
        nodes: The new spans.
    """
    told: list[JsonEvent] = []
    parents = {node.sent_parent for node in nodes if node.sent_parent is not None}
    above = map(trace.nodes.get, parents)
    concerned = {node.span_id: node for node in (*nodes, *above) if node is not None}
    for node in concerned.values():
        if node.kind != "agent" or node.agent is None:
            continue
        told += _merge_twins(trace, node)
        if node.kind == "agent" and node.sent_parent is not None:
            for other in _neighbours(trace, node):
                told += _move_below(trace, other, node)
                told += _move_below(trace, node, other)
    return told


def _merge_twins(trace: Trace, node: Node) -> list[JsonEvent]:
    above = trace.nodes.get(node.parent_id or "")
    if above is not None and _is_twin(above, node):
        return _demote(trace, node)
    told: list[JsonEvent] = []
    for child_id in trace.children.get(node.span_id, ())[:_NEIGHBOURS_MAX]:
        child = trace.nodes[child_id]
        if child.parent_id == node.span_id and _is_twin(child, node):
            told += _demote(trace, child)
    for other in _neighbours(trace, node):
        if not _is_twin(other, node) or not (_holds(other, node) or _holds(node, other)):
            continue
        empty = [n for n in (node, other) if not trace.children.get(n.span_id)]
        if len(empty) == 1 and empty[0].span_id != trace.root_id:
            told += _demote(trace, empty[0])
    return told


def _neighbours(trace: Trace, node: Node) -> list[Node]:
    """Other agents below the same span, none where they are too many to be looked at."""
    below = trace.children.get(node.sent_parent or "", ())
    if len(below) > _NEIGHBOURS_MAX:
        return []
    others = [trace.nodes[span_id] for span_id in below if span_id != node.span_id]
    return [other for other in others if other.kind == "agent"]


def _is_twin(one: Node, other: Node) -> bool:
    return one.kind == other.kind == "agent" and one.agent == other.agent


def _holds(outer: Node, inner: Node) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _demote(trace: Trace, node: Node) -> list[JsonEvent]:
    node.kind = "chain"
    return tell(trace, node, {"kind": "chain", "evidence_source": "the agent has a span already"})


def _move_below(trace: Trace, inner: Node, outer: Node) -> list[JsonEvent]:
    """Hang an agent on the tool of another one that called it."""
    if inner.parent_id != inner.sent_parent or not _holds(outer, inner):
        return []
    tools = [
        tool
        for tool in map(trace.nodes.__getitem__, trace.children.get(outer.span_id, ()))
        if tool.kind == "tool"
        and _holds(tool, inner)
        and _are_alike(tool.name, inner.name)
        and not any(trace.nodes[n].kind == "agent" for n in trace.children.get(tool.span_id, ()))
    ]
    if not tools:
        return []
    tool = max(tools, key=lambda tool: tool.start)
    inner.parent_id = tool.span_id
    trace.children.setdefault(tool.span_id, []).append(inner.span_id)
    changes: dict[str, Any] = {
        "evidence": "inferred",
        "evidence_source": "name and time of the tool",
        "confidence": _CONFIDENCE,
    }
    return tell(trace, inner, changes, parent_id=tool.span_id)


def _are_alike(tool: str, agent: str) -> bool:
    name = re.sub(r"[\W_]", "", agent.lower())
    return len(name) >= _NAME_MIN and name in re.sub(r"[\W_]", "", tool.lower())
