"""Nothing that comes over the wire makes reading fail, and all that is read can be stored."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.unit.wire import test_anthropic, test_chat, test_responses
from tests.unit.wire.exchanges import CHAT, MESSAGES, RESPONSES, exchange, sse
from tracelake.wire import (
    conversation,
    fingerprint,
    read_request,
    read_response,
    rebuild_body,
    response_turn,
    tools_fingerprint,
)

STREAMS: dict[str, list[Any]] = {
    MESSAGES: [
        test_anthropic.START,
        *test_anthropic.THINKING,
        *test_anthropic.CITED,
        *test_anthropic.SERVER_TOOL,
        *test_anthropic.TOOL,
        *test_anthropic.END,
    ],
    CHAT: [
        test_chat.chunk({"role": "assistant", "content": "", "reasoning": "x"}),
        test_chat.chunk({"content": [{"type": "thinking", "thinking": [{"text": "t"}]}]}),
        test_chat.chunk({"reasoning_details": [{"type": "a", "index": 0, "text": "t"}]}),
        test_chat.chunk({"audio": {"data": "AA", "transcript": "t"}, "images": [{"type": "x"}]}),
        test_chat.chunk(test_chat.call(0, id="a", name="f", arguments="{}")),
        test_chat.chunk({"function_call": {"name": "f", "arguments": "{}"}}),
        test_chat.chunk(finish_reason="stop", error={"message": "m"}),
        test_chat.USAGE,
    ],
    RESPONSES: [
        *test_responses.DELTAS,
        {"type": "response.completed", "response": test_responses.FINAL},
    ],
    "/api/chat": [
        {"message": {"content": "a", "tool_calls": [{"function": {"name": "f"}}]}},
        {"done": True, "eval_count": 1},
    ],
}
WHOLES: dict[str, Any] = {
    MESSAGES: {
        "content": [
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            {"type": "x_tool_result", "tool_use_id": "a", "content": [{"type": "text"}]},
        ],
        "usage": {"input_tokens": 1, "server_tool_use": {"web_search_requests": 1}},
        "error": {"type": "x"},
    },
    CHAT: {
        "choices": [{"message": {"content": "x", "tool_calls": [{"function": {"name": "f"}}]}}],
        "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
    },
    RESPONSES: test_responses.FINAL,
    "/v1/embeddings": {"data": [{"embedding": [1]}], "usage": {"prompt_tokens": 1}},
    "/api/generate": {"response": "x", "done": True},
}
ODD = st.sampled_from(
    [None, True, -1, 0, 2**70, 1e400, "", "x", "\ud83d", [], {}, [None], ["x"], {"type": "text"}]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place within a JSON value."""
    found = [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, dict | list):
            found += places(inner, (*path, key))
        else:
            found.append((*path, key))
    return found


def disturbed(value: Any, changes: list[tuple[int, Any]]) -> Any:
    """A copy of a JSON value with other values in some of its places."""
    value = copy.deepcopy(value)
    for number, odd in changes:
        known = [path for path in places(value) if path]
        if not known:
            break
        *way, last = known[number % len(known)]
        target = value
        for key in way:
            target = target[key]
        target[last] = copy.deepcopy(odd)
    return value


def read_all(path: str, request_body: bytes, answer: bytes, status: int) -> None:
    """Read an exchange in every way there is, and store what was read."""
    recorded = exchange(path, request_body, answer, status=status)
    request = read_request(recorded)
    assert request is not None
    response = read_response(recorded, request)
    orjson.dumps([response.text, response.blocks, response.error, response.error_type])
    orjson.dumps([a.text for a in (*request.atoms, *response.atoms)])
    orjson.dumps([request.messages, request.tools, request.parameters, request.system])
    conversation(request.api, request.messages, request.system)
    response_turn(request.api, response.blocks)
    fingerprint(request.system)
    tools_fingerprint(request.tools)
    rebuild_body(request.api, request.parameters, "other", request.messages, request.tools)
    assert response.cost_usd is None or response.cost_usd >= 0


#: Without the explaining of failures, which takes long with values as large as these.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), ODD), min_size=1, max_size=6)


@pytest.mark.parametrize("path", STREAMS)
@settings(max_examples=40, phases=PHASES)
@given(changes=CHANGES, dropped=st.integers(0, 40))
def test_disturbed_streams_are_read(
    path: str, changes: list[tuple[int, Any]], dropped: int
) -> None:
    """Fields of any type, null or missing events anywhere in a stream are taken."""
    events = disturbed(STREAMS[path], changes)
    del events[dropped : dropped + 1]
    documents = [json.dumps(event) for event in events]
    body = sse(*documents) if path != "/api/chat" else "\n".join(documents).encode()
    read_all(path, b"{}", body, 200)


@pytest.mark.parametrize("path", WHOLES)
@settings(max_examples=40, phases=PHASES)
@given(changes=CHANGES, status=st.sampled_from([200, 400, 500]))
def test_disturbed_answers_are_read(path: str, changes: list[tuple[int, Any]], status: int) -> None:
    """Fields of any type in a whole answer are taken, as an answer and as an error."""
    read_all(path, b"{}", json.dumps(disturbed(WHOLES[path], changes)).encode(), status)


REQUEST: dict[str, Any] = {
    "model": "m",
    "system": [{"type": "text", "text": "S"}],
    "instructions": "S",
    "prompt": "P",
    "images": ["AA"],
    "stream": True,
    "tools": [{"type": "function", "function": {"name": "f"}}, {"name": "g", "tools": []}],
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text"}]},
    ],
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "x"}]},
    ],
}


@pytest.mark.parametrize("path", [*STREAMS, "/v1/embeddings", "/api/generate", "/v1/completions"])
@settings(max_examples=40, phases=PHASES)
@given(changes=CHANGES)
def test_disturbed_requests_are_read(path: str, changes: list[tuple[int, Any]]) -> None:
    """Fields of any type in a request are taken."""
    read_all(path, json.dumps(disturbed(REQUEST, changes)).encode(), b"{}", 200)


@pytest.mark.parametrize("path", [*STREAMS, *WHOLES])
@settings(max_examples=30, phases=PHASES)
@given(body=st.binary(max_size=200), status=st.sampled_from([200, 302, 500]))
def test_any_bytes_are_read(path: str, body: bytes, status: int) -> None:
    """Bytes that are nothing at all are taken, as request and as answer."""
    read_all(path, body, body, status)


def test_deep_nesting_is_read() -> None:
    """JSON nested beyond all reason neither fails nor hangs."""
    deep = b'{"content":' * 5000 + b"1" + b"}" * 5000
    for path in STREAMS:
        read_all(path, deep, deep, 200)
        nested = b'{"choices":[{"message":{"content":' + b"[" * 900 + b"]" * 900 + b"}}]}"
        read_all(path, nested, nested, 200)
