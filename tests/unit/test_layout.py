"""Places of nodes: lanes that grow downwards and the hierarchy."""

from __future__ import annotations

from tracelake.layout import LANE_DX, Group, LaneLayout, Size, beside, hierarchy

BOX = Size(100, 40)


def test_a_lane_fills_downwards() -> None:
    """Each node of a lane stands below the one before."""
    layout = LaneLayout()
    layout.open_lane("a", agent="a", start=0)
    head = layout.place_below("a", "head", BOX)
    call = layout.place_below("a", "spine", BOX)
    tool = layout.place_below("a", "side", BOX)
    assert head.y < call.y < tool.y
    assert head.x == call.x < tool.x == beside(call).x


def test_a_called_agent_stands_right_of_its_caller() -> None:
    """Sub-agents take the first free column to the right of the lane that called them."""
    layout = LaneLayout()
    layout.open_lane("root", agent="root", start=0)
    layout.open_lane("one", agent="one", start=1, right_of="root")
    layout.open_lane("two", agent="two", start=1, right_of="root")
    assert [layout.lanes[key].x for key in ("root", "one", "two")] == [0, LANE_DX, 2 * LANE_DX]


def test_a_place_is_reused_only_after_its_agent_ended() -> None:
    """An agent that began before another ended never stands in its column."""
    layout = LaneLayout()
    layout.open_lane("root", agent="root", start=0)
    layout.open_lane("one", agent="one", start=1, right_of="root")
    layout.close_lane("one", 5)
    layout.open_lane("early", agent="x", start=4, right_of="root")
    late = layout.open_lane("late", agent="y", start=6, right_of="root")
    assert layout.lanes["early"].slot == 2
    assert late.slot == 1
    assert late.top > layout.lanes["one"].bottom


def test_a_returning_agent_comes_back_to_its_column() -> None:
    """Of several free columns an agent takes the one it had before."""
    layout = LaneLayout()
    layout.open_lane("root", agent="root", start=0)
    for name in ("a", "b"):
        layout.open_lane(name, agent=name, start=1, right_of="root")
        layout.close_lane(name, 2)
    layout.close_lane("a", 2)
    again = layout.open_lane("b2", agent="b", start=3, right_of="root")
    assert again.slot == layout.lanes["b"].slot


def test_the_hierarchy_puts_callers_above_what_they_called() -> None:
    """An agent stands above its calls, and they above the agents it called."""
    sizes = dict.fromkeys(("r", "c1", "c2", "a", "a1", "b"), BOX)
    places = hierarchy(
        {
            "root": Group("r", ["c1", "c2"], ["one", "two"]),
            "one": Group("a", ["a1"], []),
            "two": Group("b", [], []),
        },
        sizes,
    )
    assert places.keys() == sizes.keys()
    assert places["r"].y < places["c1"].y < places["a"].y == places["b"].y < places["a1"].y
    assert places["a"].x < places["b"].x


def test_a_hierarchy_of_nothing_is_empty() -> None:
    """An empty trace has no places."""
    assert hierarchy({}, {}) == {}
