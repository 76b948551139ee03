"""Builds the graph of one trace from its spans, change by change.

The builder follows how the program worked: an agent's first call hangs on the agent, its answer
stands beside it, the tools it calls hang on the answer, and the next call gathers what they gave.
A sub-agent hangs on what delegated to it; its last answer flows into the caller's next call.

Invariants:
- Elements are only added or replaced, never taken away; a node keeps the place it got first.
- Applying a span dict twice changes nothing.
- Elements hold small fields only; no body ever enters the builder's state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tracelake.graph.delta import Delta, Elements
from tracelake.graph.elements import (
    ANSWER,
    Lane,
    groups_of,
    is_below,
    lane_element,
    node_element,
    span_of,
)
from tracelake.graph.facts import Facts, by_start, read_facts
from tracelake.graph.route import is_blocked, route
from tracelake.graph.stacks import Stacks
from tracelake.graph.style import NODE_STYLES, STACK_STYLE, EdgeType, NodeType
from tracelake.graph.totals import Totals
from tracelake.layout import LaneLayout, Place, beside, hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracelake.graph.delta import Element
    from tracelake.layout import Column


class GraphBuilder:
    """The growing graph of one trace.

    Args:
        trace_id: The trace.
        stack_after: Calls and tools of an agent that get nodes of their own; later ones are put
            into stacks (`tracelake.graph.stacks`). None for no stacks.

    Attributes:
        trace_id: The trace.
        totals: Counts, tokens, cost and errors of the whole trace; auxiliary calls left out.
    """

    def __init__(self, trace_id: str, *, stack_after: int | None = None) -> None:
        self.trace_id = trace_id
        self.totals = Totals()
        self._elements = Elements()
        self._layout = LaneLayout()
        self._stacks = Stacks(stack_after)
        self._facts: dict[str, Facts] = {}
        self._places: dict[str, Place] = {}
        self._lanes: dict[str, Lane] = {}
        self._agent_lane: dict[str, str] = {}
        self._by_name: dict[str, str] = {}  # agent name -> its newest lane
        self._lane_ids: dict[str, str] = {}  # call or tool -> the lane it was put in
        self._awaited: dict[str, str] = {}  # unknown parent -> lane that waits for it
        self._delegated: dict[str, list[str]] = {}  # tool -> lanes of the agents it called
        self._orphans: dict[str, list[str]] = {}  # unknown parent -> lanes it will have called
        self._incoming: dict[str, list[str]] = {}

    @property
    def seq(self) -> int:
        """The state of the graph; rises with every change."""
        return self._elements.seq

    def apply(self, span: Mapping[str, Any]) -> Delta:
        """Take one span in (a dict of the columns of `spans`); gives what changed."""
        return self.apply_all([span])

    def apply_all(self, spans: Iterable[Mapping[str, Any]]) -> Delta:
        """Take several spans in, earliest start first; gives what changed."""
        before = self.seq
        for facts in sorted(map(read_facts, spans), key=by_start):
            self._take(facts)
        return self.since(before)

    def since(self, seq: int) -> Delta:
        """Everything that changed after the state `seq`, newest versions only; 0 gives all."""
        return self._elements.since(seq)

    def node(self, node_id: str) -> Element | None:
        """The newest version of a node, or None."""
        return self._elements.get("nodes", node_id)

    def hierarchy(self) -> dict[str, tuple[float, float]]:
        """Places of all nodes in the second layout, by node id."""
        looks = {**NODE_STYLES, "stack": STACK_STYLE}
        drawn = [n for n in self._elements.all("nodes").values() if n["stack"] is None]
        sizes = {node["id"]: looks[node["type"]].size for node in drawn}
        places = hierarchy(groups_of(self._lanes), sizes)
        return {key: (place.x, place.y) for key, place in places.items()}

    def _take(self, facts: Facts) -> None:
        self._facts[facts.span_id] = facts
        if facts.drawn == "agent":
            self._take_agent(facts)
        elif facts.drawn == "llm":
            self._take_call(facts, self._lane_of(facts))
        elif facts.drawn == "tool":
            self._take_tool(facts, self._lane_of(facts))
        for lane_id in self._orphans.pop(facts.span_id, ()):
            self._join(self._lanes[lane_id])

    def _take_agent(self, facts: Facts) -> None:
        lane = self._lanes.get(self._agent_lane.get(facts.span_id, "")) or self._adopt(facts)
        if lane is None:
            lane = self._open_lane(facts, facts.span_id)
        is_new = lane.head is None
        if is_new:
            self._set_head(lane, facts)
        if facts.is_over and facts.end is not None:
            self._layout.close_lane(lane.id, facts.end)
        node: NodeType = "agent"
        if facts.role == "orchestrator" or (facts.role is None and facts.parent_id is None):
            node = "orchestrator"
        self._put_node(facts.span_id, node, facts, lane)
        if is_new:
            if lane.members:  # its calls came first
                first = lane.members[0]
                self._put_edge(facts.span_id, first, "request", inferred=facts.inferred)
            self._join(lane)

    def _adopt(self, facts: Facts) -> Lane | None:
        """The lane that calls opened before their agent's span was known."""
        lane_id = self._awaited.pop(facts.span_id, None)
        if lane_id is None:
            lane_id = self._by_name.get(facts.agent)
        lane = self._lanes.get(lane_id) if lane_id else None
        inside = lane is not None and self._lane_ids.get(facts.parent_id or "") == lane.id
        is_free = lane is not None and lane.head is None and not inside
        return lane if is_free else None

    def _set_head(self, lane: Lane, facts: Facts) -> None:
        lane.head = facts.span_id
        self._places[facts.span_id] = self._places.pop(f"{lane.id}:head")
        lane.name = facts.agent
        self._agent_lane[facts.span_id] = lane.id
        self._by_name[facts.agent] = lane.id
        if not lane.members:
            lane.tips = [facts.span_id]
        lane.speaker = lane.speaker or facts.span_id

    def _join(self, lane: Lane) -> None:
        """Hang a lane on what called its agent, now or once that is known."""
        head = self._facts.get(lane.head or "")
        if head is None or head.parent_id is None:
            return
        if head.parent_id not in self._facts:
            self._orphans.setdefault(head.parent_id, []).append(lane.id)
            return
        caller = self._known_lane(head.parent_id)
        if caller and lane.caller is None and not is_below(caller, lane, self._lanes):
            lane.caller, lane.depth = caller.id, caller.depth + 1
            caller.children.append(lane.id)
            self._put_lane(lane)
        source = self._delegating_node(head)
        if source and source != head.span_id:
            self._put_edge(source, head.span_id, "delegation", inferred=head.inferred)

    def _delegating_node(self, facts: Facts) -> str | None:
        if facts.parent_id is None:
            return None
        if facts.parent_id in self._places and facts.parent_id not in self._agent_lane:
            return facts.parent_id
        caller = self._known_lane(facts.parent_id)
        return caller.speaker if caller else None

    def _take_call(self, facts: Facts, lane: Lane) -> None:
        node_id = facts.span_id
        is_new = node_id not in self._places
        sources = self._sources(facts, lane) if is_new else []
        if is_new:
            self._place(node_id, "llm", lane, "spine", start=facts.start)
        self._put_node(node_id, "llm", facts, lane)
        for source in sources:
            inferred = facts.inferred or self._facts[span_of(source)].inferred
            kind: EdgeType = "response" if self._hands_back(source, lane) else "request"
            self._put_edge(source, node_id, kind, inferred=inferred)
        if is_new:
            lane.tips.append(node_id)
            lane.speaker = node_id
        if not facts.is_over:
            return
        self._note_end(node_id, "llm", facts)
        if facts.answer:
            self._put_answer(facts, lane)

    def _put_answer(self, facts: Facts, lane: Lane) -> None:
        answer = f"{facts.span_id}{ANSWER}"
        if answer not in self._places:
            self._places[answer] = beside(self._places[facts.span_id])
            if self._stacks.of(facts.span_id) is None:
                lane.add_answer(facts.span_id, answer)
            if lane.speaker == facts.span_id:
                lane.speaker = answer
            lane.tips = [answer if tip == facts.span_id else tip for tip in lane.tips]
        self._put_node(answer, "response", facts, lane)
        self._put_edge(facts.span_id, answer, "response", inferred=False)

    def _take_tool(self, facts: Facts, lane: Lane) -> None:
        node_id = facts.span_id
        is_new = node_id not in self._places
        if is_new:
            self._place(node_id, "tool", lane, "side")
        self._put_node(node_id, "tool", facts, lane)
        self._close_delegated(node_id, facts)
        if not is_new:
            return
        source = self._calling_node(facts, lane)
        if source:
            self._put_edge(source, node_id, "request", inferred=facts.inferred)
        if source in lane.tips:
            lane.tips.remove(source)
        lane.tips.append(node_id)

    def _close_delegated(self, tool: str, facts: Facts) -> None:
        """A delegating tool returned, so its agents are done even if nothing said so."""
        if facts.is_over and facts.end is not None:
            for lane_id in self._delegated.get(tool, ()):
                self._layout.close_lane(lane_id, facts.end)

    def _calling_node(self, facts: Facts, lane: Lane) -> str | None:
        """What called a tool: its parent's answer or call, else the lane's speaker."""
        parent = facts.parent_id or ""
        if parent not in self._agent_lane:
            for node in (f"{parent}{ANSWER}", parent):
                if node in self._places:
                    return node
        return lane.speaker

    def _sources(self, facts: Facts, lane: Lane) -> list[str]:
        """What flows into a new call: outcomes nobody took up yet, of tools and of sub-agents."""
        parent = facts.parent_id or ""
        if parent in self._places and parent not in self._agent_lane:
            return [parent]
        start = facts.start if facts.start is not None else math.inf
        taken = [tip for tip in lane.tips if self._facts[span_of(tip)].has_ended_by(start)]
        lane.tips = [tip for tip in lane.tips if tip not in taken]
        for child in (self._lanes[key] for key in lane.children):
            done = self._layout.lanes[child.id].ended_at <= start
            if done and not child.handed_back and child.tips:
                child.handed_back = True
                taken = [tip for tip in taken if tip != child.delegated_by] + child.tips[-1:]
        if not taken and lane.head:
            return [lane.head]
        return taken

    def _hands_back(self, source: str, lane: Lane) -> bool:
        """Whether what flows from a node into the lane's next call is an outcome of other work."""
        node = self._elements.all("nodes")[source]
        return node["type"] == "tool" or node["lane"] != lane.id

    def _lane_of(self, facts: Facts) -> Lane:
        """The lane of a call or tool: its agent's, else one that waits for its agent."""
        known = self._lane_ids.get(facts.span_id)
        if known is not None:
            return self._lanes[known]
        lane = self._known_lane(facts.parent_id)
        if lane is None and facts.agent in self._by_name:
            lane = self._lanes[self._by_name[facts.agent]]
        if lane is None:
            lane = self._open_lane(facts, f"lane:{facts.agent}")
            self._by_name[facts.agent] = lane.id
        if facts.parent_id and facts.parent_id not in self._facts:
            self._awaited.setdefault(facts.parent_id, lane.id)
        self._lane_ids[facts.span_id] = lane.id
        return lane

    def _known_lane(self, parent_id: str | None) -> Lane | None:
        """The lane of the nearest agent above, None when the way up is not known yet."""
        seen: set[str] = set()
        while parent_id and parent_id not in seen:
            if parent_id in self._agent_lane:
                return self._lanes[self._agent_lane[parent_id]]
            if parent_id in self._awaited:
                return self._lanes[self._awaited[parent_id]]
            seen.add(parent_id)
            parent = self._facts.get(parent_id)
            parent_id = parent.parent_id if parent else None
        return None

    def _open_lane(self, facts: Facts, lane_id: str) -> Lane:
        caller = self._known_lane(facts.parent_id)
        tool = facts.parent_id if facts.parent_id in self._places else None
        delegated_by = tool if tool not in self._agent_lane else None
        self._layout.open_lane(
            lane_id,
            agent=facts.agent,
            start=facts.start if facts.start is not None else -math.inf,
            below=self._layout.lanes[caller.id].bottom if caller else 0,
            right_of=caller.id if caller else None,
        )
        lane = Lane(
            id=lane_id,
            name=facts.agent,
            caller=caller.id if caller else None,
            depth=caller.depth + 1 if caller else 0,
            delegated_by=delegated_by,
        )
        self._lanes[lane_id] = lane
        if caller:
            caller.children.append(lane_id)
        if delegated_by:
            self._stacks.close_at(delegated_by)
            self._delegated.setdefault(delegated_by, []).append(lane_id)
            self._close_delegated(delegated_by, self._facts[delegated_by])
        size = NODE_STYLES["orchestrator" if facts.parent_id is None else "agent"].size
        self._places[f"{lane_id}:head"] = self._layout.place_below(lane_id, "head", size)
        return lane

    def _place(
        self, node_id: str, node: NodeType, lane: Lane, column: Column, start: float | None = None
    ) -> None:
        size, place_below = NODE_STYLES[node].size, self._layout.place_below
        stack = self._stacks.take(node_id, lane.id, is_call=node == "llm")
        if stack is None:
            self._places[node_id] = place_below(lane.id, column, size, start=start)
            lane.members.append(node_id)
            return
        if stack.id not in self._places:
            below = place_below(lane.id, "spine", STACK_STYLE.size, start=start)
            self._places[stack.id] = below
            lane.members.append(stack.id)
        self._places[node_id] = self._stacks.place(stack, column, size)

    def _note_end(self, node_id: str, node: NodeType, facts: Facts) -> None:
        if facts.end is None:
            return
        stack = self._stacks.of(node_id)
        size = STACK_STYLE.size if stack else NODE_STYLES[node].size
        self._layout.ended(self._places[stack.id if stack else node_id], size, facts.end)

    def _put_node(self, node_id: str, node: NodeType, facts: Facts, lane: Lane) -> None:
        lane.totals.count(facts)
        self.totals.count(facts)
        place, stack = self._places[node_id], self._stacks.of(facts.span_id)
        key = stack.id if stack else None
        self._elements.put("nodes", node_element(node_id, node, facts, lane, place, stack=key))
        if stack is not None:
            stack.count(facts)
            whole = self._stacks.element(stack, lane.name, self._places[stack.id])
            self._elements.put("nodes", whole)
        for edge_id in self._incoming.get(node_id, ()):
            self._elements.put(
                "edges", {**self._elements.all("edges")[edge_id], "status": facts.status}
            )
        self._put_lane(lane)

    def _put_edge(self, source: str, target: str, kind: EdgeType, *, inferred: bool) -> None:
        edge_id = f"{source}>{target}"
        if source == target or self._elements.get("edges", edge_id):
            return
        node = self._elements.get("nodes", target)
        self._incoming.setdefault(target, []).append(edge_id)
        self._elements.put(
            "edges",
            {
                "id": edge_id,
                "source": source,
                "target": target,
                "type": kind,
                "inferred": inferred,
                "status": node["status"] if node else "running",
                "route": self._route(source, target, kind),
            },
        )

    def _route(self, source: str, target: str, kind: EdgeType) -> str:
        start, end = self._places[source], self._places[target]
        stack = self._stacks.of(span_of(target))
        if self._stacks.of(span_of(source)) is not stack:
            return "straight"  # one of them is drawn elsewhere
        lane = self._lanes[self._elements.all("nodes")[target]["lane"]]
        members = reversed(stack.members if stack else lane.members)
        return route(
            start,
            end,
            kind,
            from_tool=self._facts[span_of(source)].drawn == "tool",
            blocked=is_blocked(start, end, (self._places[other] for other in members)),
        )

    def _put_lane(self, lane: Lane) -> None:
        place = self._layout.lanes[lane.id]
        head = self._facts.get(lane.head or "")
        status = head.status if head else "running" if lane.totals.is_busy else "ok"
        self._elements.put("lanes", lane_element(lane, place, status))
