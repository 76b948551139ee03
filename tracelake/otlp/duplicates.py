"""Calls that two instrumentations, or an instrumentation and the SDK, told of.

Two spans are taken for one call only on firm grounds: the provider's id of the answer with times
that overlap (a replay gives the same id later), or a model call with no other one beside it inside
another, of the same model and with no other counts. Neither copy is thrown away.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelake.otlp.nodes import Node, Trace

    Placed = tuple[Trace, Node]

_KEPT_MAX: Final = 50_000
#: How much earlier than its call a stream may seem to open: clocks are read one after the other.
_STREAM_OPENS: Final = timedelta(milliseconds=50)


class Answers:
    """The calls by the provider's id of their answer, of all traces."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Placed] = OrderedDict()

    def other(self, response_id: str, trace: Trace, node: Node) -> Placed | None:
        """The copy of a call that counts so far, None for a first one, which is remembered."""
        held = self._by_id.get(response_id)
        if held is None or held[1].span_id == node.span_id:
            self._by_id[response_id] = (trace, node)
            if len(self._by_id) > _KEPT_MAX:
                self._by_id.popitem(last=False)
            return None
        if node.start >= held[1].end or held[1].start >= node.end:
            return None
        if better((trace, node), held)[0][1] is node:
            self._by_id[response_id] = (trace, node)
        return held


def better(first: Placed, second: Placed) -> tuple[Placed, Placed]:
    """The copy that tells more, and the other one; of equals the one that began first."""

    def rank(placed: Placed) -> tuple[bool, int, bool, float]:
        node = placed[1]
        counted = node.tokens[0] is not None
        return (counted, node.tells, node.agent is not None, -node.start.timestamp())

    return (first, second) if rank(first) >= rank(second) else (second, first)


def is_told_twice(inner: Node, outer: Node) -> bool:
    """Whether the only model call inside another one is the same call.

    It is when both name one model (a family and its dated version are one) and no other counts.
    """
    counts = [node.tokens for node in (inner, outer) if node.tokens != (None, None)]
    if len(counts) == 2 and counts[0] != counts[1]:
        return False
    one, other = sorted((inner.model or "", outer.model or ""), key=len)
    return other.startswith(one)


def nested(trace: Trace, node: Node) -> tuple[Trace, Node] | None:
    """The one call right inside or around a call that tells of the same."""
    above = trace.nodes.get(node.parent_id or "")
    if above is not None and above.kind == "llm":
        alone = _calls_below(trace, above) == [node]
        return (trace, above) if alone and is_told_twice(node, above) else None
    inner = _calls_below(trace, node)
    return (trace, inner[0]) if len(inner) == 1 and is_told_twice(inner[0], node) else None


def _calls_below(trace: Trace, node: Node) -> list[Node]:
    below = (trace.nodes[child_id] for child_id in trace.children.get(node.span_id, ()))
    return [child for child in below if child.kind == "llm"]


def retold(trace: Trace, node: Node) -> list[Node]:
    """The copies of a call whose stream a later span tells whole: Logfire's, and the SDK's in it.

    That call has the same model and parent, counts of its own in no copy but the SDK's, and is the
    last one to begin before the stream did.
    """
    calls = [
        call
        for call in map(trace.nodes.__getitem__, trace.children.get(node.sent_parent or "", ()))
        if call.kind == "llm"
        and call is not node
        and call.tokens == (None, None)
        and call.start <= node.start + _STREAM_OPENS
        and is_told_twice(call, node)
        and (call.duplicate_of in {None, node.span_id} or _is_below(trace, call.duplicate_of, call))
    ]
    known = [call for call in calls if call.duplicate_of == node.span_id]
    call = max(known or calls, key=lambda call: call.start, default=None)
    return [] if call is None else [call, *_calls_below(trace, call)]


def _is_below(trace: Trace, span_id: str | None, call: Node) -> bool:
    node = trace.nodes.get(span_id or "")
    return node is not None and node.parent_id == call.span_id
