"""Answers in the format of OpenAI's Responses API."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from tracelake.demo.offline.chat import CREATED
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
    status = "incomplete" if answer.is_cut else "completed"
    return {
        "id": new_id("resp_offline_"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.is_cut else None,
        "instructions": ask.body.get("instructions"),
        "max_output_tokens": ask.max_tokens,
        "metadata": ask.body.get("metadata") or {},
        "model": ask.model,
        "output": _output(answer, new_id, status),
        "parallel_tool_calls": True,
        "previous_response_id": ask.body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": ask.body.get("store", True),
        "temperature": ask.body.get("temperature", 1.0),
        "text": ask.body.get("text") or {"format": {"type": "text"}},
        "tool_choice": ask.body.get("tool_choice", "auto"),
        "tools": ask.body.get("tools") or [],
        "top_p": ask.body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": _usage(count_tokens(ask, answer)),
    }


def write_stream(ask: Ask, answer: Answer, new_id: NewId) -> list[Piece]:
    """The events of a streamed answer."""
    whole = write_whole(ask, answer, new_id)
    opening = {**whole, "status": "in_progress", "output": [], "usage": None}
    numbers = count()

    def send(kind: str, chars: int = 0, **data: Any) -> Piece:
        return event(kind, {"type": kind, "sequence_number": next(numbers), **data}, chars)

    pieces = [
        send("response.created", response=opening),
        send("response.in_progress", response=opening),
    ]
    for index, item in enumerate(whole["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            empty = {**item, "status": "in_progress", "content": []}
            pieces.append(send("response.output_item.added", output_index=index, item=empty))
            place["content_index"] = 0
            part = item["content"][0]
            pieces.append(send("response.content_part.added", part={**part, "text": ""}, **place))
            pieces += [
                send("response.output_text.delta", len(text), delta=text, logprobs=[], **place)
                for text in in_chunks(part["text"])
            ]
            pieces.append(
                send("response.output_text.done", text=part["text"], logprobs=[], **place)
            )
            pieces.append(send("response.content_part.done", part=part, **place))
        else:
            empty = {**item, "status": "in_progress", "arguments": ""}
            pieces.append(send("response.output_item.added", output_index=index, item=empty))
            pieces += [
                send("response.function_call_arguments.delta", len(text), delta=text, **place)
                for text in in_chunks(item["arguments"])
            ]
            done = {"arguments": item["arguments"], "name": item["name"]}
            pieces.append(send("response.function_call_arguments.done", **done, **place))
        pieces.append(send("response.output_item.done", output_index=index, item=item))
    pieces.append(send(f"response.{whole['status']}", response=whole))
    return pieces


def write_error_event(message: str) -> Piece:
    """An error in the middle of a stream."""
    data = {"type": "error", "code": "server_error", "message": message, "param": None}
    return event("error", {**data, "sequence_number": 2})


def _output(answer: Answer, new_id: NewId, status: str) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        output.append(
            {
                "id": new_id("msg_offline_"),
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [part],
            }
        )
    output += [
        {
            "id": new_id("fc_offline_"),
            "type": "function_call",
            "status": "completed",
            "call_id": new_id("call_offline_"),
            "name": call.name,
            "arguments": arguments_text(call.arguments),
        }
        for call in answer.calls
    ]
    return output


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cache_read},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.input + tokens.output,
    }
