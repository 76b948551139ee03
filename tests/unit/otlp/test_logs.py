"""Log records that tell of calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.otlp_bodies import START_NS, TRACE, as_json, pairs, span, span_id
from tracelake.otlp import Assembly, call_spans, decode, decode_logs, events_of, message_events
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import fold_events

if TYPE_CHECKING:
    from tracelake.otlp.spans import LogRecord


def records(*given: dict[str, Any], scope: str = "tests") -> list[LogRecord]:
    """Log records of one request; `attributes` by name."""
    document = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "scope": {"name": scope},
                        "logRecords": [
                            {
                                "timeUnixNano": str(START_NS),
                                **record,
                                "attributes": pairs(record.get("attributes", {})),
                            }
                            for record in given
                        ],
                    }
                ]
            }
        ]
    }
    return decode_logs(json.dumps(document).encode(), "application/json")


def test_messages_that_come_as_logs_join_their_span() -> None:
    """The conversation comes apart from the call, before or after it."""
    details = {
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"yo"}]}]',
    }
    logs = records(
        {
            "eventName": "gen_ai.client.inference.operation.details",
            "traceId": TRACE,
            "spanId": span_id(1),
            "attributes": details,
        }
    )
    call = span(1, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    spans = decode(as_json(call), "application/json").spans
    events = message_events(logs, place=str) + Assembly().add(events_of(spans), now_s=0.0)
    lines = b"".join(map(encode_event, events))
    folded = fold_events(decode_events(lines, "segment"))
    found = folded[(TRACE, span_id(1))]
    assert json.loads(found["messages"]) == [{"role": "user", "content": "hi"}]
    assert (found["response"], found["model"], found["status"]) == ("yo", "m", "ok")


def test_older_logs_hold_one_message_each() -> None:
    """Role by the name of the record, content in its body."""
    logs = records(
        {"attributes": {"event.name": "gen_ai.user.message"}, "body": _body(content="hi")},
        {
            "attributes": {"event.name": "gen_ai.choice"},
            "body": _body(finish_reason="stop", message={"content": "yo"}),
        },
    )
    for record in logs:
        record.trace_id, record.span_id = TRACE, span_id(1)
    (event,) = message_events(logs, place=str)
    assert event["data"]["messages"] == [{"role": "user", "content": "hi"}]
    assert event["data"]["response"] == "yo"


def _body(**values: Any) -> dict[str, Any]:
    return {"kvlistValue": {"values": pairs(values)}}


def test_claude_code_without_traces_gives_one_trace_a_session() -> None:
    """Its log of calls and tools becomes spans under one inferred agent."""
    common = {"session.id": "s-1", "model": "claude-sonnet-4-5", "duration_ms": 94}
    logs = records(
        {
            "attributes": {
                **common,
                "event.name": "api_request",
                "event.sequence": 1,
                "input_tokens": 56,
                "output_tokens": 25,
                "cache_read_tokens": 64,
                "cost_usd": 0.1,
            }
        },
        {
            "attributes": {
                **common,
                "event.name": "tool_result",
                "event.sequence": 2,
                "tool_name": "Bash",
                "success": "false",
            }
        },
        {"attributes": {**common, "event.name": "user_prompt", "event.sequence": 3}},
        scope="com.anthropic.claude_code.events",
    )
    spans = call_spans(logs, is_recorded=lambda _session: False)
    events = Assembly().add(events_of(spans), now_s=0.0)
    kinds = {event["data"].get("kind"): event for event in events}
    assert set(kinds) == {"llm", "tool", "agent"}
    assert kinds["llm"]["data"]["tokens_input"] == 120
    assert kinds["llm"]["data"]["session_id"] == "s-1"
    assert kinds["tool"]["data"]["status"] == "error"
    assert len({event["trace_id"] for event in events}) == 1
    assert call_spans(logs, is_recorded=lambda session: session == "s-1") == []


def test_records_of_a_span_are_no_calls_of_their_own() -> None:
    """With traces on, the spans tell all of it."""
    attributes = {"session.id": "s", "event.name": "api_request", "event.sequence": 1}
    logs = records(
        {"traceId": TRACE, "spanId": span_id(1), "attributes": attributes},
        scope="com.anthropic.claude_code.events",
    )
    assert call_spans(logs, is_recorded=lambda _session: False) == []
