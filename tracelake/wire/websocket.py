"""Calls of the OpenAI Responses format that went over one WebSocket.

A client opens `GET …/responses` and sends `response.create` messages, whose fields are those of the
HTTP request; the server answers each with the events that it would have streamed over HTTP, one a
message. Calls of one `stream_id` follow each other, those of several run side by side. A call that
names a `previous_response_id` sends only what is new. Source:
https://developers.openai.com/api/docs/guides/websocket-mode (Codex, xAI and openai-agents do the
same).

Each call is given as the HTTP exchange it stands for, so that all that reads exchanges reads it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from tracelake.model import derived_id
from tracelake.wire.frames import agreed_deflate, text_messages
from tracelake.wire.lenient import (
    JsonObject,
    amount,
    array,
    mapping,
    name_or_none,
    parse_object,
    storable,
    string,
)
from tracelake.wire.responses import FINAL

if TYPE_CHECKING:
    from tracelake.model import Exchange

_ENDINGS = FINAL | {"error"}
_SWITCHED = 101
#: Fields of `response.create` that the request over HTTP does not have.
_TRANSPORT = frozenset({"type", "stream_id", "event_id", "generate", "previous_response_id"})


@dataclass(slots=True)
class _Created:
    """One `response.create`, and the events that answered it."""

    asked: JsonObject
    events: list[JsonObject] = field(default_factory=list[JsonObject])

    @property
    def response(self) -> JsonObject:
        """The last state of the response that the server told."""
        told = (mapping(event.get("response")) for event in reversed(self.events))
        return next((response for response in told if response), {})

    @property
    def output(self) -> list[Any]:
        """The items it put out."""
        done = [e.get("item") for e in self.events if e.get("type") == "response.output_item.done"]
        return array(self.response.get("output")) or done

    @property
    def has_ended(self) -> bool:
        """Whether the server said that it is over."""
        return bool(self.events) and self.events[-1].get("type") in _ENDINGS

    @property
    def is_warm_up(self) -> bool:
        """Whether nothing was to be generated."""
        return self.asked.get("generate") is False and not self.output


def is_tunnel(exchange: Exchange) -> bool:
    """Whether an exchange is a WebSocket that carries calls."""
    path = exchange.path.partition("?")[0].rstrip("/")
    return exchange.status == _SWITCHED and path.endswith("/responses")


def calls_within(exchange: Exchange) -> list[Exchange]:
    """The calls that went over a WebSocket, in the order of their start.

    Each has an id derived from that of the WebSocket. The times are the server's (`created_at`,
    `completed_at`), within those of the WebSocket: whole seconds, as no others are told. Where a
    call builds on one before it, its input holds the whole conversation.
    """
    if not is_tunnel(exchange):
        return []
    created = _answered(*_both_sides(exchange))
    inputs: dict[str, list[Any]] = {}
    ends: dict[str, datetime] = {}
    found: list[Exchange] = []
    for index, call in enumerate(created):
        asked = _whole_input(call.asked, inputs)
        if response_id := name_or_none(call.response.get("id")):
            inputs[response_id] = [*asked, *call.output]
        if not call.is_warm_up:
            lane = string(call.asked.get("stream_id"))
            start, end = _times(exchange, call, ends.get(lane, exchange.start_time))
            ends[lane] = end
            found.append(_exchange(exchange, call, asked, index, start=start, end=end))
    return sorted(found, key=lambda call: call.start_time)


def _both_sides(exchange: Exchange) -> tuple[list[JsonObject], list[JsonObject]]:
    """The JSON messages of the client and of the server."""
    deflate = agreed_deflate(exchange.response_header("sec-websocket-extensions"))
    sent = text_messages(
        exchange.request_body,
        deflated=deflate is not None,
        starts_afresh=deflate is not None and deflate.client_starts_afresh,
    )
    received = text_messages(
        exchange.response_body,
        deflated=deflate is not None,
        starts_afresh=deflate is not None and deflate.server_starts_afresh,
    )
    asked, told = ([parse_object(text) for text in side] for side in (sent, received))
    return [m for m in asked if m is not None], [m for m in told if m is not None]


def _answered(sent: list[JsonObject], received: list[JsonObject]) -> list[_Created]:
    """Every `response.create` with its events: those of a stream answer its oldest open call."""
    created = [_Created(message) for message in sent if message.get("type") == "response.create"]
    waiting: defaultdict[str, deque[_Created]] = defaultdict(deque)
    for call in created:
        waiting[string(call.asked.get("stream_id"))].append(call)
    for event in received:
        lane = waiting[string(event.get("stream_id"))]
        if not lane and event.get("type") == "error":
            # an error that names no stream: of whichever call is open
            lane = next((calls for calls in waiting.values() if calls), lane)
        if lane and _belongs(event):
            lane[0].events.append(event)
            if event.get("type") in _ENDINGS:
                lane.popleft()
    return created


def _belongs(event: JsonObject) -> bool:
    """Whether a server's message is about a response, and not about the connection."""
    kind = string(event.get("type"))
    return kind == "error" or (kind.startswith("response.") and ".steer." not in kind)


def _whole_input(asked: JsonObject, inputs: dict[str, list[Any]]) -> list[Any]:
    given = asked.get("input")
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    before = inputs.get(string(asked.get("previous_response_id")), [])
    return [*before, *array(given)]


def _exchange(
    tunnel: Exchange,
    call: _Created,
    items: list[Any],
    index: int,
    *,
    start: datetime,
    end: datetime,
) -> Exchange:
    body = {key: value for key, value in call.asked.items() if key not in _TRANSPORT}
    body |= {"stream": True}
    if not isinstance(body.get("input"), str) or len(items) > 1:
        body["input"] = items
    events = [b"data: " + orjson.dumps(storable(event)) + b"\n\n" for event in call.events]
    kept = [pair for pair in tunnel.request_headers if not _is_of_handshake(pair[0])]
    return replace(
        tunnel,
        span_id=derived_id(tunnel.span_id, "call", index),
        method="POST",
        request_headers=(*kept, ("content-type", "application/json")),
        request_body=orjson.dumps(storable(body)),
        start_time=start,
        first_byte_time=None,
        end_time=end,
        status=200 if call.events else None,
        response_headers=(("content-type", "text/event-stream"),),
        response_body=b"".join(events),
        outcome="ok" if call.has_ended else _broken_off(tunnel.outcome),
    )


def _broken_off(outcome: str) -> str:
    """How a call ended that the WebSocket did not outlast."""
    return "client_disconnected" if outcome == "ok" else outcome


def _times(tunnel: Exchange, call: _Created, since: datetime) -> tuple[datetime, datetime]:
    """Start and end of a call that did not start before `since`."""
    last = tunnel.end_time or tunnel.start_time
    start = _moment(call.response.get("created_at")) or since
    start = min(max(start, since), last)
    end = _moment(call.response.get("completed_at")) or last
    return start, min(max(end, start), last)


def _moment(seconds: Any) -> datetime | None:
    number = amount(seconds)
    # a number that is no time of this century is none at all
    return datetime.fromtimestamp(number, UTC) if number and number < 4e9 else None


def _is_of_handshake(name: str) -> bool:
    lower = name.lower()
    return lower.startswith("sec-websocket-") or lower in {"upgrade", "connection"}
