"""The tree of a trace, whatever the order in which its spans come in."""

from __future__ import annotations

import random
from typing import Any

from tests.otlp_bodies import TRACE, as_json, span, span_id
from tracelake.otlp import Assembly, decode, events_of
from tracelake.otlp.assembly import ORPHAN_AFTER_S
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import fold_events

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}


def agent(name: str) -> dict[str, Any]:
    """Attributes of an agent span."""
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}


def usage(tokens: int, **more: Any) -> dict[str, Any]:
    """Attributes of a model call with counts."""
    return {
        **CHAT,
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 1,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


class Relay:
    """What a relay recorded: one trace, its root, and the calls that spans sent."""

    def __init__(self, trace_id: str, root: str, calls: dict[str, str]) -> None:
        self._trace_id, self._root, self._calls = trace_id, root, calls

    def trace_of(self, otlp_trace_id: str) -> str | None:
        """The one trace."""
        return self._trace_id if otlp_trace_id == TRACE else None

    def root_of(self, trace_id: str) -> str | None:
        """Its root."""
        return self._root if trace_id == self._trace_id else None

    def call_of(self, otlp_trace_id: str, span_id: str) -> str | None:
        """The call that a span sent."""
        return self._calls.get(span_id) if otlp_trace_id == TRACE else None


def assembled(
    *batches: list[dict[str, Any]],
    settled: bool = False,
    recorded: Any = None,
    scope: str = "tests",
) -> dict[str, Any]:
    """Spans by id as a reader sees them, after these batches."""
    assembly = Assembly(recorded)
    lines = b""
    for batch in batches:
        spans = decode(as_json(*batch, scope=scope), "application/json").spans
        events = assembly.add(events_of(spans), now_s=0.0)
        lines += b"".join(map(encode_event, events))
    if settled:
        events = assembly.settle(now_s=ORPHAN_AFTER_S + 1)
        lines += b"".join(map(encode_event, events))
    folded = fold_events(decode_events(lines, "segment"))
    return {found["span_id"]: found for found in folded.values()}


def shape(spans: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What makes the tree."""
    return {
        key: (s["parent_id"], s["kind"], s["role"], s["agent_name"]) for key, s in spans.items()
    }


def test_the_order_of_arrival_changes_nothing() -> None:
    """Children before parents, one span a request or all in one: the tree is the same."""
    spans = [
        span(1, "workflow", attributes={"gen_ai.operation.name": "invoke_workflow"}),
        span(2, "boss", 1, attributes=agent("boss")),
        span(3, "chat", 2, attributes=CHAT),
        span(4, "step", 2),
        span(5, "look", 4, attributes=TOOL),
        span(6, "helper", 5, attributes=agent("helper")),
        span(7, "chat", 6, attributes=CHAT),
    ]
    expected = shape(assembled(spans))
    assert expected[span_id(1)] == (None, "agent", "orchestrator", "workflow")
    assert expected[span_id(2)] == (span_id(1), "agent", "agent", "boss")
    assert expected[span_id(5)] == (span_id(4), "tool", None, "boss")
    assert expected[span_id(7)] == (span_id(6), "llm", None, "helper")
    rng = random.Random(7)
    for _ in range(60):
        rng.shuffle(spans)
        cut = rng.randrange(1, 7)
        batches = [spans[at : at + cut] for at in range(0, len(spans), cut)]
        assert shape(assembled(*batches)) == expected


def test_a_request_sent_again_adds_nothing() -> None:
    """An exporter that heard no answer sends its batch twice."""
    batch = [span(1, attributes=agent("boss")), span(2, parent=1, attributes=CHAT)]
    assert shape(assembled(batch, batch)) == shape(assembled(batch))


def test_a_root_agent_is_the_orchestrator() -> None:
    """As recorded: nothing is inferred."""
    (root,) = assembled([span(1, attributes=agent("boss"))]).values()
    assert (root["role"], root["evidence"], root["agent_name"]) == (
        "orchestrator",
        "recorded",
        "boss",
    )


def test_calls_without_an_agent_get_an_inferred_one() -> None:
    """One root above them all, named after the service, as long as they took."""
    spans = assembled(
        [span(1, attributes=CHAT, start_ms=10, end_ms=20)],
        [span(2, attributes=CHAT, start_ms=0, end_ms=50)],
    )
    (root,) = (found for found in spans.values() if found["kind"] == "agent")
    assert (root["name"], root["role"], root["evidence"]) == (
        "checkout",
        "orchestrator",
        "inferred",
    )
    calls = [found for found in spans.values() if found["kind"] == "llm"]
    assert {call["parent_id"] for call in calls} == {root["span_id"]}
    assert {call["agent_name"] for call in calls} == {"checkout"}
    assert root["duration_ms"] == 50


def test_several_top_level_agents_have_one_root() -> None:
    """The first one is the root; what comes beside it hangs on it."""
    spans = assembled([span(1, attributes=agent("a"))], [span(2, attributes=agent("b"))])
    assert [s["span_id"] for s in spans.values() if s["parent_id"] is None] == [span_id(1)]
    assert spans[span_id(2)]["role"] == "agent"


def test_a_trace_of_something_else_is_left_alone() -> None:
    """Web requests without any call are no agents."""
    spans = assembled([span(1, "GET /"), span(2, "SELECT", 1)], settled=True)
    assert {found["kind"] for found in spans.values()} == {"other"}


def test_a_root_that_came_before_its_calls_becomes_an_agent_with_the_first() -> None:
    """The web request turns out to be a program of agents."""
    spans = assembled([span(1, "POST /chat")], [span(2, parent=1, attributes=CHAT)])
    root = spans[span_id(1)]
    assert (root["kind"], root["role"], root["evidence"]) == ("agent", "orchestrator", "inferred")
    assert spans[span_id(2)]["agent_name"] == "POST /chat"


def test_spans_whose_parent_never_came_hang_on_the_root() -> None:
    """A killed program sends no root; a caller's span may be nobody's to record."""
    batch = [
        span(2, "boss", 1, attributes=agent("boss")),
        span(3, "chat", 2, attributes=CHAT),
        span(9, "chat", 8, attributes=CHAT, start_ms=5),
    ]
    assert assembled(batch)[span_id(2)]["parent_id"] == span_id(1)
    spans = assembled(batch, settled=True)
    (root,) = (found for found in spans.values() if found["parent_id"] is None)
    assert (root["name"], root["role"], root["evidence"]) == (
        "checkout",
        "orchestrator",
        "inferred",
    )
    assert spans[span_id(2)]["parent_id"] == spans[span_id(9)]["parent_id"] == root["span_id"]
    assert spans[span_id(2)]["role"] == "agent"
    assert spans[span_id(9)]["agent_name"] == "checkout"


def test_a_parent_that_comes_late_gets_its_children_back() -> None:
    """Long runs send their root minutes after the first calls."""
    assembly = Assembly()
    lines = b""

    def add(*spans: dict[str, Any]) -> None:
        nonlocal lines
        found = decode(as_json(*spans), "application/json").spans
        events = assembly.add(events_of(found), now_s=0.0)
        lines += b"".join(map(encode_event, events))

    add(span(2, "boss", 1, attributes=agent("boss")), span(3, "chat", 2, attributes=CHAT))
    lines += b"".join(map(encode_event, assembly.settle(now_s=ORPHAN_AFTER_S + 1)))
    add(span(1, "main", attributes=agent("main")))
    folded = fold_events(decode_events(lines, "segment"))
    spans = {found["span_id"]: found for found in folded.values()}
    assert [s["role"] for s in spans.values() if s["parent_id"] is None] == ["orchestrator"]
    assert (spans[span_id(2)]["parent_id"], spans[span_id(2)]["role"]) == (span_id(1), "agent")


def test_one_call_told_twice_counts_once() -> None:
    """The copy that tells less names the other one, by the id of the answer or by nesting."""
    named = usage(120, gen_ai__response__id="chatcmpl-1")
    both = {**named, "gen_ai.input.messages": '[{"role":"user","content":"hi"}]'}
    spans = assembled([span(1, attributes=named)], [span(2, attributes=both, start_ms=5)])
    assert spans[span_id(1)]["duplicate_of"] == span_id(2)
    assert spans[span_id(2)]["duplicate_of"] is None
    nested = assembled([span(2, parent=1, attributes=usage(7))], [span(1, attributes=usage(7))])
    assert nested[span_id(2)]["duplicate_of"] == span_id(1)


def test_two_calls_are_not_taken_for_one() -> None:
    """A replay repeats the id later; a call around two others is none of them."""
    named = usage(120, gen_ai__response__id="chatcmpl-1")
    later = span(2, attributes=named, start_ms=500, end_ms=600)
    retries = [
        span(3, attributes=usage(7)),
        span(4, parent=3, attributes=usage(7)),
        span(5, parent=3, attributes=usage(7)),
    ]
    spans = assembled([span(1, attributes=named), later], retries)
    assert {found["duplicate_of"] for found in spans.values()} == {None}


def test_spans_of_a_recorded_program_join_its_trace() -> None:
    """The relay's calls and the program's spans are one trace with one root, each call once."""
    relay = Relay("run-1", "relay-root", {span_id(4): "exchange-1"})
    spans = assembled(
        [
            span(4, "POST", 3),  # the HTTP client's span, whose id `traceparent` told the relay
            span(3, "chat", 2, attributes=CHAT),
            span(2, "boss", attributes=agent("boss")),
        ],
        recorded=relay,
    )
    assert {found["trace_id"] for found in spans.values()} == {"run-1"}
    assert (spans[span_id(2)]["parent_id"], spans[span_id(2)]["role"]) == ("relay-root", "agent")
    assert spans[span_id(3)]["duplicate_of"] == "exchange-1"


def test_a_loop_of_parents_does_no_harm() -> None:
    """Ids are what a sender says; the tree may be none."""
    loop = [span(1, parent=2, attributes=CHAT), span(2, parent=1, attributes=CHAT)]
    assert len(assembled(loop, settled=True)) == 2
