"""Edited answers, in the format and as the stream that the program asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.replay.exchanges import chat, completion, exchange
from tracelake.errors import ConfigError
from tracelake.replay.answer import (
    calls_in,
    edited_text,
    parse_whole,
    read_whole,
    render,
    with_text,
)
from tracelake.wire import read_request, read_response

MESSAGES = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
        {"type": "text", "text": "I look at the file that you named."},
        {"type": "tool_use", "id": "toolu_1", "name": "grep", "input": {"pattern": "a", "n": [1]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 7},
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "grep", "arguments": '{"pattern": "a very long pattern to be cut"}'},
}
COMPLETION = {
    **completion("Text of some length, in pieces."),
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
COMPLETION["choices"][0]["message"]["tool_calls"] = [CALL]  # type: ignore[index]
ITEM = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {
            "type": "output_text",
            "text": "An answer of Responses.",
            "annotations": [],
            "logprobs": [],
        }
    ],
}
FUNCTION = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "grep",
    "arguments": '{"pattern": "a"}',
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o",
    "status": "completed",
    "output": [ITEM, FUNCTION],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    },
}
RESPONSES = {"model": "gpt-4o", "input": "hi"}
CASES = {
    "messages": ("/v1/messages", MESSAGES, MESSAGE),
    "chat": ("/v1/chat/completions", chat("hi"), COMPLETION),
    "responses": ("/v1/responses", RESPONSES, RESPONSE),
}


@pytest.mark.parametrize("api", CASES)
def test_a_written_stream_is_read_as_the_whole_answer(api: str) -> None:
    """What a client puts together from the stream says what the edited body says."""
    path, body, whole = CASES[api]
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    request = read_request(exchange(asked, path=path))
    assert request is not None
    rendered = render(whole, request)
    assert rendered.content_type.startswith("text/event-stream")
    streamed = exchange(asked, rendered.body, path=path)
    plain = exchange(body, whole, path=path)
    got, wanted = read_response(streamed, request), read_response(plain, request)
    assert (got.text, got.atoms, got.finish_reason) == (
        wanted.text,
        wanted.atoms,
        wanted.finish_reason,
    )
    assert (got.error, got.usage) == (None, wanted.usage)
    assert read_whole(streamed, request.api)["id"] == whole["id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", CASES)
def test_a_text_takes_the_place_of_all_that_was_said_and_called(api: str, *, stream: bool) -> None:
    """The edited answer is the text alone and ends the turn; the recorded id stays."""
    path, body, whole = CASES[api]
    recorded = exchange({**body, "stream": stream}, whole, path=path)
    request = read_request(recorded)
    assert request is not None
    edited = edited_text(recorded, request, "Nothing is wrong — at all.")
    answer = render(edited, request)
    response = read_response(exchange({}, answer.body, path=path), request)
    assert response.text == "Nothing is wrong — at all."
    assert [atom.kind for atom in response.atoms] == ["text"]
    assert response.error is None
    assert response.response_id == whole["id"]


@pytest.mark.parametrize("api", CASES)
def test_another_text_leaves_the_calls_as_they_were(api: str) -> None:
    """What was called stays, also where nothing was said before; the text is the new one."""
    path, body, whole = CASES[api]
    request = read_request(exchange(body, whole, path=path))
    assert request is not None
    for before in (whole, with_text(_silent(whole), "")):
        edited = with_text(before, "Something else.")
        response = read_response(exchange({}, edited, path=path), request)
        assert response.text == "Something else."
        assert calls_in(edited) == calls_in(whole)
        asked = read_response(exchange({}, whole, path=path), request)
        now, then = ([a for a in one.atoms if a.kind == "tool_call"] for one in (response, asked))
        assert now == then


def _silent(whole: dict[str, Any]) -> dict[str, Any]:
    """An answer of calls alone, where the format has the text among them."""
    kept = {
        key: [one for one in whole[key] if one["type"] not in {"text", "message"}]
        for key in ("content", "output")
        if isinstance(whole.get(key), list)
    }
    return {**whole, **kept}


def test_the_sdks_read_the_written_streams() -> None:
    """The SDKs' own event types accept every event that is written."""
    import anthropic.types
    import openai.types.chat
    import openai.types.responses
    from pydantic import TypeAdapter

    adapters: dict[str, Any] = {
        "messages": TypeAdapter(anthropic.types.RawMessageStreamEvent),
        "chat": TypeAdapter(openai.types.chat.ChatCompletionChunk),
        "responses": TypeAdapter(openai.types.responses.ResponseStreamEvent),
    }
    for api, (path, body, whole) in CASES.items():
        request = read_request(exchange({**body, "stream": True}, path=path))
        assert request is not None
        text = render(whole, request).body.decode()
        documents = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        for document in documents:
            if document != "[DONE]":
                adapters[api].validate_json(document)


def test_an_answer_that_is_no_object_is_refused() -> None:
    """A list or plain text is no body of any provider."""
    for text in ("[]", "hello", "{"):
        with pytest.raises(ConfigError):
            parse_whole(text)
