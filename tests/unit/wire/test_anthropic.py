"""Anthropic Messages: streams and whole answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wire.exchanges import MESSAGES, answered, asked, sse
from tracelake.wire import Usage

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-sonnet-4-5-20250929",
        "role": "assistant",
        "content": [],
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 1,
        },
    },
}
END: list[dict[str, Any]] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 7}},
    },
    {"type": "message_stop"},
]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Let me "},
    {"type": "thinking_delta", "thinking": "see."},
    {"type": "signature_delta", "signature": "abc="},
)
CITED = block(
    1,
    {"type": "text", "text": "", "citations": None},
    {"type": "citations_delta", "citation": {"type": "web_search_result_location"}},
    {"type": "text_delta", "text": "It is "},
    {"type": "text_delta", "text": "raining \ud83c\udf27."},
)
SERVER_TOOL = block(
    2,
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
    {"type": "input_json_delta", "partial_json": '{"query":'},
    {"type": "input_json_delta", "partial_json": '"rain"}'},
) + block(
    3,
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"type": "web_search_result", "title": "Rain", "url": "https://rain"}],
    },
)
TOOL = block(
    4,
    {"type": "tool_use", "id": "toolu_1", "name": "umbrella", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"b": 1, '},
    {"type": "input_json_delta", "partial_json": '"a": 2}'},
)


def test_a_stream_gives_every_block_and_the_cumulative_usage() -> None:
    """Thinking, cited text, server tools with results and tool calls all come out whole."""
    events = [START, {"type": "ping"}, *THINKING, *CITED, *SERVER_TOOL, *TOOL, *END]
    response = answered(MESSAGES, sse(*events, names=True))
    assert response.text == "It is raining \U0001f327."
    assert [b["type"] for b in response.blocks] == [
        "thinking",
        "text",
        "server_tool_use",
        "web_search_tool_result",
        "tool_use",
    ]
    assert response.blocks[0]["signature"] == "abc="
    assert response.blocks[1]["citations"] == [{"type": "web_search_result_location"}]
    assert response.blocks[4]["input"] == {"a": 2, "b": 1}
    assert [(a.kind, a.id, a.name, a.arguments) for a in response.atoms[2:]] == [
        ("tool_call", "srv_1", "web_search", '{"query":"rain"}'),
        ("tool_result", "srv_1", None, None),
        ("tool_call", "toolu_1", "umbrella", '{"a":2,"b":1}'),
    ]
    assert response.atoms[3].text == "Rain\nhttps://rain"
    assert response.usage == Usage(130, 30, 100, 20, 7)
    assert response.finish_reason == "tool_use"
    assert response.error is None
    # 10 fresh, 100 read, 20 written for an hour, 30 out, at 3 / 0.3 / 6 / 15 dollars a million
    assert response.cost_usd == pytest.approx((10 * 3 + 100 * 0.3 + 20 * 6 + 30 * 15) / 1e6)


def test_an_error_within_a_stream_keeps_what_came_before() -> None:
    """An overloaded provider in the middle of an answer is an error with its partial text."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    response = answered(MESSAGES, sse(START, *CITED, error, names=True))
    assert (response.error_type, response.error) == ("overloaded_error", "Overloaded")
    assert response.text == "It is raining \U0001f327."


@pytest.mark.parametrize(
    ("outcome", "error_type"),
    [
        ("client_disconnected", None),
        ("running", None),
        ("upstream_died", "upstream_died"),
        ("ok", "incomplete_answer"),
    ],
)
def test_a_stream_that_broke_off_keeps_its_parts(outcome: str, error_type: str | None) -> None:
    """A cut stream gives its text and half a tool call; its output tokens stay unknown."""
    body = sse(START, *CITED, *TOOL[:-2]) + b'data: {"type":"content_blo'
    response = answered(MESSAGES, body, outcome=outcome)
    assert response.text == "It is raining \U0001f327."
    assert response.error_type == error_type
    assert response.atoms[-1].arguments == '{"b": 1, '
    assert response.usage.input == 130
    assert response.usage.output is None
    assert response.cost_usd is None


def test_a_message_that_comes_whole_at_its_start_is_counted() -> None:
    """A step of code that calls a tool is one event with all of it; its tokens are told as 0."""
    call = {"type": "tool_use", "id": "t", "name": "roll", "input": {"player": 2}}
    message = {
        "id": "msg",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [call],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    body = sse({"type": "message_start", "message": message}, {"type": "message_stop"}, names=True)
    response = answered(MESSAGES, body, {"model": "claude-sonnet-4-5"})
    assert (response.blocks, response.finish_reason, response.error) == ([call], "tool_use", None)
    assert (response.usage.input, response.usage.output) == (0, 0)


def test_usage_without_cache_counts_the_fresh_tokens() -> None:
    """Cache counts that were not given stay unknown and the input is what was counted."""
    answer = {"content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 5}}
    response = answered(MESSAGES, answer, {"model": "claude-sonnet-4-5"})
    assert response.usage == Usage(input=5)
    assert response.cost_note == "the answer ended before its usage was reported"


def test_a_counting_call_claims_no_usage() -> None:
    """Counting tokens is no consumption: no usage, no cost, and the count is kept."""
    response = answered(MESSAGES + "/count_tokens", {"input_tokens": 24})
    assert response.usage == Usage()
    assert (response.cost_usd, response.cost_note) == (None, "not billed")
    assert response.blocks == [{"type": "token_count", "input_tokens": 24}]


def test_request_blocks_become_atoms() -> None:
    """Text, images, documents, calls and results of a request are told apart, in order."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    request = asked(
        MESSAGES + "?beta=true",
        {
            "model": "claude-sonnet-4-5",
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc=1"},
                {"type": "text", "text": "You are A.", "cache_control": {"type": "ephemeral"}},
            ],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "See"}, image]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "redacted_thinking", "data": "zzz"},
                        {"type": "tool_use", "id": "t1", "name": "f", "input": {"z": 1, "a": "é"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "is_error": True,
                            "content": [{"type": "text", "text": "no"}, image, {"text": "way"}],
                        },
                        {"type": "document", "source": {"type": "url", "url": "https://d"}},
                    ],
                },
                {"role": "system", "content": "Be brief."},
            ],
            "tools": [{"name": "f"}, {"type": "web_search_20250305", "name": "web_search"}],
        },
    )
    assert request.system == "You are A."
    assert request.tool_names == ("f", "web_search")
    assert [(a.role, a.kind) for a in request.atoms] == [
        ("user", "text"),
        ("user", "media"),
        ("assistant", "thinking"),
        ("assistant", "tool_call"),
        ("user", "tool_result"),
        ("user", "media"),
        ("user", "media"),
        ("system", "text"),
    ]
    assert request.atoms[3].arguments == '{"a":"é","z":1}'
    assert (request.atoms[4].text, request.atoms[4].is_error) == ("no\nway", True)
    assert request.atoms[1].text == request.atoms[5].text
