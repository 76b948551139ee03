"""Calls of one wire format as calls of another."""

from __future__ import annotations

from typing import Any

import pytest

from tracelake.wire.conversion import convert

PNG = "iVBORw0KGgo="
PDF = "JVBERi0="


def test_the_same_format_gives_the_body_back() -> None:
    """Nothing is rewritten where nothing is to be converted."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert convert(body, "chat", "chat").body is body


def test_parallel_calls_and_their_results_take_each_formats_shape() -> None:
    """One message with two calls and one with two results become what the others want."""
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {"n": n}} for n in (1, 2)]
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
        {"type": "tool_result", "tool_use_id": "t2", "content": "two", "is_error": True},
    ]
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *calls]},
            {"role": "user", "content": [*results, {"type": "text", "text": "And now?"}]},
        ],
    }
    chat = convert(body, "messages", "chat")
    roles = [message["role"] for message in chat.body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in chat.body["messages"][1]["tool_calls"]] == ["t1", "t2"]
    assert chat.body["max_completion_tokens"] == 9
    assert chat.lost == ("error marks of tool results",)
    responses = convert(body, "messages", "responses").body
    kinds = [item.get("type", item.get("role")) for item in responses["input"]]
    output = "function_call_output"
    assert kinds == ["user", "assistant", "function_call", "function_call", output, output, "user"]
    back = convert(responses, "responses", "messages").body
    assert [message["role"] for message in back["messages"]] == [
        "user",
        "assistant",
        "user",
        "user",
    ]
    assert [block["type"] for block in back["messages"][2]["content"]] == ["tool_result"] * 2


def test_an_image_in_a_result_moves_where_a_result_holds_text_only() -> None:
    """Chat has no images in results: they follow all results of the round, and it is said."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    use = {"type": "tool_use", "name": "shot", "input": {}}
    body = {
        "messages": [
            {"role": "assistant", "content": [{**use, "id": "a"}, {**use, "id": "b"}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [image]},
                    {"type": "tool_result", "tool_use_id": "b", "content": "text"},
                ],
            },
        ]
    }
    chat = convert(body, "messages", "chat")
    assert [message["role"] for message in chat.body["messages"][1:]] == ["tool", "tool", "user"]
    url = chat.body["messages"][-1]["content"][0]["image_url"]["url"]
    assert url == f"data:image/png;base64,{PNG}"
    assert "moved" in chat.changed[0]
    responses = convert(body, "messages", "responses").body
    assert responses["input"][2]["output"][0]["type"] == "input_image"


@pytest.mark.parametrize(
    ("wanted", "kind"), [("chat", "file"), ("responses", "input_file"), ("messages", "document")]
)
def test_documents_go_along(wanted: Any, kind: str) -> None:
    """A PDF stays a PDF with its name."""
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    document = {"type": "document", "source": source, "title": "a.pdf"}
    messages = {"messages": [{"role": "user", "content": [document]}]}
    there = convert(messages, "messages", wanted).body
    said = there.get("messages") or there["input"]
    assert said[0]["content"][0]["type"] == kind
    back = convert(there, wanted, "messages").body
    assert back["messages"][0]["content"] == [document]


def test_a_text_file_in_a_tool_result_stays_there() -> None:
    """Where results are text alone, the text of a file that a tool gave is text of its result."""
    file = {"type": "document", "source": {"type": "text", "data": "page"}}
    body = {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f"}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": [file]}],
            },
        ]
    }
    result = convert(body, "messages", "chat").body["messages"][-1]
    assert result == {"role": "tool", "tool_call_id": "a", "content": "page"}


def test_ids_that_a_provider_refuses_are_renamed_in_call_and_result() -> None:
    """Ids with dots and colons, missing ones and equal ones: each result still finds its call."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            {"role": "assistant", "tool_calls": [{**call, "id": "functions.f:0"}]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
            {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "y"},
        ]
    }
    said = convert(body, "chat", "messages").body["messages"]
    assert said[0]["content"][0]["id"] == said[1]["content"][0]["tool_use_id"] == "functions_f_0"
    assert said[2]["content"][0]["id"] == said[3]["content"][0]["tool_use_id"]


def test_a_result_without_its_call_becomes_text() -> None:
    """The earlier turns that a provider kept are not here; the result is still told."""
    output = {"type": "function_call_output", "call_id": "gone", "output": "42"}
    body = {"model": "m", "previous_response_id": "r", "input": [output]}
    converted = convert(body, "responses", "chat")
    assert converted.body["messages"] == [{"role": "user", "content": "42"}]
    assert converted.lost == ("parameters: previous_response_id",)
    assert "without their call" in converted.changed[0]


def test_tools_and_their_choice_follow() -> None:
    """A function tool keeps its schema and strictness; the choice and parallelism are rephrased."""
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    body: dict[str, Any] = {
        "tools": [
            {"name": "grep", "description": "Find.", "input_schema": schema, "strict": True},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "grep", "disable_parallel_tool_use": True},
        "messages": [{"role": "user", "content": "go"}],
    }
    chat = convert(body, "messages", "chat")
    function = {"name": "grep", "description": "Find.", "parameters": schema, "strict": True}
    assert chat.body["tools"] == [{"type": "function", "function": function}]
    assert chat.body["tool_choice"] == {"type": "function", "function": {"name": "grep"}}
    assert chat.body["parallel_tool_calls"] is False
    assert chat.lost == ("tools that the provider runs, with their calls and results: web_search",)
    responses = convert(chat.body, "chat", "responses").body
    assert responses["tools"][0]["strict"] is True
    back = convert(responses, "responses", "messages").body
    assert (back["tools"], back["tool_choice"]) == (body["tools"][:1], body["tool_choice"])


def test_a_choice_of_a_tool_that_stayed_behind_is_dropped() -> None:
    """No provider takes a choice of a tool that it was not given."""
    body = {
        "tools": [{"type": "web_search", "name": "web_search"}],
        "tool_choice": {"type": "tool", "name": "web_search"},
        "messages": [{"role": "user", "content": "go"}],
    }
    written = convert(body, "messages", "chat").body
    assert not written.keys() & {"tools", "tool_choice"}


def test_parameters_are_renamed_limited_and_named_where_lost() -> None:
    """The same setting under its other name; what one format lacks is told by name."""
    body = {
        "model": "gpt",
        "max_completion_tokens": 50,
        "temperature": 1.7,
        "stop": "END",
        "seed": 1,
        "n": 1,
        "user": "u",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
        },
        "messages": [{"role": "user", "content": "go"}],
    }
    converted = convert(body, "chat", "messages")
    written = {key: v for key, v in converted.body.items() if key != "messages"}
    assert written == {
        "model": "gpt",
        "max_tokens": 50,
        "temperature": 1.0,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    assert converted.lost == ("parameters: seed",)
    assert "lowered" in converted.changed[0]
    responses = convert(body, "chat", "responses")
    assert responses.body["text"]["format"]["name"] == "a"
    assert responses.lost == ("parameters: seed, stop sequences",)


def test_a_later_system_message_keeps_its_place() -> None:
    """Only the leading ones are the system prompt."""
    said = [
        {"role": "developer", "content": "A"},
        {"role": "system", "content": "B"},
        {"role": "user", "content": "go"},
        {"role": "system", "content": "C"},
    ]
    written = convert({"messages": said}, "chat", "messages").body
    assert written["system"] == "A\n\nB"
    assert [message["role"] for message in written["messages"]] == ["user", "system"]
    assert convert({"messages": said}, "chat", "responses").body["instructions"] == "A\n\nB"


@pytest.mark.parametrize("wanted", ["messages", "responses"])
@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": None},
        {"role": "assistant", "content": [None, 3, {"type": "what"}]},
        {"role": "tool", "content": {"a": 1}},
        {"tool_calls": [{"function": {"name": "f", "arguments": "{oops"}}]},
        "text",
    ],
    ids=str,
)
def test_odd_messages_break_nothing(message: Any, wanted: Any) -> None:
    """What nobody validated is carried over as far as it can be, never an error."""
    body = {"messages": [{"role": "user", "content": "hi"}, message], "tools": [None, {}]}
    written = convert(body, "chat", wanted).body
    said = written.get("messages") or written["input"]
    assert said[0]["content"] == "hi"
