"""What the provider answered: a recorded response, whole or broken off, read into `Response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.answer import Answer, Failure
from tracelake.wire.anthropic import MessageStream, read_message
from tracelake.wire.call import Response
from tracelake.wire.chat import ChatStream, read_completion
from tracelake.wire.conversation import UNREAD, atoms_of, response_turn
from tracelake.wire.decode import decode_body, encodings_of
from tracelake.wire.eventstream import parse_event_stream
from tracelake.wire.failure import failure_of, http_failure, page_text
from tracelake.wire.lenient import (
    JsonObject,
    objects,
    parse,
    parse_object,
    storable,
)
from tracelake.wire.lists import read_embeddings, read_models, read_token_count
from tracelake.wire.ollama import OllamaStream, read_answer
from tracelake.wire.prices import Price, price_of
from tracelake.wire.responses import ResponseStream, read_response_object
from tracelake.wire.sse import SseEvent, parse_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.model import Exchange
    from tracelake.wire.answer import Stream
    from tracelake.wire.call import Api, Request

#: Per format: what puts its stream together, and what reads the whole.
_FORMATS: dict[Api, tuple[Callable[[], Stream] | None, Callable[[JsonObject], Answer]]] = {
    "messages": (MessageStream, read_message),
    "chat": (ChatStream, read_completion),
    "completions": (ChatStream, read_completion),
    "responses": (ResponseStream, read_response_object),
    "ollama_chat": (OllamaStream, read_answer),
    "ollama_generate": (OllamaStream, read_answer),
    "embeddings": (None, read_embeddings),
    "count_tokens": (None, read_token_count),
    "models": (None, read_models),
}

_AWS_STREAM = "vnd.amazon.eventstream"
_OFFLINE = "x-tracelake-offline"
_SSE_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_UNREAD_CHARS = 10_000


def read_response(exchange: Exchange, request: Request) -> Response:
    """What came back for a request, as far as it came.

    Works for calls in flight, broken off, failed, and for bodies that are no JSON: what can be read
    is read, and `error_type` and `error` say what was wrong. A client that hung up is no error
    of the call; `exchange.outcome` tells of it.
    """
    body = decode_body(exchange.response_body, encodings_of(exchange.response_headers))
    status = exchange.status
    if status is not None and status >= 300:
        answer = _failed(request.api, status, body)
    else:
        answer = _read_body(request.api, body, exchange.response_header("content-type") or "")
    failure = answer.failure or _transport_failure(exchange, answer)
    offline = exchange.response_header(_OFFLINE) == "1"
    price = (
        Price(None, None)
        if exchange.outcome == "running"
        else price_of(request, answer, when=exchange.start_time, offline=offline)
    )
    return Response(
        model=answer.model,
        text=answer.text,
        blocks=answer.blocks,
        atoms=atoms_of([response_turn(request.api, answer.blocks)]),
        finish_reason=answer.finish_reason,
        response_id=answer.response_id,
        usage=answer.usage,
        error_type=failure.kind if failure else None,
        error=failure.message if failure else None,
        cost_usd=price.usd,
        cost_note=price.note,
    )


def _read_body(api: Api, body: bytes, content_type: str) -> Answer:
    """The answer of a body that is not said to be an error, by what it looks like."""
    make_stream, read_whole = _FORMATS.get(api, _FORMATS["chat"])
    if make_stream is not None and _AWS_STREAM in content_type:
        stream = make_stream()
        for event in parse_event_stream(body):
            stream.feed(event)
        return read_whole(storable(stream.whole()))
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return Answer(complete=False)
    if make_stream is not None and (text.startswith(_SSE_STARTS) or "event-stream" in content_type):
        return _read_stream(make_stream(), read_whole, parse_events(body))
    whole = parse_object(text)
    if whole is not None:
        return read_whole(storable(whole))
    if make_stream is not None and text.startswith(b"{"):
        lines = [SseEvent("message", line) for line in text.decode("utf-8", "replace").split("\n")]
        if parse_object(lines[0].data) is not None:
            return _read_stream(make_stream(), read_whole, lines)
    return _unreadable(text)


def _read_stream(
    stream: Stream, read_whole: Callable[[JsonObject], Answer], events: Iterable[SseEvent]
) -> Answer:
    """The answer of a stream of JSON documents; one that was cut off is left out."""
    done = False
    for event in events:
        document = parse_object(event.data)
        if document is None and event.data.strip() == "[DONE]":
            done = True
        elif event.event == "error" and not (document and document.get("error")):
            stream.feed({"error": document or event.data})
        elif document is not None:
            stream.feed(document)
    whole: JsonObject = storable(stream.whole())
    if done:
        whole.pop("_incomplete", None)
    return read_whole(whole)


def _failed(api: Api, status: int, body: bytes) -> Answer:
    """The answer of a response with an error status; an error sent as a stream keeps its text."""
    if body.lstrip().startswith(_SSE_STARTS):
        answer = _read_body(api, body, "")
        if answer.failure is not None:
            return answer
        events = parse_events(body)
        body = events[-1].data.encode() if events else body
    return Answer(failure=http_failure(status, body))


def _unreadable(body: bytes) -> Answer:
    """A body that is no JSON object: kept as text, so that somebody can look at it."""
    text = body.decode("utf-8", "replace")[:_MAX_UNREAD_CHARS]
    blocks: list[Any] = [{"type": UNREAD, "text": text}]
    try:
        value = parse(body)
    except ValueError:
        if body.startswith((b"{", b"[")):
            return Answer(blocks=blocks, complete=False)
        return Answer(blocks=blocks, failure=Failure("unreadable_answer", page_text(body)))
    if any(error.get("error") for error in objects(value)):
        return Answer(failure=failure_of(storable(value)))
    return Answer(blocks=blocks, failure=Failure("unreadable_answer", "no JSON object"))


def _transport_failure(exchange: Exchange, answer: Answer) -> Failure | None:
    """What went wrong below the format, where the exchange is over."""
    if exchange.outcome == "upstream_died":
        return Failure("upstream_died", "the provider closed the connection within its answer")
    if exchange.outcome == "upstream_unreachable":
        return Failure("upstream_unreachable", "the provider could not be reached")
    if exchange.outcome == "refused":
        return Failure("refused", "the relay refused the call")
    if exchange.outcome == "lost":
        return Failure("lost", "the relay died before the call ended")
    if exchange.outcome == "ok" and not answer.complete:
        return Failure("incomplete_answer", "the answer ended before it was complete")
    return None
