"""What is remembered of traces that are coming in: their spans, and who stands above whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tracelake.otlp import conventions as names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

JsonEvent = dict[str, Any]

#: Kinds that make a trace one of an agent program.
TELLING: Final = frozenset({"agent", "llm", "tool", "embedding", "retriever"})
_DEPTH_MAX: Final = 1000


@dataclass(slots=True, eq=False)
class Node:
    """What is remembered of a span.

    Attributes:
        sent_parent: Parent as it was sent.
        own_agent: Agent that the span itself names.
        agent: Agent that was told of it.
        event: Its event, while it is not yet given out.
        adopted: Its parent never came; it hangs on the root instead.
        graph_path: Where in LangGraph's graphs it is, of agents and chains.
    """

    span_id: str
    kind: str
    name: str
    sent_parent: str | None
    parent_id: str | None
    own_agent: str | None
    agent: str | None
    start: datetime
    end: datetime
    event: JsonEvent | None
    tells: int = 0
    model: str | None = None
    tokens: tuple[Any, Any] = (None, None)
    duplicate_of: str | None = None
    adopted: bool = False
    graph_path: str | None = None


@dataclass(slots=True, eq=False)
class Trace:
    """What is remembered of a trace."""

    otlp_id: str
    trace_id: str
    service: str | None
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    children: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    #: Without a parent, and not placed yet.
    tops: list[Node] = field(default_factory=list[Node])
    root_id: str | None = None
    inferred_root: Node | None = None
    is_telling: bool = False
    has_orphans: bool = False
    last_seen_s: float = 0.0


def remember(trace: Trace, event: JsonEvent) -> Node:
    """Take a span into its trace."""
    data = event["data"]
    span_id, parent_id = event["span_id"], event["parent_id"]
    node = Node(
        span_id,
        data["kind"],
        data["name"],
        parent_id,
        parent_id,
        event["agent_name"],
        event["agent_name"],
        data["start_time"],
        data["end_time"],
        event,
    )
    if node.kind == "llm":
        node.tells = bool(data.get("messages")) + bool(data.get("response_blocks"))
        node.model = data.get("model")
        node.tokens = (data.get("tokens_input"), data.get("tokens_output"))
    elif node.kind not in TELLING or node.kind == "agent":
        node.graph_path = _graph_path(data["attributes"])
    known = trace.nodes.get(span_id)
    trace.nodes[span_id] = node
    if known is not None:  # sent again: where it was placed stays
        node.parent_id, node.adopted = known.parent_id, known.adopted
        node.duplicate_of, event["parent_id"] = known.duplicate_of, known.parent_id
        if trace.root_id == span_id:
            node.kind = known.kind
        return node
    if node.kind in TELLING:
        trace.is_telling = True
    if parent_id is None:
        trace.tops.append(node)
    else:
        trace.children.setdefault(parent_id, []).append(span_id)
        if parent_id not in trace.nodes:
            trace.has_orphans = True
    return node


def _graph_path(attributes: dict[str, Any]) -> str | None:
    for key in names.GRAPH_PATH:
        if isinstance(told := attributes.get(key), str):
            return told.strip('"')
    about = attributes.get("metadata")
    found = names.GRAPH_PATH_IN_METADATA.search(about) if isinstance(about, str) else None
    return found[1] if found else None


def name_agents(trace: Trace, nodes: list[Node]) -> list[JsonEvent]:
    """Tell of spans whose agent they belong to: that of the nearest agent above them."""
    told: list[JsonEvent] = []
    for node in nodes:
        if node.kind != "agent" and node.own_agent is None:
            agent = _agent_above(trace, node)
            if agent is not None and agent != node.agent:
                node.agent = agent
                told += tell(trace, node, {}, agent_name=agent)
    for named in nodes:
        if named.agent is not None:
            for node in _unnamed_below(trace, named):
                node.agent = named.agent
                told += tell(trace, node, {}, agent_name=named.agent)
    return told


def _agent_above(trace: Trace, node: Node) -> str | None:
    above = trace.nodes.get(node.parent_id or "")
    for _ in range(_DEPTH_MAX):
        if above is None:
            return None
        if above.kind == "agent" or above.own_agent:
            return above.agent
        above = trace.nodes.get(above.parent_id or "")
    return None


def _unnamed_below(trace: Trace, named: Node) -> Iterator[Node]:
    """Spans below one whose agent is known that came before it and have no agent yet."""
    waiting = list(trace.children.get(named.span_id, ()))
    seen: set[str] = set()
    while waiting:
        span_id = waiting.pop()
        node = trace.nodes[span_id]
        if span_id in seen or node.kind == "agent" or node.own_agent or node.agent is not None:
            continue
        seen.add(span_id)
        yield node
        waiting += trace.children.get(span_id, ())


def sender(trace: Trace, node: Node) -> Node | None:
    """The model call that a span sent: itself, or the nearest one that it is a part of."""
    for _ in range(_DEPTH_MAX):
        if node.kind == "llm":
            return node
        above = trace.nodes.get(node.parent_id or "")
        if above is None or node.kind in TELLING:
            return None
        node = above
    return None


def tell(
    trace: Trace,
    node: Node,
    changes: dict[str, Any],
    *,
    parent_id: str | None = None,
    agent_name: str | None = None,
) -> list[JsonEvent]:
    """Say something more of a span: in its own event if that is not given out yet, else anew."""
    if node.event is not None:
        node.event["data"].update(changes)
        if parent_id is not None:
            node.event["parent_id"] = parent_id
        if agent_name is not None:
            node.event["agent_name"] = agent_name
        return []
    return [
        {
            "event_type": "span",
            "trace_id": trace.trace_id,
            "span_id": node.span_id,
            "parent_id": parent_id,
            "timestamp": node.end,
            "agent_name": agent_name,
            "data": changes,
        }
    ]
