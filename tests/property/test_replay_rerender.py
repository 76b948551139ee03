"""Answers given again with other ids: whatever the format, the cuts and the ids."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.replay.exchanges import exchange
from tracelake.replay.rebind import Substitution
from tracelake.replay.rerender import cut_like, rerender
from tracelake.wire import read_request, read_response

OLD = ("6f1d1a52-5d0c-4e0e-9f1c-6d7261636b65", "3f9a2c1d", "/home/u/proj")
NEW = ("0b2c9a11-77aa-4d3e-8c55-0123456789ab", "aa00bb11cc22", "/forks/1/work")
SUBSTITUTION = Substitution(dict(zip(OLD, NEW, strict=True)))
WORDS = st.sampled_from(
    [*OLD, "agent", "wrote", "ümläut 🎈", '"quoted"', "a\nb", "{}", "back\\slash"]
)
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, the rest at the end."""
    pieces: list[str] = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


def sse(events: list[dict[str, Any]]) -> bytes:
    """Events as a stream."""
    return "".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        if "type" in event
        else f"data: {json.dumps(event)}\n\n"
        for event in events
    ).encode()


def messages_stream(texts: list[str], arguments: str) -> list[dict[str, Any]]:
    """An Anthropic stream of one text block and one tool call."""
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {}}
    tool = {"type": "tool_use", "id": "t", "name": "run", "input": {}}
    half = len(arguments) // 2
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
            for t in texts
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        *(
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": part},
            }
            for part in (arguments[:half], arguments[half:])
        ),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    ]


def chat_stream(texts: list[str], arguments: str) -> list[dict[str, Any]]:
    """A chat stream of text and one tool call, its arguments letter by letter in threes."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "run", "arguments": ""}}
    deltas: list[dict[str, Any]] = [{"content": text} for text in texts]
    deltas.append({"tool_calls": [call]})
    deltas += [
        {"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 3]}}]}
        for at in range(0, len(arguments), 3)
    ]
    chunks = [
        {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    return [*chunks, {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def responses_stream(texts: list[str], arguments: str) -> list[dict[str, Any]]:
    """A Responses stream; its last event repeats everything."""
    text = "".join(texts)
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant", "content": [part]}
    call = {"id": "f", "type": "function_call", "call_id": "c", "name": "run"}
    whole = {"id": "r", "status": "completed", "output": [item, {**call, "arguments": arguments}]}
    return [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        *(
            {
                "type": "response.output_text.delta",
                "output_index": 0,
                "content_index": 0,
                "delta": piece,
            }
            for piece in texts
        ),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": text},
        {"type": "response.completed", "response": whole},
    ]


PATHS = {
    "/v1/messages": messages_stream,
    "/v1/chat/completions": chat_stream,
    "/v1/responses": responses_stream,
}


@given(
    text=TEXTS,
    value=TEXTS,
    sizes=st.lists(st.integers(0, 9), max_size=20),
    path=st.sampled_from(sorted(PATHS)),
)
def test_a_rerendered_stream_says_the_same_with_other_ids(
    text: str, value: str, sizes: list[int], path: str
) -> None:
    """However an id was split over the pieces of a stream, the client reads the new one."""
    arguments = json.dumps({"value": value})
    body = sse(PATHS[path](cut(text, sizes), arguments))
    request = read_request(exchange({"model": "m", "stream": True}, path=path))
    assert request is not None
    before = read_response(exchange({}, body, path=path), request)
    after = read_response(exchange({}, rerender(body, SUBSTITUTION), path=path), request)
    assert after.text == SUBSTITUTION.text(before.text)
    calls = [atom for atom in after.atoms if atom.kind == "tool_call"]
    assert [json.loads(call.arguments or "") for call in calls] == [
        {"value": SUBSTITUTION.text(value)}
    ]
    assert (after.finish_reason, after.error) == (before.finish_reason, before.error)


@given(text=TEXTS.filter(lambda text: not any(old in text for old in OLD)))
def test_without_anything_to_replace_the_bytes_stay(text: str) -> None:
    """An answer that names nothing of the first run is served byte by byte."""
    body = sse(chat_stream([text], "{}"))
    assert rerender(body, SUBSTITUTION) is body
    assert rerender(body, Substitution({})) is body


@given(text=st.text(), pieces=st.lists(st.text(), min_size=1))
def test_cutting_loses_nothing(text: str, pieces: list[str]) -> None:
    """As many pieces as before, which join to the new text."""
    cuts = cut_like(text, pieces)
    assert "".join(cuts) == text
    assert len(cuts) == len(pieces)
