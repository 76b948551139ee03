"""Calls that two instrumentations, or an instrumentation and the SDK, told of.

Two spans are taken for one call only on firm grounds: the provider's id of the answer with times
that overlap (a replay gives the same id later), or a model call with no other one beside it inside
another, of the same model and with no other counts. Neither copy is thrown away.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.otlp.nodes import Node, Trace

    Placed = tuple[Trace, Node]

_KEPT_MAX: Final = 50_000
#: Streams of which only one half has come, by their messages, and of the same messages.
_STREAMS_MAX: Final = 5_000
_HALVES_MAX: Final = 50
#: Scopes that tell a stream at its end, in a span of its own.
_TOLD_AT_END: Final = "logfire."
#: How long after its call was answered a program may begin to read the stream.
_STREAM_OPENS: Final = timedelta(seconds=10)


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


class Streams:
    """Calls whose stream another span tells whole at its end, as Logfire does, of all traces.

    Both hold the same messages; the span may stand in a trace of its own.
    """

    def __init__(self) -> None:
        self._begun: OrderedDict[int, list[Placed]] = OrderedDict()
        self._told: OrderedDict[int, list[Placed]] = OrderedDict()

    def pair(self, trace: Trace, node: Node) -> tuple[Placed, Placed] | None:
        """The span that tells a stream and the call that began it, once both are there.

        Args:
            trace: The trace of the span.
            node: A new model call, with its event.
        """
        data = (node.event or {})["data"]
        about = data["attributes"]
        if not str(about.get("scope", "")).startswith(_TOLD_AT_END):
            return None
        key = hash(orjson.dumps([about["scope"], data.get("messages")], default=str))
        placed = (trace, node)
        if about.get("retold"):
            call = _take_nearest(self._begun.get(key, []), placed, lambda call: (call, placed))
            if call is None:
                _hold(self._told, key, placed)
            return None if call is None else (placed, call)
        if node.tokens != (None, None) or data.get("response") or data["status"] == "error":
            return None
        told = _take_nearest(self._told.get(key, []), placed, lambda told: (placed, told))
        if told is None:
            _hold(self._begun, key, placed)
        return None if told is None else (told, placed)


def copies(call: Placed) -> list[Placed]:
    """A call that is told again, and the SDK's copy inside of it."""
    trace, node = call
    return [call, *((trace, inner) for inner in _calls_below(trace, node))]


def _hold(held: OrderedDict[int, list[Placed]], key: int, placed: Placed) -> None:
    halves = held.setdefault(key, [])
    halves.append(placed)
    del halves[:-_HALVES_MAX]
    if len(held) > _STREAMS_MAX:
        held.popitem(last=False)


def _take_nearest(
    held: list[Placed], placed: Placed, ordered: Callable[[Placed], tuple[Placed, Placed]]
) -> Placed | None:
    """Take the other half of a stream out of those held: one that fits, nearest in time."""

    def gap(other: Placed) -> timedelta:
        call, told = ordered(other)
        return abs(told[1].start - call[1].end)

    fitting = [
        other for other in held if is_told_twice(other[1], placed[1]) and gap(other) < _STREAM_OPENS
    ]
    if not fitting:
        return None
    found = min(fitting, key=lambda other: (other[0] is not placed[0], gap(other)))
    held.remove(found)
    return found
