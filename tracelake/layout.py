"""Where the nodes of a trace stand: pure geometry, no spans and no I/O.

Two layouts. `LaneLayout` is the live one: time runs downwards, each agent has a lane, lanes that
run at the same time stand side by side, and what is placed never moves. `hierarchy` shows who
works for whom; it is computed afresh and may move everything.

Coordinates are pixels at zoom 1, `x` and `y` the centre of a node, y downwards.

Invariants:
- `LaneLayout` is append-only: a call of any method changes no position given out before.
- No two nodes overlap, in either layout.
- A call stands below every call that had ended before it began, whatever its lane.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Column = Literal["head", "spine", "beside", "side"]

#: Distance between the centres of the two columns of a lane: calls left, answers and tools right.
SIDE_DX: Final = 192
#: Distance between neighbouring lanes.
LANE_DX: Final = 436
#: Half the width of the calls' column: a lane's band begins this far left of its centre.
LANE_LEFT: Final = 104
LANE_WIDTH: Final = LANE_DX - 28
#: Room above a lane's first node, for its header.
HEADER_HEIGHT: Final = 44
ROW_GAP: Final = 26
SIDE_GAP: Final = 14
#: Free height between a lane and the next one that reuses its place.
REUSE_GAP: Final = 48


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a node, pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Place:
    """Centre of a node."""

    x: float
    y: float


@dataclass(slots=True)
class LanePlace:
    """Where a lane stands and how far down it is filled.

    Attributes:
        slot: Horizontal place, counted from the left.
        top: Upper edge of the lane's band.
        bottom: Lower edge of the lowest node.
        agent: Name of the agent; a later lane of the same agent likes to stand below.
        ended_at: When its agent ended, seconds; a lane that begins later may stand below it.
    """

    slot: int
    top: float
    bottom: float
    agent: str
    ended_at: float = math.inf

    @property
    def x(self) -> float:
        """Centre of the calls' column."""
        return self.slot * LANE_DX


@dataclass(slots=True)
class _Steps:
    """For a moment, how far down the calls that had ended by then reach (times rise, as does y)."""

    times: list[float] = field(default_factory=list[float])
    bottoms: list[float] = field(default_factory=list[float])

    def add(self, time: float, bottom: float) -> None:
        """Note that a call reaching down to `bottom` ended at `time`."""
        at = bisect.bisect_right(self.times, time)
        if at and self.bottoms[at - 1] >= bottom:
            return
        last = at
        while last < len(self.bottoms) and self.bottoms[last] <= bottom:
            last += 1
        self.times[at:last] = [time]
        self.bottoms[at:last] = [bottom]

    def below(self, time: float) -> float:
        """Lower edge of the lowest call that had ended by `time`; minus infinity if none had."""
        at = bisect.bisect_right(self.times, time)
        return self.bottoms[at - 1] if at else -math.inf


class LaneLayout:
    """Places nodes one after the other, each for good."""

    def __init__(self) -> None:
        self.lanes: dict[str, LanePlace] = {}
        self._slots: list[str] = []  # slot -> the lane that took it last
        self._steps = _Steps()
        self._bottoms: dict[str, float] = {}

    def open_lane(
        self,
        lane_id: str,
        *,
        agent: str,
        start: float,
        below: float = 0,
        right_of: str | None = None,
    ) -> LanePlace:
        """Give an agent a lane: an ended one's place to the right of its caller, else a new one.

        Args:
            lane_id: New id.
            agent: Name of the agent.
            start: When the agent began, seconds; its lane begins below what had ended by then.
            below: The lane's first node stands lower than this.
            right_of: Lane of the calling agent.
        """
        first = self.lanes[right_of].slot + 1 if right_of in self.lanes else 0
        free = [
            slot
            for slot in range(first, len(self._slots))
            if self.lanes[self._slots[slot]].ended_at <= start
        ]
        same = [slot for slot in free if self.lanes[self._slots[slot]].agent == agent]
        slot = (same or free or [len(self._slots)])[0]
        top = max(below, self._steps.below(start) + ROW_GAP, 0)
        if slot == len(self._slots):
            self._slots.append(lane_id)
        else:
            top = max(top, self.lanes[self._slots[slot]].bottom + REUSE_GAP)
            self._slots[slot] = lane_id
        lane = LanePlace(slot=slot, top=top, bottom=top + HEADER_HEIGHT, agent=agent)
        self.lanes[lane_id] = lane
        return lane

    def close_lane(self, lane_id: str, end: float) -> None:
        """The agent ended at `end`, seconds: a lane that begins later may stand below."""
        lane = self.lanes[lane_id]
        lane.ended_at = min(lane.ended_at, end)

    def place_below(
        self, lane_id: str, column: Column, size: Size, *, start: float | None = None
    ) -> Place:
        """The next free place of a lane.

        Args:
            lane_id: An open lane.
            column: `head` and `spine` stand in the calls' column, `side` in the other one.
            size: Of the node.
            start: When a call began, seconds; it is placed below the calls that had ended by then.
                None for nodes that follow their call without regard to other lanes.
        """
        lane = self._extend(lane_id)
        gap = SIDE_GAP if column == "side" else ROW_GAP
        top = lane.bottom + (0 if column == "head" else gap)
        if start is not None:
            top = max(top, self._steps.below(start) + gap)
        lane.bottom = top + size.height
        x = lane.x + (SIDE_DX if column == "side" else 0)
        return Place(x, top + size.height / 2)

    def ended(self, place: Place, size: Size, end: float) -> None:
        """A call at `place` ended: calls that begin later stand below it."""
        self._steps.add(end, place.y + size.height / 2)

    def _extend(self, lane_id: str) -> LanePlace:
        """The lane, moved below a later lane that took its place meanwhile (a late span)."""
        lane = self.lanes[lane_id]
        owner = self._slots[lane.slot]
        if owner != lane_id:
            lane.bottom = max(lane.bottom, self.lanes[owner].bottom + REUSE_GAP)
            self._slots[lane.slot] = lane_id
        return lane


def beside(place: Place) -> Place:
    """Where the answer to the call at `place` stands; every call keeps this place free."""
    return Place(place.x + SIDE_DX, place.y)


@dataclass(frozen=True, slots=True)
class Group:
    """An agent with its own calls and the agents it called, for `hierarchy`.

    Attributes:
        head: Node of the agent, None when it has none.
        members: Its calls, answers and tools in order of time.
        children: Keys of the groups it called; each key is the child of one group at most.
    """

    head: str | None
    members: Sequence[str]
    children: Sequence[str]


def hierarchy(groups: Mapping[str, Group], sizes: Mapping[str, Size]) -> dict[str, Place]:
    """Who works for whom: each agent above a block of its own calls, the agents it called below.

    Args:
        groups: Key -> group; a caller comes before the groups it called.
        sizes: Size of every node named in the groups.

    Returns:
        A place for every node; nothing overlaps.
    """
    columns = {key: _columns(len(group.members)) for key, group in groups.items()}
    blocks = {key: _block(group, sizes, columns[key]) for key, group in groups.items()}
    widths: dict[str, float] = {}
    for key in reversed(list(groups)):
        below = sum(widths[child] for child in groups[key].children)
        widths[key] = max(blocks[key].width + 2 * ROW_GAP, below)
    called = {child for group in groups.values() for child in group.children}
    places: dict[str, Place] = {}
    corners: dict[str, tuple[float, float]] = {}
    left = 0.0
    for key in groups:
        if key not in called:
            corners[key] = (left, 0.0)
            left += widths[key]
    for key, group in groups.items():
        x, y = corners[key]
        places |= _fill(group, sizes, columns[key], centre=x + widths[key] / 2, top=y)
        inner = x + (widths[key] - sum(widths[child] for child in group.children)) / 2
        for child in group.children:
            corners[child] = (inner, y + blocks[key].height + 2 * HEADER_HEIGHT)
            inner += widths[child]
    return places


def _columns(members: int) -> int:
    """Columns of a block: even, so that an answer stays beside its call; wider than tall."""
    return max(2, 2 * round(math.sqrt(members) / 2))


def _cell(names: Iterable[str], sizes: Mapping[str, Size]) -> Size:
    found = [sizes[name] for name in names]
    return Size(
        max((size.width for size in found), default=0) + ROW_GAP,
        max((size.height for size in found), default=0) + ROW_GAP,
    )


def _block(group: Group, sizes: Mapping[str, Size], columns: int) -> Size:
    """Size of an agent's node and its own calls together."""
    head = sizes[group.head] if group.head else Size(0, 0)
    if not group.members:
        return head
    cell = _cell(group.members, sizes)
    rows = math.ceil(len(group.members) / columns)
    return Size(max(head.width, columns * cell.width), head.height + ROW_GAP + rows * cell.height)


def _fill(
    group: Group, sizes: Mapping[str, Size], columns: int, *, centre: float, top: float
) -> dict[str, Place]:
    places: dict[str, Place] = {}
    if group.head:
        size = sizes[group.head]
        places[group.head] = Place(centre, top + size.height / 2)
        top += size.height + ROW_GAP
    cell = _cell(group.members, sizes)
    left = centre - columns * cell.width / 2
    for index, name in enumerate(group.members):
        row, column = divmod(index, columns)
        places[name] = Place(left + (column + 0.5) * cell.width, top + (row + 0.5) * cell.height)
    return places
