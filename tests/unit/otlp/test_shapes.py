"""Conversations as frameworks write them down, read as ones of the chat format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.otlp_bodies import as_json, span
from tracelake.otlp import decode, events_of
from tracelake.wire import conversation, response_turn


def lc(kind: str, **kwargs: Any) -> dict[str, Any]:
    """A message as LangChain serialises it."""
    return {"lc": 1, "type": "constructor", "id": ["langchain", "messages", kind], "kwargs": kwargs}


LANGSMITH = {
    "langsmith.span.kind": "llm",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.prompt": json.dumps(
        {
            "messages": [
                [
                    lc("SystemMessage", content="Be terse.", type="system"),
                    lc("HumanMessage", content="weather?", type="human"),
                    lc("ToolMessage", content="21", type="tool", tool_call_id="c0"),
                ]
            ]
        }
    ),
    "gen_ai.completion": json.dumps(
        {
            "generations": [
                [
                    {
                        "text": "Let me look.",
                        "type": "ChatGeneration",
                        "message": lc(
                            "AIMessage",
                            content="Let me look.",
                            type="ai",
                            tool_calls=[
                                {"name": "look", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
                            ],
                        ),
                    }
                ]
            ],
            "llm_output": {"model_name": "gpt-4.1"},
        }
    ),
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 17,
}
VERCEL = {
    "operation.name": "ai.generateText.doGenerate weather",
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-4.1",
    "ai.model.provider": "openai.responses",
    "ai.prompt.messages": json.dumps(
        [
            {"role": "system", "content": "Be terse."},
            {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "c0",
                        "toolName": "look",
                        "output": {"type": "text", "value": "21"},
                    }
                ],
            },
        ]
    ),
    "ai.prompt.tools": ['{"type":"function","name":"look","inputSchema":{"type":"object"}}'],
    "ai.response.text": "Let me look.",
    "ai.response.toolCalls": json.dumps(
        [{"toolCallId": "c1", "toolName": "look", "input": {"a": 1}}]
    ),
    "ai.response.finishReason": "tool-calls",
    "ai.usage.inputTokens": 120,
    "ai.usage.outputTokens": 17,
    "ai.usage.cachedInputTokens": 64,
    "ai.usage.reasoningTokens": 5,
}
PYDANTIC_AI_OLD = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 17,
    "events": json.dumps(
        [
            {"event.name": "gen_ai.system.message", "content": "Be terse.", "role": "system"},
            {"event.name": "gen_ai.user.message", "content": "weather?", "role": "user"},
            {"event.name": "gen_ai.tool.message", "content": "21", "role": "tool", "id": "c0"},
            {
                "event.name": "gen_ai.choice",
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me look.",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "look", "arguments": {"a": 1}},
                        }
                    ],
                },
            },
        ]
    ),
}
MLFLOW = {
    "mlflow.spanType": '"CHAT_MODEL"',
    "gen_ai.request.model": "gpt-4.1",
    "mlflow.spanInputs": json.dumps(
        {
            "model": "gpt-4.1",
            "messages": [
                {"role": "system", "content": "Be terse."},
                {"role": "user", "content": "weather?"},
                {"role": "tool", "content": "21", "tool_call_id": "c0"},
            ],
        }
    ),
    "mlflow.spanOutputs": json.dumps(
        {
            "id": "chatcmpl-0123456789",
            "choices": [
                {
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": "Let me look.",
                        "tool_calls": [
                            {
                                "id": "c1",
                                "type": "function",
                                "function": {"name": "look", "arguments": '{"a":1}'},
                            }
                        ],
                    },
                }
            ],
        }
    ),
    "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 120, "output_tokens": 17}),
}
ADK = {
    "gen_ai.system": "gcp.vertex.agent",
    "gen_ai.request.model": "gpt-4.1",
    "gcp.vertex.agent.llm_request": json.dumps(
        {
            "model": "gpt-4.1",
            "contents": [
                {"role": "system", "parts": [{"text": "Be terse."}]},
                {"role": "user", "parts": [{"text": "weather?"}]},
                {
                    "role": "user",
                    "parts": [
                        {"function_response": {"id": "c0", "name": "look", "response": "21"}}
                    ],
                },
            ],
        }
    ),
    "gcp.vertex.agent.llm_response": json.dumps(
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Let me look."},
                    {"function_call": {"id": "c1", "name": "look", "args": {"a": 1}}},
                ],
            }
        }
    ),
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 17,
}


def read(attributes: dict[str, Any]) -> dict[str, Any]:
    """The data of the event of one span with these attributes."""
    batch = decode(as_json(span(1, "a span", attributes=attributes)), "application/json")
    (event,) = events_of(batch.spans)
    return event["data"]


@pytest.mark.parametrize(
    "attributes",
    [LANGSMITH, VERCEL, PYDANTIC_AI_OLD, MLFLOW, ADK],
    ids=["langsmith", "vercel", "pydantic-ai", "mlflow", "adk"],
)
def test_a_call_reads_the_same_from_every_framework(attributes: dict[str, Any]) -> None:
    """Prompt, tool result, answer, tool call and usage, whatever the messages are written as."""
    data = read(attributes)
    assert data["kind"] == "llm"
    assert data["model"] == "gpt-4.1"
    assert (data["tokens_input"], data["tokens_output"]) == (120, 17)
    assert data["system"] == "Be terse."
    told = [
        (turn.role, part.kind, part.id, part.text)
        for turn in conversation("chat", data["messages"])
        for part in turn.parts
    ]
    assert told == [
        ("system", "text", None, "Be terse."),
        ("user", "text", None, "weather?"),
        ("user", "tool_result", "c0", "21"),
    ]
    assert data["response"] == "Let me look."
    text, call = response_turn("chat", data["response_blocks"]).parts
    assert text.text == "Let me look."
    assert (call.kind, call.id, call.name, call.arguments) == (
        "tool_call",
        "c1",
        "look",
        '{"a":1}',
    )


def test_what_vercel_tells_beside() -> None:
    """Tools, cached and reasoning tokens, and why the answer ended."""
    data = read(VERCEL)
    assert data["tools"] == [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    ]
    assert (data["tokens_cache_read"], data["tokens_reasoning"]) == (64, 5)
    assert data["finish_reason"] == "tool-calls"


def test_thoughts_and_calls_of_a_vercel_message_stay_apart() -> None:
    """An earlier answer of the assistant keeps its reasoning, its text and its call."""
    parts = [
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "So."},
        {"type": "tool-call", "toolCallId": "c9", "toolName": "look", "args": {"b": 2}},
    ]
    messages = json.dumps([{"role": "assistant", "content": parts}])
    (turn,) = conversation("chat", read({**VERCEL, "ai.prompt.messages": messages})["messages"])
    assert [(part.kind, part.text or part.arguments) for part in turn.parts] == [
        ("thinking", "hm"),
        ("text", "So."),
        ("tool_call", '{"b":2}'),
    ]


def test_an_attribute_called_events_that_holds_no_messages_is_kept() -> None:
    """Somebody else's `events` stay an attribute."""
    data = read({**PYDANTIC_AI_OLD, "events": "[1, 2]"})
    assert data["attributes"]["events"] == [1, 2]
    assert "messages" not in data


def test_langfuse_tells_cost_and_details_of_usage() -> None:
    """Cached tokens and the total cost come from its objects."""
    data = read(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": json.dumps(
                {"input": 10, "output": 2, "input_cached_tokens": 4, "output_reasoning": 1}
            ),
            "langfuse.observation.cost_details": json.dumps({"input": 0.1, "total": 0.25}),
        }
    )
    assert (data["tokens_input"], data["tokens_cache_read"], data["tokens_reasoning"]) == (10, 4, 1)
    assert data["cost_usd"] == 0.25
