"""Whole answers written as the streams of their formats, as the providers document them.

Sources: https://docs.anthropic.com/en/api/messages-streaming,
https://platform.openai.com/docs/api-reference/chat-streaming and …/responses-streaming.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracelake.wire.lenient import mapping, objects, string

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_CHARS = 24


def dump(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write_messages(message: dict[str, Any]) -> bytes:
    """An Anthropic message as a stream of events."""
    return "".join(_named(event) for event in _message_events(message)).encode()


def write_chat(completion: dict[str, Any], *, with_usage: bool) -> bytes:
    """A chat completion as a stream of chunks, with the usage at its end where asked for."""
    chunks = "".join(f"data: {dump(chunk)}\n\n" for chunk in _chunks(completion, with_usage))
    return f"{chunks}data: [DONE]\n\n".encode()


def write_responses(response: dict[str, Any]) -> bytes:
    """A response object as a stream of events."""
    numbered = (
        {"type": event["type"], "sequence_number": number, **event}
        for number, event in enumerate(_response_events(response))
    )
    return "".join(_named(event) for event in numbered).encode()


def _named(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {dump(event)}\n\n"


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE_CHARS):
        yield text[start : start + PIECE_CHARS]


def _message_events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = mapping(message.get("usage"))
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**opening, "usage": {**usage, "output_tokens": 1}}}
    for index, block in enumerate(objects(message.get("content"))):
        start, deltas = _block_deltas(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    counted = {"output_tokens": usage.get("output_tokens") or 0}
    yield {"type": "message_delta", "delta": reason, "usage": counted}
    yield {"type": "message_stop"}


def _block_deltas(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A content block as it opens, and the deltas that fill it."""
    kind = block.get("type")
    if kind == "text":
        pieces = _pieces(string(block.get("text")))
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        return {**block, "text": ""}, deltas
    if kind == "thinking":
        pieces = _pieces(string(block.get("thinking")))
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        if signature := string(block.get("signature")):
            deltas.append({"type": "signature_delta", "signature": signature})
        return {**block, "thinking": "", "signature": ""}, deltas
    if "input" in block:
        pieces = _pieces(dump(block["input"]))
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return {**block, "input": {}}, deltas
    return block, []


def _chunks(completion: dict[str, Any], with_usage: bool) -> Iterator[dict[str, Any]]:
    head = {key: value for key, value in completion.items() if key not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"

    def chunk(index: int, delta: dict[str, Any], finish: Any = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice]}

    for number, choice in enumerate(objects(completion.get("choices"))):
        index = int(choice.get("index") or number)
        message = mapping(choice.get("message"))
        text = message.get("content")
        yield chunk(index, {"role": "assistant", "content": "" if text else None})
        for key in ("reasoning_content", "reasoning", "content", "refusal"):
            for piece in _pieces(string(message.get(key))):
                yield chunk(index, {key: piece})
        for at, call in enumerate(objects(message.get("tool_calls"))):
            function = mapping(call.get("function"))
            opened = {**call, "index": at, "function": {**function, "arguments": ""}}
            yield chunk(index, {"tool_calls": [opened]})
            for piece in _pieces(string(function.get("arguments"))):
                delta = {"index": at, "function": {"arguments": piece}}
                yield chunk(index, {"tool_calls": [delta]})
        yield chunk(index, {}, choice.get("finish_reason") or "stop")
    if with_usage:
        yield {**head, "choices": [], "usage": completion.get("usage")}


def _response_events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    opening = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": opening}
    yield {"type": "response.in_progress", "response": opening}
    for at, item in enumerate(objects(response.get("output"))):
        place = {"output_index": at}
        unfinished = {**item, "status": "in_progress"} if "status" in item else dict(item)
        kind = item.get("type")
        if kind == "message":
            unfinished["content"] = []
        elif kind == "function_call":
            unfinished["arguments"] = ""
        yield {"type": "response.output_item.added", **place, "item": unfinished}
        named = {"item_id": item.get("id"), **place}
        if kind == "message":
            yield from _part_events(named, objects(item.get("content")))
        elif kind == "function_call":
            arguments = string(item.get("arguments"))
            event = "response.function_call_arguments"
            for piece in _pieces(arguments):
                yield {"type": f"{event}.delta", **named, "delta": piece}
            done = {"name": item.get("name"), "arguments": arguments}
            yield {"type": f"{event}.done", **named, **done}
        yield {"type": "response.output_item.done", **place, "item": item}
    status = response.get("status")
    final = status if status in {"incomplete", "failed"} else "completed"
    yield {"type": f"response.{final}", "response": response}


def _part_events(named: dict[str, Any], parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(parts):
        place = {**named, "content_index": number}
        key = "refusal" if part.get("type") == "refusal" else "text"
        event = "response.refusal" if key == "refusal" else "response.output_text"
        extra = {} if key == "refusal" else {"logprobs": []}
        text = string(part.get(key))
        yield {"type": "response.content_part.added", **place, "part": {**part, key: ""}}
        for piece in _pieces(text):
            yield {"type": f"{event}.delta", **place, "delta": piece, **extra}
        yield {"type": f"{event}.done", **place, key: text, **extra}
        yield {"type": "response.content_part.done", **place, "part": part}
