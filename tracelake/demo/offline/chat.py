"""Answers in the format of OpenAI's Chat Completions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.demo.offline.writing import (
    NewId,
    Piece,
    Tokens,
    arguments_text,
    count_tokens,
    event,
    in_chunks,
)

if TYPE_CHECKING:
    from tracelake.demo.offline.conversation import Answer, Ask

#: `created` of every answer: the offline provider has no clock (2025-01-01 UTC).
CREATED = 1_735_689_600


def write_whole(ask: Ask, answer: Answer, new_id: NewId) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text or None,
        "refusal": None,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer, new_id)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish_reason(answer),
    }
    return {
        **_head(ask, "chat.completion", new_id),
        "choices": [choice],
        "usage": _usage(count_tokens(ask, answer)),
    }


def write_stream(ask: Ask, answer: Answer, new_id: NewId) -> list[Piece]:
    """The events of a streamed answer, `[DONE]` included."""
    head = _head(ask, "chat.completion.chunk", new_id)
    wants_usage = bool((ask.body.get("stream_options") or {}).get("include_usage"))
    if wants_usage:
        head["usage"] = None

    def chunk(delta: dict[str, Any], chars: int = 0, finish: str | None = None) -> Piece:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event(None, {**head, "choices": [choice]}, chars)

    opening = {"role": "assistant", "content": "" if answer.text else None, "refusal": None}
    pieces = [chunk(opening)]
    pieces += [chunk({"content": part}, len(part)) for part in in_chunks(answer.text)]
    for index, call in enumerate(_tool_calls(answer, new_id)):
        function = call["function"]
        start = {**call, "index": index, "function": {**function, "arguments": ""}}
        pieces.append(chunk({"tool_calls": [start]}))
        for part in in_chunks(function["arguments"]):
            delta = {"index": index, "function": {"arguments": part}}
            pieces.append(chunk({"tool_calls": [delta]}, len(part)))
    pieces.append(chunk({}, finish=_finish_reason(answer)))
    if wants_usage:
        usage = _usage(count_tokens(ask, answer))
        pieces.append(event(None, {**head, "choices": [], "usage": usage}))
    pieces.append(Piece("data: [DONE]\n\n"))
    return pieces


def write_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error, of any of OpenAI's endpoints."""
    kind, code = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def write_error_event(message: str) -> Piece:
    """An error in the middle of a stream."""
    return event(None, write_error(500, message))


def _head(ask: Ask, kind: str, new_id: NewId) -> dict[str, Any]:
    return {
        "id": new_id("chatcmpl-offline-"),
        "object": kind,
        "created": CREATED,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_offline",
    }


def _tool_calls(answer: Answer, new_id: NewId) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id("call_offline_"),
            "type": "function",
            "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
        }
        for call in answer.calls
    ]


def _finish_reason(answer: Answer) -> str:
    if answer.is_cut:
        return "length"
    return "tool_calls" if answer.calls else "stop"


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
