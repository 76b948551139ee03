"""Answers in the format of Anthropic's Messages API."""

from __future__ import annotations

import base64
import hashlib
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


def write_whole(ask: Ask, answer: Answer, new_id: NewId) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    return {
        "id": new_id("msg_offline_"),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": _content(answer, new_id),
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
        "usage": _usage(count_tokens(ask, answer)),
    }


def write_stream(ask: Ask, answer: Answer, new_id: NewId) -> list[Piece]:
    """The events of a streamed answer."""
    whole = write_whole(ask, answer, new_id)
    usage = whole["usage"]
    opening = {
        **whole,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 1},
    }
    pieces = [_event("message_start", message=opening), _event("ping")]
    for index, block in enumerate(whole["content"]):
        pieces += _block_pieces(index, block)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    pieces.append(_event("message_delta", delta=delta, usage=usage))
    pieces.append(_event("message_stop"))
    return pieces


def write_error(status: int, message: str, request_id: str) -> dict[str, Any]:
    """The body of an error."""
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    error = {"type": kinds.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": request_id}


def write_error_event(message: str) -> Piece:
    """An error in the middle of a stream."""
    return _event("error", error={"type": "overloaded_error", "message": message})


def _event(kind: str, chars: int = 0, **data: Any) -> Piece:
    return event(kind, {"type": kind, **data}, chars)


def _content(answer: Answer, new_id: NewId) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if answer.thinking:
        digest = hashlib.sha256(answer.thinking.encode()).digest()
        signature = base64.b64encode(b"offline" + digest).decode()
        content.append({"type": "thinking", "thinking": answer.thinking, "signature": signature})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += [
        {
            "type": "tool_use",
            "id": new_id("toolu_offline_"),
            "name": call.name,
            "input": call.arguments,
        }
        for call in answer.calls
    ]
    return content


def _stop_reason(answer: Answer) -> str:
    if answer.is_cut:
        return "max_tokens"
    return "tool_use" if answer.calls else "end_turn"


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input - tokens.cache_read - tokens.cache_write,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _block_pieces(index: int, block: dict[str, Any]) -> list[Piece]:
    """The events of one content block."""
    kind = block["type"]
    empty = {
        "text": {"type": "text", "text": ""},
        "thinking": {"type": "thinking", "thinking": "", "signature": ""},
        "tool_use": {**block, "input": {}},
    }[kind]
    field, delta_kind, text = {
        "text": ("text", "text_delta", block.get("text", "")),
        "thinking": ("thinking", "thinking_delta", block.get("thinking", "")),
        "tool_use": ("partial_json", "input_json_delta", arguments_text(block.get("input", {}))),
    }[kind]
    pieces = [_event("content_block_start", index=index, content_block=empty)]
    pieces += [
        _event(
            "content_block_delta", len(chunk), index=index, delta={"type": delta_kind, field: chunk}
        )
        for chunk in in_chunks(text)
    ]
    if kind == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        pieces.append(_event("content_block_delta", index=index, delta=signed))
    pieces.append(_event("content_block_stop", index=index))
    return pieces
