"""Many calls of one agent drawn as one: where a long lane goes on in stacks.

The first calls of a lane have nodes of their own. What follows is put into stacks, each one node
of the lane, whose members stand in a column of their own that a renderer shows when it is asked
to. So a run of thousands of calls stays a graph that can be read, and nothing moves: neither when
a stack grows nor when it is opened.

Invariants:
- What is in a stack stays there, and what has a node in the lane keeps it.
- Places of members are relative to their stack's column and do not overlap in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tracelake.graph.totals import Totals
from tracelake.layout import LANE_LEFT, LANE_WIDTH, LaneLayout, Place

if TYPE_CHECKING:
    from tracelake.graph.facts import Facts
    from tracelake.layout import Column, Size

#: Calls and tools in one stack; the tools of its last call are in it as well.
STACK_SIZE: Final = 100
_BELOW: Final = 20


@dataclass(slots=True)
class Stack:
    """One stack.

    Attributes:
        lane: The lane it belongs to.
        first: Number of its first call or tool in the lane, counted from 1.
        is_closed: Whether the next call goes elsewhere.
        members: Its nodes in order of creation; answers are not among them.
    """

    id: str
    lane: str
    first: int
    is_closed: bool = False
    members: list[str] = field(default_factory=list[str])
    totals: Totals = field(default_factory=Totals)
    _running: set[str] = field(default_factory=set[str])

    def count(self, facts: Facts) -> None:
        """Take the newest facts of a member in."""
        self.totals.count(facts)
        (self._running.discard if facts.is_over else self._running.add)(facts.span_id)

    @property
    def status(self) -> str:
        """`running` while a member is, else `error` if one failed, else `ok`."""
        if self._running:
            return "running"
        return "error" if self.totals.as_dict()["errors"] else "ok"


class Stacks:
    """The stacks of a graph.

    Args:
        after: Calls and tools with nodes of their own in each lane; None for no stacks at all.
    """

    def __init__(self, after: int | None) -> None:
        self._after = after
        self._layout = LaneLayout()
        self._open: dict[str, Stack] = {}
        self._counts: dict[str, int] = {}
        self._of: dict[str, Stack] = {}

    def of(self, span_id: str) -> Stack | None:
        """The stack a span is in, or None."""
        return self._of.get(span_id)

    def take(self, span_id: str, lane_id: str, *, is_call: bool) -> Stack | None:
        """The stack for a new call or tool of a lane; None when it gets a node of the lane."""
        if self._after is None:
            return None
        number = self._counts[lane_id] = self._counts.get(lane_id, 0) + 1
        stack = self._open.get(lane_id)
        if stack is None or (is_call and (stack.is_closed or len(stack.members) >= STACK_SIZE)):
            # the tools of the last call with a node of its own stay beside it
            if number <= self._after + (0 if is_call or stack else STACK_SIZE):
                return None
            stack = self._open[lane_id] = Stack(f"stack:{number}:{lane_id}", lane_id, number)
            self._layout.open_lane(stack.id, agent=stack.id, start=0)
        elif len(stack.members) >= 3 * STACK_SIZE:
            stack = self._open[lane_id] = Stack(f"stack:{number}:{lane_id}", lane_id, number)
            self._layout.open_lane(stack.id, agent=stack.id, start=0)
        stack.members.append(span_id)
        self._of[span_id] = stack
        return stack

    def place(self, stack: Stack, column: Column, size: Size) -> Place:
        """The next place in a stack's column, relative to its upper end and its calls' centre."""
        lane = self._layout.lanes[stack.id]
        place = self._layout.place_below(stack.id, column, size)
        return Place(place.x - lane.x, place.y)

    def close_at(self, span_id: str) -> None:
        """Another agent was called from a span: what its agent does next begins a new stack."""
        if span_id in self._of:
            self._of[span_id].is_closed = True

    def element(self, stack: Stack, agent: str, place: Place) -> dict[str, Any]:
        """The node of a stack, and the size of the column it opens into."""
        totals, sums = stack.totals, stack.totals.as_dict()
        status = stack.status
        is_over = status != "running" and totals.first is not None and totals.last is not None
        return {
            "id": stack.id,
            "type": "stack",
            "label": f"{stack.first:,} to {stack.first + len(stack.members) - 1:,}",
            "status": status,
            "x": place.x,
            "y": place.y,
            "lane": stack.lane,
            "stack": None,
            "span_id": stack.members[0],
            "agent": agent,
            "inferred": False,
            "auxiliary": False,
            "error": "",
            "tokens_input": sums["tokens_input"],
            "tokens_output": sums["tokens_output"],
            "cost_usd": sums["cost_usd"],
            "duration_ms": (totals.last - totals.first) * 1000  # type: ignore[operator]
            if is_over
            else None,
            "ttft_ms": None,
            "start_ms": None if totals.first is None else round(totals.first * 1000, 3),
            "end_ms": round(totals.last * 1000, 3) if is_over else None,  # type: ignore[arg-type]
            "match": None,
            "calls": sums["calls"],
            "tools": sums["tools"],
            "errors": sums["errors"],
            "left": -LANE_LEFT,
            "width": LANE_WIDTH,
            "height": self._layout.lanes[stack.id].bottom + _BELOW,
        }
