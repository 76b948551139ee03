"""The tree of OpenTelemetry traces, put together as their spans come in, in any order.

    Assembly.add(events) -> events      those of new spans, placed, and amendments of earlier ones
    Assembly.settle(now) -> events      places spans whose parent never came

Exporters send a span when it ends: children first, the root last, or never if its program was
killed. A parent may be a span of another program that nobody records.

Invariants:
- No clock, no I/O, no random ids: the same batches give the same events, and a batch that is sent
  again adds nothing.
- A trace with agents, calls or tools has one root: an agent with role `orchestrator`. Where the
  recorded root is none, it is taken for one (`evidence` says inferred); a root that is a call, and
  spans whose parent never comes, get an inferred agent above them. Other traces are left as they
  are.
- A call that was seen twice keeps the copy that tells more; the other names it in `duplicate_of`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

from tracelake.model import derived_id
from tracelake.otlp.delegation import promote_graphs, settle_agents
from tracelake.otlp.duplicates import Answers, Streams, better, copies, nested
from tracelake.otlp.nodes import Node, Trace, name_agents, remember, sender, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracelake.otlp.duplicates import Placed
    from tracelake.otlp.nodes import JsonEvent

#: Which of several spans without a parent is the root, best first.
_ROOT_RANK: Final = {"agent": 0, "chain": 1, "other": 1}
ORPHAN_AFTER_S: Final = 10.0
FORGET_AFTER_S: Final = 900.0
SPANS_MAX: Final = 200_000


class Recorded(Protocol):
    """What the relay recorded of the same programs."""

    def trace_of(self, otlp_trace_id: str) -> str | None:
        """The trace that holds the relay's calls of an OpenTelemetry trace."""
        ...

    def root_of(self, trace_id: str) -> str | None:
        """The root span of a trace that the relay made."""
        ...

    def call_of(self, otlp_trace_id: str, span_id: str) -> str | None:
        """The relay's span of the call that a span of OpenTelemetry sent."""
        ...


class NothingRecorded:
    """No relay runs beside."""

    def trace_of(self, otlp_trace_id: str) -> str | None:  # noqa: ARG002 - see Recorded
        """None."""
        return None

    def root_of(self, trace_id: str) -> str | None:  # noqa: ARG002
        """None."""
        return None

    def call_of(self, otlp_trace_id: str, span_id: str) -> str | None:  # noqa: ARG002
        """None."""
        return None


class Assembly:
    """Traces that are coming in.

    Args:
        recorded: What the relay knows of the same programs.
    """

    def __init__(self, recorded: Recorded | None = None) -> None:
        self._recorded: Recorded = recorded or NothingRecorded()
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._answers = Answers()
        self._streams = Streams()
        self._spans = 0

    def add(self, events: Iterable[JsonEvent], *, now_s: float) -> list[JsonEvent]:
        """Place the spans of one request.

        Args:
            events: As `mapping.event_of` makes them; changed in place.
            now_s: Seconds of a clock that never goes back.

        Returns:
            The events to append, in order.
        """
        given = list(events)
        fresh: dict[str, list[Node]] = {}
        for event in given:
            trace = self._trace_of(event, now_s)
            event["trace_id"] = trace.trace_id
            fresh.setdefault(trace.otlp_id, []).append(remember(trace, event))
        told: list[JsonEvent] = []
        for otlp_id, nodes in fresh.items():
            trace = self._traces[otlp_id]
            self._spans += len(nodes)
            told += _take_back_adopted(trace, nodes)
            tops = list(trace.tops)
            told += self._place_tops(trace)
            graphs = promote_graphs(trace, nodes, told)
            told += settle_agents(trace, [*nodes, *graphs])
            told += name_agents(trace, [*nodes, *graphs, *tops])
            told += self._mark_duplicates(trace, nodes)
            for node in nodes:
                node.event = None
        self._forget(now_s)
        return [*given, *told]

    def settle(self, *, now_s: float) -> list[JsonEvent]:
        """Hang spans whose parent did not come in time on the root of their trace."""
        told: list[JsonEvent] = []
        for trace in self._traces.values():
            if not trace.has_orphans or now_s - trace.last_seen_s < ORPHAN_AFTER_S:
                continue
            trace.has_orphans = False
            orphans = [
                node
                for node in trace.nodes.values()
                if node.sent_parent is not None
                and not node.adopted
                and node.sent_parent not in trace.nodes
            ]
            if not orphans or not trace.is_telling:
                continue
            for node in orphans:
                node.adopted = True
            trace.tops += orphans
            told += self._place_tops(trace)
            told += name_agents(trace, orphans)
        return told

    def place(self, otlp_trace_id: str) -> str:
        """The trace that spans of an OpenTelemetry trace are put into."""
        trace = self._traces.get(otlp_trace_id)
        if trace is not None:
            return trace.trace_id
        return self._recorded.trace_of(otlp_trace_id) or otlp_trace_id

    def _trace_of(self, event: JsonEvent, now_s: float) -> Trace:
        otlp_id: str = event["trace_id"]
        trace = self._traces.get(otlp_id)
        if trace is None:
            resource = event["data"]["attributes"].get("resource") or {}
            service = resource.get("service.name")
            named = isinstance(service, str) and not service.startswith("unknown_service")
            trace = Trace(otlp_id, self.place(otlp_id), service if named else None)
            self._traces[otlp_id] = trace
        trace.last_seen_s = now_s
        self._traces.move_to_end(otlp_id)
        return trace

    def _place_tops(self, trace: Trace) -> list[JsonEvent]:
        if not trace.is_telling or not trace.tops:
            return []
        told: list[JsonEvent] = []
        tops, trace.tops = trace.tops, []
        if trace.root_id is None:
            trace.root_id = self._recorded.root_of(trace.trace_id)
        for node in sorted(tops, key=lambda n: (_ROOT_RANK.get(n.kind, 2), n.start, n.span_id)):
            if trace.root_id is None and node.kind in _ROOT_RANK and not node.adopted:
                told += _crown(trace, node)
                continue
            if trace.root_id is None:
                told += _infer_root(trace, node)
            elif trace.inferred_root is not None:
                told += _stretch(trace, trace.inferred_root, node)
            node.parent_id = trace.root_id
            changes = {"role": "agent"} if node.kind == "agent" else {}
            told += tell(trace, node, changes, parent_id=trace.root_id)
        return told

    def _mark_duplicates(self, trace: Trace, nodes: list[Node]) -> Iterator[JsonEvent]:
        for node in nodes:
            seen = self._recorded.call_of(trace.otlp_id, node.span_id)
            call = sender(trace, node) if seen is not None else None
            if call is not None and seen is not None and call.duplicate_of is None:
                call.duplicate_of = seen
                yield from tell(trace, call, {"duplicate_of": seen})
        for node in nodes:
            if node.kind != "llm" or node.duplicate_of is not None:
                continue
            about: dict[str, Any] = (node.event or {})["data"]["attributes"]
            if stream := self._streams.pair(trace, node):
                yield from _mark_retold(*stream)
            if about.get("retold") or node.duplicate_of is not None:
                continue
            response_id = about.get("response_id")
            other = self._answers.other(response_id, trace, node) if response_id else None
            pair = other or nested(trace, node)
            if pair is None or pair[1].duplicate_of == node.span_id:
                continue
            if (counts := pair[1].duplicate_of) is not None:  # the third copy of one call
                if other is None:
                    node.duplicate_of = counts
                    yield from tell(trace, node, {"duplicate_of": counts})
                continue
            kept, copy = better((trace, node), pair)
            copy[1].duplicate_of = kept[1].span_id
            yield from tell(copy[0], copy[1], {"duplicate_of": kept[1].span_id})

    def _forget(self, now_s: float) -> None:
        while self._traces:
            oldest = next(iter(self._traces.values()))
            if now_s - oldest.last_seen_s < FORGET_AFTER_S and self._spans <= SPANS_MAX:
                return
            if len(self._traces) == 1 and now_s - oldest.last_seen_s < FORGET_AFTER_S:
                return
            self._traces.popitem(last=False)
            self._spans -= len(oldest.nodes)


def _mark_retold(told: Placed, call: Placed) -> Iterator[JsonEvent]:
    """Mark a call whose stream another span tells whole."""
    for trace, copy in copies(call):
        copy.duplicate_of = told[1].span_id
        yield from tell(trace, copy, {"duplicate_of": copy.duplicate_of})


def _take_back_adopted(trace: Trace, nodes: list[Node]) -> list[JsonEvent]:
    """Give spans that were hung on the root back to the parent that has come after all."""
    told: list[JsonEvent] = []
    for parent in nodes:
        for child_id in trace.children.get(parent.span_id, ()):
            child = trace.nodes[child_id]
            if not child.adopted:
                continue
            child.adopted = False
            child.parent_id = child.sent_parent
            told += tell(trace, child, {}, parent_id=child.sent_parent)
    return told


def _crown(trace: Trace, node: Node) -> list[JsonEvent]:
    """Make a span the root agent of its trace."""
    trace.root_id = node.span_id
    changes: dict[str, Any] = {"role": "orchestrator"}
    if node.kind != "agent":
        node.kind, node.agent = "agent", node.own_agent or node.name
        changes |= {"kind": "agent", "evidence": "inferred", "evidence_source": "root span"}
        return tell(trace, node, changes, agent_name=node.agent)
    return tell(trace, node, changes)


def _infer_root(trace: Trace, node: Node) -> list[JsonEvent]:
    """An agent above a call that nothing else is above."""
    span_id = derived_id(trace.otlp_id, "otlp", "root")
    name = trace.service or node.own_agent or "agent"
    root = Node(span_id, "agent", name, None, None, name, name, node.start, node.end, None)
    trace.nodes[span_id] = root
    trace.root_id, trace.inferred_root = span_id, root
    return [_agent_event(trace, root)]


def _stretch(trace: Trace, root: Node, node: Node) -> list[JsonEvent]:
    """Tell an inferred agent's times again where a further span of it lies outside."""
    if node.start >= root.start and node.end <= root.end:
        return []
    root.start, root.end = min(root.start, node.start), max(root.end, node.end)
    return [_agent_event(trace, root)]


def _agent_event(trace: Trace, root: Node) -> JsonEvent:
    return {
        "event_type": "span",
        "trace_id": trace.trace_id,
        "span_id": root.span_id,
        "parent_id": None,
        "timestamp": root.end,
        "agent_name": root.name,
        "data": {
            "kind": "agent",
            "role": "orchestrator",
            "name": root.name,
            "start_time": root.start,
            "end_time": root.end,
            "status": "ok",
            "source": "otlp",
            "evidence": "inferred",
            "evidence_source": "calls without an agent",
        },
    }
