"""Spans of every convention as columns, by the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.otlp_bodies import START_NS, as_json, span, span_id
from tracelake.otlp import decode, events_of
from tracelake.otlp.conventions import FIELDS, FIELDS_OF
from tracelake.otlp.kinds import KIND_RULES
from tracelake.storage.codec import encode_event
from tracelake.wire import conversation, response_turn


def mapped(name: str = "a span", *, scope: str = "tests", **more: Any) -> dict[str, Any]:
    """The event of one span with these attributes."""
    batch = decode(as_json(span(1, name, **more), scope=scope), "application/json")
    (event,) = events_of(batch.spans)
    encode_event(event)
    return event


GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.response.model": "gpt-4.1-2025-04-14",
    "gen_ai.request.temperature": 0.1,
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 17,
    "gen_ai.usage.cache_read.input_tokens": 64,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be terse."}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "weather?"}]},
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "c0", "response": {"t": 21}}],
            },
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "Let me look."},
                    {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
                ],
            }
        ]
    ),
    "gen_ai.tool.definitions": json.dumps([{"name": "look", "description": "d"}]),
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4.1-2025-04-14",
    "llm.invocation_parameters": json.dumps({"model": "gpt-4.1", "temperature": 0.1}),
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be terse.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "weather?",
    "llm.input_messages.2.message.role": "tool",
    "llm.input_messages.2.message.content": '{"t":21}',
    "llm.input_messages.2.message.tool_call_id": "c0",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Let me look.",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"a":1}',
    "llm.tools.0.tool.json_schema": json.dumps(
        {"type": "function", "function": {"name": "look", "description": "d"}}
    ),
    "llm.token_count.prompt": 120,
    "llm.token_count.completion": 17,
    "llm.token_count.prompt_details.cache_read": 64,
    "llm.finish_reason": "tool_calls",
    "input.value": "what the messages say too",
    "output.value": '{"id":"chatcmpl-0123456789"}',
}
TRACELOOP_OLD = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.response.model": "gpt-4.1-2025-04-14",
    "gen_ai.request.temperature": 0.1,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be terse.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "weather?",
    "gen_ai.prompt.2.role": "tool",
    "gen_ai.prompt.2.content": '{"t":21}',
    "gen_ai.prompt.2.tool_call_id": "c0",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Let me look.",
    "gen_ai.completion.0.finish_reason": "tool_calls",
    "gen_ai.completion.0.tool_calls.0.id": "c1",
    "gen_ai.completion.0.tool_calls.0.name": "look",
    "gen_ai.completion.0.tool_calls.0.arguments": '{"a":1}',
    "gen_ai.usage.prompt_tokens": 120,
    "gen_ai.usage.completion_tokens": 17,
    "gen_ai.usage.cache_read_input_tokens": 64,
    "llm.request.functions.0.name": "look",
    "llm.request.functions.0.description": "d",
}


@pytest.mark.parametrize("attributes", [GENAI, OPENINFERENCE, TRACELOOP_OLD])
def test_a_model_call_reads_the_same_in_every_convention(attributes: dict[str, Any]) -> None:
    """Conversation, tools, parameters, usage and cost of one call, whoever told of it."""
    event = mapped(attributes=attributes)
    data = event["data"]
    assert event["event_type"] == "llm_call"
    assert (data["kind"], data["provider"], data["model"]) == (
        "llm",
        "openai",
        "gpt-4.1-2025-04-14",
    )
    assert data["system"] == "Be terse."
    assert data["api"] == "chat"
    roles = [turn.role for turn in conversation("chat", data["messages"], data["system"])]
    assert roles == ["system", "user", "user"]
    turns = conversation("chat", data["messages"])
    assert (turns[2].parts[0].kind, turns[2].parts[0].id) == ("tool_result", "c0")
    assert turns[2].parts[0].text == '{"t":21}'
    assert data["response"] == "Let me look."
    said = response_turn("chat", data["response_blocks"]).parts
    assert [part.kind for part in said] == ["text", "tool_call"]
    assert (said[1].name, said[1].id, said[1].arguments) == ("look", "c1", '{"a":1}')
    assert data["tools"] == [{"type": "function", "function": {"name": "look", "description": "d"}}]
    assert data["request"] == {"temperature": 0.1}
    assert data["finish_reason"] == "tool_calls"
    assert (data["tokens_input"], data["tokens_output"]) == (120, 17)
    assert data["tokens_cache_read"] == 64
    assert data["tokens_cache_write"] is None
    assert data["cost_usd"] == pytest.approx(0.00028)
    assert data["source"] == "otlp"
    assert data["evidence"] == "recorded"


def test_nothing_unknown_is_lost_and_nothing_is_said_twice() -> None:
    """What no column takes stays an attribute; messages are not kept in both places."""
    rest = mapped(attributes={**OPENINFERENCE, "user.id": "u1"})["data"]["attributes"]
    assert rest["user.id"] == "u1"
    assert rest["scope"] == "tests"
    assert rest["resource"] == {"service.name": "checkout"}
    assert rest["response_id"] == "chatcmpl-0123456789"
    assert not [key for key in rest if key.startswith("llm.input_messages")]
    assert "input.value" not in rest


def test_times_are_kept_to_the_microsecond() -> None:
    """A span starts and ends when it says."""
    event = mapped(start_ms=1.5, end_ms=3.25)
    start = datetime.fromtimestamp(START_NS // 10**9, UTC)
    assert event["data"]["start_time"] == start.replace(microsecond=1500)
    assert event["data"]["end_time"] == start.replace(microsecond=3250)


@pytest.mark.parametrize(
    ("attributes", "kind", "name"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Boss"}, "agent", "Boss"),
        ({"openinference.span.kind": "AGENT", "agent.name": "Boss"}, "agent", "Boss"),
        ({"traceloop.span.kind": "agent", "traceloop.entity.name": "Boss"}, "agent", "Boss"),
        ({"langfuse.observation.type": "agent"}, "agent", "run"),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}, "tool", "look"),
        ({"openinference.span.kind": "TOOL", "tool.name": "look"}, "tool", "look"),
        ({"traceloop.span.kind": "tool", "traceloop.entity.name": "look"}, "tool", "look"),
        ({"openinference.span.kind": "RETRIEVER"}, "retriever", "run"),
        ({"openinference.span.kind": "GUARDRAIL"}, "chain", "run"),
        ({"traceloop.span.kind": "workflow"}, "chain", "run"),
        ({"gen_ai.operation.name": "handoff"}, "chain", "run"),
        ({"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"}, "embedding", "e"),
        ({"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m"}, "llm", "m"),
        ({"gen_ai.prompt.0.content": "hi"}, "llm", "run"),
        ({"http.request.method": "GET"}, "other", "run"),
        ({"span.type": "tool"}, "other", "run"),
    ],
)
def test_the_kind_is_told_by_the_first_convention_that_knows_it(
    attributes: dict[str, Any], kind: str, name: str
) -> None:
    """Agents, tools, retrievers, chains and calls; what nobody knows is `other`."""
    data = mapped("run", attributes=attributes)["data"]
    assert (data["kind"], data["name"]) == (kind, name)


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "look",
            "gen_ai.tool.call.id": "c1",
            "gen_ai.tool.call.arguments": '{"a": 1}',
            "gen_ai.tool.call.result": "found",
        },
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "look",
            "tool_call.id": "c1",
            "input.value": '{"a": 1}',
            "output.value": "found",
        },
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "look",
            "tool_call_id": "c1",
            "traceloop.entity.input": '{"a": 1}',
            "traceloop.entity.output": "found",
        },
    ],
)
def test_a_tool_call_has_its_arguments_and_result(attributes: dict[str, Any]) -> None:
    """Whichever convention it is told in."""
    data = mapped(attributes=attributes)["data"]
    told = tuple(data[key] for key in ("tool_name", "tool_call_id", "parameters", "result"))
    assert told == ("look", "c1", {"a": 1}, "found")


def test_unknown_usage_stays_unknown() -> None:
    """A stream without usage has no tokens and no cost, and says why."""
    data = mapped(attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1"})
    data = data["data"]
    assert data["tokens_input"] is None
    assert data["cost_usd"] is None
    assert data["cost_note"] == "the provider reported no usage"


def test_a_recorded_cost_goes_before_the_price_list() -> None:
    """Who billed the call knows better."""
    data = mapped(attributes={**GENAI, "operation.cost": 0.5})["data"]
    assert (data["cost_usd"], data["cost_note"]) == (0.5, "as reported with the span")


def test_input_of_claude_code_includes_what_came_from_the_cache() -> None:
    """Its own count leaves it out, ours never does."""
    attributes = {"span.type": "llm_request", "model": "claude-sonnet-4-5", "input_tokens": 56}
    attributes |= {"cache_read_tokens": 64, "cache_creation_tokens": 10, "output_tokens": 1}
    data = mapped(scope="com.anthropic.claude_code.tracing", attributes=attributes)["data"]
    assert (data["kind"], data["tokens_input"]) == ("llm", 130)
    assert data["provider"] == "anthropic"


def test_errors_are_told_and_control_flow_is_none() -> None:
    """LangGraph steers itself by exceptions; those are no errors."""
    failed = {"code": 2, "message": "rate limited"}
    raised = [{"name": "exception", "attributes": []}]
    data = mapped(status=failed, events=raised, attributes={"error.type": "RateLimit"})["data"]
    assert (data["status"], data["error_type"], data["error"]) == (
        "error",
        "RateLimit",
        "rate limited",
    )
    steered = {"code": 2, "message": "ParentCommand(Command(goto='b'))"}
    data = mapped(status=steered)["data"]
    assert (data["status"], data.get("error")) == ("ok", None)
    assert "ParentCommand" in data["attributes"]["control_flow"]


def test_messages_may_come_as_span_events() -> None:
    """The older form of the conventions: one event a message, the answer as a choice."""
    events = [
        {"name": "gen_ai.user.message", "attributes": _pairs({"content": "hi"})},
        {
            "name": "gen_ai.choice",
            "attributes": _pairs({"finish_reason": "stop", "message": '{"content":"hello"}'}),
        },
    ]
    data = mapped(events=events, attributes={"gen_ai.operation.name": "chat"})["data"]
    assert data["messages"] == [{"role": "user", "content": "hi"}]
    assert data["response"] == "hello"


def test_gaps_in_numbered_messages_are_closed() -> None:
    """An exporter with an attribute limit drops the oldest; the others are still read in order."""
    attributes = {"openinference.span.kind": "LLM"}
    for number in (142, 143, 1000):
        attributes[f"llm.input_messages.{number}.message.role"] = "user"
        attributes[f"llm.input_messages.{number}.message.content"] = str(number)
    data = mapped(attributes=attributes, droppedAttributesCount=433)["data"]
    assert [message["content"] for message in data["messages"]] == ["142", "143", "1000"]
    assert data["attributes"]["dropped_attributes"] == 433


def test_a_span_that_only_announces_another_one_is_left_out() -> None:
    """Logfire sends a pending span, then the real one."""
    pending = span(1, attributes={"logfire.span_type": "pending_span"})
    batch = decode(as_json(pending, span(2)), "application/json")
    assert [event["span_id"] for event in events_of(batch.spans)] == [span_id(2)]


def test_the_tables_name_only_what_exists() -> None:
    """A field that a kind reads is in the table of fields, and no attribute stands twice in one."""
    for fields in FIELDS_OF.values():
        assert fields <= set(FIELDS)
    for name, keys in FIELDS.items():
        assert len(set(keys)) == len(keys), name
    assert all(rule.kinds or rule.otherwise for rule in KIND_RULES)


def _pairs(attributes: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
