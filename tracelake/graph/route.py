"""How an edge runs so that it crosses no box where that is cheap: a name the renderers know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tracelake.layout import LANE_DX, SIDE_DX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracelake.graph.style import EdgeType
    from tracelake.layout import Place

Route = Literal["straight", "across", "back", "left", "right", "collect", "onward"]


def route(start: Place, end: Place, kind: EdgeType, *, from_tool: bool, blocked: bool) -> Route:
    """Choose the way from one node to another.

    Args:
        start: Centre of the source.
        end: Centre of the target.
        kind: Type of the edge.
        from_tool: The source is a tool.
        blocked: Both stand in one column with a node between them.

    Returns:
        `across` to a lane at the right, through the gutter before it; `back` down and along a
        free row to another lane; `left` and `right` around the nodes between; `collect` and
        `onward` from the side of a tool or an answer down to the next call; else `straight`.
    """
    if start.y == end.y:
        return "straight"
    if kind == "delegation":
        return "across" if end.x > start.x else "straight"
    if abs(start.x - end.x) > SIDE_DX:
        return "back"
    if blocked:
        return "right" if start.x % LANE_DX else "left"
    if start.x > end.x:
        return "collect" if from_tool else "onward"
    return "straight"


def is_blocked(start: Place, end: Place, between: Iterable[Place]) -> bool:
    """Whether a node stands between two places one above the other.

    Args:
        start: Upper place.
        end: Lower place.
        between: Places of the other nodes, from the lowest up.
    """
    if start.x != end.x:
        return False
    for place in between:
        if place.y <= start.y:
            return False
        if place.x == start.x and place.y < end.y:
            return True
    return False
