"""An edited answer in the format that the program expects: whole, or as the stream it asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError
from tracelake.replay import streams
from tracelake.wire.anthropic import MessageStream
from tracelake.wire.chat import ChatStream
from tracelake.wire.decode import decode_body
from tracelake.wire.lenient import mapping, objects, parse_object
from tracelake.wire.ollama import OllamaStream
from tracelake.wire.responses import ResponseStream
from tracelake.wire.sse import parse_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracelake.model import Exchange
    from tracelake.wire import Request
    from tracelake.wire.answer import Stream

JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream; charset=utf-8"
NDJSON_TYPE = "application/x-ndjson"

_STREAMS: dict[str, Callable[[], Stream]] = {
    "messages": MessageStream,
    "chat": ChatStream,
    "completions": ChatStream,
    "responses": ResponseStream,
    "ollama_chat": OllamaStream,
    "ollama_generate": OllamaStream,
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer ready to be sent."""

    content_type: str
    body: bytes


def read_whole(exchange: Exchange, api: str) -> dict[str, Any]:
    """A recorded answer as the provider would have given it unstreamed; empty when unreadable."""
    body = decode_body(exchange.response_body, exchange.response_header("content-encoding"))
    whole = parse_object(body)
    make = _STREAMS.get(api)
    if whole is not None or make is None:
        return whole or {}
    documents = [event.data for event in parse_events(body)] or body.decode(
        "utf-8", "replace"
    ).splitlines()
    stream = make()
    for document in documents:
        if (event := parse_object(document)) is not None:
            stream.feed(event)
    return {key: value for key, value in stream.whole().items() if key != "_incomplete"}


def edited_text(recorded: Exchange, request: Request, text: str) -> dict[str, Any]:
    """The recorded answer with this text instead of all that it said and called.

    Raises:
        ConfigError: The format has no answer in text.
    """
    whole = read_whole(recorded, request.api)
    if request.api == "messages":
        head = {"id": "msg_edited", "type": "message", "role": "assistant", "model": request.model}
        return {
            **head,
            **_without(whole, "error"),
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": whole.get("usage") or {"input_tokens": 0, "output_tokens": 0},
        }
    if request.api == "chat":
        first = next(iter(objects(whole.get("choices"))), {})
        kept = ("role", "refusal", "annotations")
        message = {
            key: value for key, value in mapping(first.get("message")).items() if key in kept
        }
        message = {"role": "assistant", **message, "content": text}
        head = {"id": "chatcmpl-edited", "created": 0, "model": request.model}
        return {
            **head,
            **_without(whole, "error"),
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
        }
    if request.api == "responses":
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        known = next((i for i in objects(whole.get("output")) if i.get("type") == "message"), {})
        item = {
            "id": known.get("id") or "msg_edited",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        head = {
            "id": "resp_edited",
            "created_at": 0,
            "model": request.model,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        return {
            **head,
            **whole,
            "object": "response",
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "output": [item],
        }
    if request.api == "ollama_chat":
        message = {"role": "assistant", "content": text}
        return {
            "model": request.model,
            **_without(whole, "error"),
            "message": message,
            "done": True,
        }
    if request.api in {"completions", "ollama_generate"}:
        if request.api == "ollama_generate":
            return {"model": request.model, **whole, "response": text, "done": True}
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
        return {"id": "cmpl-edited", "object": "text_completion", **whole, "choices": [choice]}
    raise ConfigError(f"an answer of {request.api} cannot be edited as text: give the whole body")


def calls_in(whole: Mapping[str, Any]) -> list[str]:
    """Names of the tools that a whole answer calls, in order."""
    blocks = [one for one in objects(whole.get("content")) if one.get("type") == "tool_use"]
    items = [one for one in objects(whole.get("output")) if "call" in str(one.get("type"))]
    first = next(iter(objects(whole.get("choices"))), {})
    asked = objects(mapping(first.get("message")).get("tool_calls"))
    functions = [mapping(call.get("function") or call.get("custom")) for call in asked]
    return [str(one["name"]) for one in (*blocks, *items, *functions) if "name" in one]


def with_text(whole: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A whole answer that says this, and calls what it called."""
    if "choices" in whole:
        first, *others = objects(whole["choices"])
        message = {**mapping(first.get("message")), "content": text}
        return {**whole, "choices": [{**first, "message": message}, *others]}
    if "output" in whole:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        known = next((i for i in objects(whole["output"]) if i.get("type") == "message"), {})
        head = {"id": known.get("id") or "msg_edited", "type": "message", "role": "assistant"}
        said = {**head, "status": "completed", "content": [part]}
        return {**whole, "output": _in_place(whole["output"], said)}
    return {**whole, "content": _in_place(whole.get("content"), {"type": "text", "text": text})}


def _in_place(items: Any, new: dict[str, Any]) -> list[dict[str, Any]]:
    """The items with one in the place of those of its type, or before the first call."""
    given = objects(items)
    like = [number for number, one in enumerate(given) if one.get("type") == new["type"]]
    calls = [number for number, one in enumerate(given) if "name" in one]
    at = min(like or calls or [len(given)])
    return [
        *given[:at],
        new,
        *(one for one in given[at:] if one.get("type") != new["type"]),
    ]


def render(whole: dict[str, Any], request: Request) -> Rendered:
    """A whole answer as the program asked for it: as it is, or as a stream of its format.

    Raises:
        ConfigError: The program asked for a stream of a format that none can be written for.
    """
    if not request.stream:
        return Rendered(JSON_TYPE, dump_plain(whole))
    if request.api == "messages":
        return Rendered(SSE_TYPE, streams.write_messages(whole))
    if request.api == "chat":
        options = mapping(request.parameters.get("stream_options"))
        wants_usage = bool(options.get("include_usage"))
        return Rendered(SSE_TYPE, streams.write_chat(whole, with_usage=wants_usage))
    if request.api == "responses":
        return Rendered(SSE_TYPE, streams.write_responses(whole))
    if request.api.startswith("ollama_"):
        return Rendered(NDJSON_TYPE, dump_plain(whole) + b"\n")
    raise ConfigError(f"a stream of {request.api} cannot be written from an edited answer")


def parse_whole(body: bytes | str) -> dict[str, Any]:
    """A whole answer that a user wrote as JSON.

    Raises:
        ConfigError: It is not a JSON object.
    """
    whole = parse_object(body)
    if whole is None:
        raise ConfigError("the edited answer is not a JSON object: give the provider's whole body")
    return whole


def dump_plain(value: Any) -> bytes:
    """JSON without sorted keys, as a provider sends it."""
    return streams.dump(value).encode()


def _without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in keys}
