"""Lanes as the builder keeps them, and nodes and lanes as readers get them: small plain dicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracelake.graph.totals import Totals
from tracelake.layout import LANE_LEFT, LANE_WIDTH, Group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.graph.delta import Element
    from tracelake.graph.facts import Facts
    from tracelake.graph.style import NodeType
    from tracelake.layout import LanePlace, Place

#: Ends the id of an answer's node, after the id of its span.
ANSWER: Final = ":response"
_BELOW: Final = 20


@dataclass(slots=True)
class Lane:
    """One agent's lane.

    Attributes:
        head: Node of the agent; None until its span is known.
        tips: Nodes whose outcome no later call has taken up yet.
        speaker: The newest node that can call tools or agents: an answer, a call or the head.
        members: Its nodes but the head, in order of creation.
        handed_back: Whether its last answer already flowed into its caller's next call.
    """

    id: str
    name: str
    caller: str | None
    depth: int
    totals: Totals = field(default_factory=Totals)
    head: str | None = None
    tips: list[str] = field(default_factory=list[str])
    speaker: str | None = None
    members: list[str] = field(default_factory=list[str])
    children: list[str] = field(default_factory=list[str])
    delegated_by: str | None = None
    handed_back: bool = False

    def add_answer(self, call: str, answer: str) -> None:
        """Put an answer behind its call, so that the second layout shows them side by side."""
        at = len(self.members)
        while at and self.members[at - 1] != call:
            at -= 1
        self.members.insert(at or len(self.members), answer)


def is_below(lane: Lane, other: Lane, lanes: Mapping[str, Lane]) -> bool:
    """Whether a lane is another one or was called from it, however far down."""
    while lane is not other and lane.caller is not None:
        lane = lanes[lane.caller]
    return lane is other


def groups_of(lanes: dict[str, Lane]) -> dict[str, Group]:
    """The lanes as the second layout wants them, callers first."""
    groups: dict[str, Group] = {}
    pending = [lane.id for lane in reversed(lanes.values()) if lane.caller is None]
    while pending:
        lane = lanes[pending.pop()]
        groups[lane.id] = Group(head=lane.head, members=lane.members, children=lane.children)
        pending += reversed(lane.children)
    return groups


def node_element(
    node_id: str,
    node: NodeType,
    facts: Facts,
    lane: Lane,
    place: Place,
    *,
    stack: str | None = None,
) -> Element:
    """A node; an answer's node shows the answer of its call.

    With the id of a `stack` its place is relative to that stack's column.
    """
    is_answer = node == "response"
    return {
        "id": node_id,
        "type": node,
        "label": facts.answer if is_answer else facts.label,
        "status": facts.status,
        "x": place.x,
        "y": place.y,
        "lane": lane.id,
        "stack": stack,
        "span_id": facts.span_id,
        "agent": lane.name,
        "inferred": facts.inferred and not is_answer,
        "auxiliary": facts.auxiliary,
        "error": facts.error,
        "tokens_input": facts.tokens_input,
        "tokens_output": facts.tokens_output,
        "cost_usd": facts.cost_usd,
        "duration_ms": facts.duration_ms,
        "ttft_ms": facts.ttft_ms,
        "start_ms": _milliseconds(facts.start),
        "end_ms": _milliseconds(facts.end),
        "match": facts.match,
    }


def lane_element(lane: Lane, place: LanePlace, status: str) -> Element:
    """A lane: its band and its agent's roll-up."""
    return {
        "id": lane.id,
        "name": lane.name,
        "status": status,
        "head": lane.head,
        "caller": lane.caller,
        "depth": lane.depth,
        "x": place.x - LANE_LEFT,
        "y": place.top,
        "width": LANE_WIDTH,
        "height": place.bottom - place.top + _BELOW,
        **lane.totals.as_dict(),
    }


def span_of(node_id: str) -> str:
    """The span a node stands for."""
    return node_id.removesuffix(ANSWER)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
