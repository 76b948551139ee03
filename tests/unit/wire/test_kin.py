"""What compatible servers and clouds do differently, one by one."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from tests.unit.wire.exchanges import CHAT, MESSAGES, RESPONSES, answered, asked, exchange, sse
from tracelake.wire import read_request

STREAM = {"response_headers": (("content-type", "text/event-stream"),)}
BODY = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "q"}]}
START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1},
    },
}
TEXT = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
]


def ended(**usage: Any) -> list[dict[str, Any]]:
    """The end of a message."""
    return [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], **more}


def calls(*pieces: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Name and arguments of the tool calls that the pieces of a stream make."""
    chunks = [chunk({"tool_calls": [piece]}) for piece in pieces]
    response = answered(CHAT, sse(*chunks, chunk({}, "tool_calls"), "[DONE]"), **STREAM)
    return [(atom.name, atom.arguments) for atom in response.atoms]


def piece(name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A piece of a tool call."""
    return {"function": {"name": name, "arguments": arguments}, **more}


TWO = [("f", '{"x":1}'), ("g", '{"y":1}')]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([piece("f", '{"x":1}', index=0, id=""), piece("g", '{"y":1}', index=0, id="")], TWO),
        ([piece("f", '{"x":1}'), piece("g", '{"y":1}')], TWO),
        ([piece("f", '{"x"', index=0, id="a"), piece("f", ":1}", index=0, id="")], TWO[:1]),
        ([piece("f", '{"x"', index=0, id="a"), piece("", ":1}", index=0)], TWO[:1]),
        ([piece("f", "", index=0, id="a"), piece("f", '{"x":1}', index=0)], TWO[:1]),
        ([piece("get_", "", index=0, id="a"), piece("it", "{}", index=0)], [("get_it", "{}")]),
        ([piece("get", "", index=0, id="a"), piece("get_it", "{}", index=0)], [("get_it", "{}")]),
    ],
)
def test_tool_calls_in_odd_pieces(pieces: list[Any], expected: list[Any]) -> None:
    """Calls without ids or index, and names that repeat or come in pieces, are put together."""
    assert calls(*pieces) == expected


def test_custom_tools_are_streamed_too() -> None:
    """The free text for a custom tool is put together as arguments are."""
    assert calls(
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "ab"}},
        {"index": 0, "custom": {"input": "cd"}},
    ) == [("f", "abcd")]


def test_counts_as_text_are_counts() -> None:
    """Token counts that a server sends as text are read."""
    usage = {"prompt_tokens": "12", "completion_tokens": "3"}
    read = answered(CHAT, {"choices": [], "usage": usage}).usage
    assert (read.input, read.output) == (12, 3)


def test_reasoning_beside_the_output_is_paid_for() -> None:
    """Where only the total holds the reasoning, the price holds it, the counts stay as told."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}
    usage |= {"completion_tokens_details": {"reasoning_tokens": 1000}}
    choice = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    answer = {"model": "grok-4", "choices": [choice], "usage": usage}
    apart = answered(CHAT, answer, {"model": "grok-4"}, upstream="xai")
    within = {**answer, "usage": {**usage, "completion_tokens": 1005}}
    together = answered(CHAT, within, {"model": "grok-4"}, upstream="xai")
    assert apart.usage.output == 5
    assert apart.cost_usd == together.cost_usd is not None


def test_a_gateway_that_fails_with_status_200() -> None:
    """`success: false` with errors and no choices is an error."""
    failed = answered(CHAT, {"success": False, "errors": [{"code": 7, "message": "no model"}]})
    assert failed.error == "no model"


def test_counts_of_0_do_not_undo_what_was_told() -> None:
    """A server that repeats its counts as 0 at the end keeps those of the start."""
    usage = {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 7}
    read = answered(MESSAGES, sse(START, *TEXT, *ended(**usage)), BODY, **STREAM).usage
    assert (read.input, read.cache_read, read.output) == (110, 100, 7)


def test_a_cache_that_was_not_used_in_the_end_counts_0() -> None:
    """Counts told anew at the end replace those of the start, also by 0: after a compaction."""
    usage = {"input_tokens": 18, "cache_read_input_tokens": 0, "output_tokens": 7}
    read = answered(MESSAGES, sse(START, *TEXT, *ended(**usage)), BODY, **STREAM).usage
    assert (read.input, read.cache_read, read.output) == (18, 0, 7)


def test_an_error_field_within_a_stream_says_why_it_broke_off() -> None:
    """Servers built on llama.cpp tell an error in a field `error` of its own."""
    error = 'error: {"error": {"message": "failed to decode"}}\n\n'
    response = answered(CHAT, sse(chunk({"content": "It"})) + error.encode(), **STREAM)
    assert (response.text, response.error) == ("It", "failed to decode")


def test_plain_text_as_content() -> None:
    """A compatible server's message whose content is text is read."""
    read = answered(MESSAGES, {"content": "plain", "role": "assistant", "model": "m"}, BODY)
    assert (read.text, read.atoms[0].text) == ("plain", "plain")


def test_other_names_of_the_end_of_a_response() -> None:
    """`response.done` ends a response as `response.completed` does."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    whole = {"id": "r", "status": "completed", "output": [], "usage": usage}
    read = answered(RESPONSES, sse({"type": "response.done", "response": whole}), **STREAM)
    assert (read.usage.input, read.error_type) == (3, None)


def test_items_of_one_place_are_kept_apart() -> None:
    """Reasoning and text that a server gives the same place do not run together."""
    where = {"output_index": 0, "content_index": 0}
    events = [
        {"type": "response.reasoning_text.delta", "item_id": "a", "delta": "hm", **where},
        {"type": "response.output_text.delta", "item_id": "b", "delta": "H", **where},
        {"type": "response.output_text.delta", "item_id": "b", "delta": "i", **where},
    ]
    read = answered(RESPONSES, sse(*events), **STREAM)
    assert [(atom.kind, atom.text) for atom in read.atoms] == [("thinking", "hm"), ("text", "Hi")]


@pytest.mark.parametrize(
    ("path", "provider", "model", "streams"),
    [
        ("/model/us.anthropic.claude-x-v1%3A0/invoke", "aws", "us.anthropic.claude-x-v1:0", False),
        ("/model/anthropic.c/invoke-with-response-stream", "aws", "anthropic.c", True),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-y@1:streamRawPredict",
            "google",
            "claude-y@1",
            True,
        ),
    ],
)
def test_anthropics_format_in_clouds(
    path: str, provider: str, model: str, *, streams: bool
) -> None:
    """Bedrock and Vertex name model and streaming in the path; the body is Anthropic's."""
    body = {"anthropic_version": "x", "messages": BODY["messages"], "max_tokens": 1}
    request = asked(path, body, upstream="anthropic")
    found = (request.api, request.provider, request.model, request.stream)
    assert found == ("messages", provider, model, streams)
    assert request.atoms[0].text == "q"


def aws_message(payload: dict[str, Any], **headers: str) -> bytes:
    """One message of Amazon's event stream."""
    packed = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in ((":" + n.replace("_", "-"), v) for n, v in headers.items())
    )
    packed += b"\x01n\x00" + b"\x01i\x04\x00\x00\x00\x01"  # a flag and a number
    body = json.dumps(payload).encode()
    size = 12 + len(packed) + len(body) + 4
    return struct.pack(">III", size, len(packed), 0) + packed + body + b"\0\0\0\0"


def test_bedrock_streams() -> None:
    """Events in Amazon's binary stream are read, cut off anywhere, and an exception is an error."""
    path = "/model/anthropic.claude-x/invoke-with-response-stream"
    headers = {"response_headers": (("content-type", "application/vnd.amazon.eventstream"),)}
    events = [START, *TEXT, *ended(output_tokens=7)]
    coded = [{"bytes": base64.b64encode(json.dumps(e).encode()).decode()} for e in events]
    body = b"".join(aws_message(event, event_type="chunk") for event in coded)
    whole = answered(path, body, BODY, **headers)
    assert (whole.text, whole.usage.input, whole.usage.output) == ("Hi", 110, 7)
    for end in range(0, len(body), 13):
        answered(path, body[:end], BODY, outcome="upstream_died", **headers)
    thrown = aws_message({"message": "slow down"}, exception_type="throttlingException")
    failed = answered(path, body[: len(body) // 2] + thrown, BODY, **headers)
    assert failed.error_type == "incomplete_answer", "a torn message hides what follows"
    cut = b"".join(aws_message(event, event_type="chunk") for event in coded[:3])
    failed = answered(path, cut + thrown, BODY, **headers)
    assert (failed.text, failed.error_type) == ("Hi", "throttlingException")


def test_messages_of_threads_are_no_calls() -> None:
    """The Assistants API has a path that ends in `messages`; it asks nothing of a model."""
    assert read_request(exchange("/v1/threads/t/messages", BODY)) is None


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            {"base_resp": {"status_code": 1004, "status_msg": "login"}, "choices": None},
            "http_1004",
            "login",
        ),
        ({"code": 500, "msg": "not found", "success": False}, "internal_server_error", "not found"),
        ({"error_code": 17, "error_msg": "daily limit"}, "http_17", "daily limit"),
    ],
)
def test_errors_with_status_200(answer: dict[str, Any], kind: str, message: str) -> None:
    """An answer without choices that carries a vendor's error is an error."""
    read = answered(CHAT, answer)
    assert (read.error_type, read.error) == (kind, message)


def test_errors_whose_message_is_an_object() -> None:
    """Mistral's list of details is told as text."""
    message = {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]}
    failed = answered(CHAT, {"object": "error", "message": message}, status=422)
    assert failed.error == "Field required"


def test_counts_that_begin_with_0_are_unknown_until_told() -> None:
    """A server that counts at the end gives no count for a stream that broke off before."""
    start = {**START, "message": {**START["message"], "usage": {"input_tokens": 0}}}
    whole = sse(start, *TEXT, *ended(input_tokens=14, output_tokens=2))
    broken = sse(start, *TEXT[:2])
    counted = answered(MESSAGES, whole, BODY, **STREAM).usage
    unknown = answered(MESSAGES, broken, BODY, outcome="upstream_died", **STREAM)
    assert (counted.input, counted.output) == (14, 2)
    assert (unknown.usage.input, unknown.cost_usd) == (None, None)
    assert unknown.cost_note


def test_an_embedding_that_is_no_base64() -> None:
    """Text that no vector can be has no dimensions, and the rest is read."""
    answer = {"data": [{"embedding": "ä", "index": 0}], "usage": {"prompt_tokens": 3}}
    response = answered("/v1/embeddings", json.dumps(answer).encode())
    assert response.blocks == [{"type": "embedding", "index": 0, "dimensions": None}]
    assert response.usage.input == 3
