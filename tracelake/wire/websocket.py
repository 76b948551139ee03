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
from tracelake.wire.frames import readers
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
from tracelake.wire.stamps import passed

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.wire.frames import MessageReader
    from tracelake.wire.stamps import Side


_ENDINGS = FINAL | {"error"}
_SWITCHED = 101
#: Fields of `response.create` that the request over HTTP does not have.
_TRANSPORT = frozenset({"type", "stream_id", "event_id", "generate", "previous_response_id"})


@dataclass(slots=True)
class _Created:
    """One `response.create`, and the events that answered it.

    Attributes:
        index: How many were created before it.
        items: The whole input, once it is known.
        since: When it was asked; None where no times were recorded.
        first_output: When the first of its output came.
        until: When its last event came.
    """

    asked: JsonObject
    index: int
    since: datetime | None
    items: list[Any] = field(default_factory=list[Any])
    events: list[JsonObject] = field(default_factory=list[JsonObject])
    first_output: datetime | None = None
    until: datetime | None = None

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


class Tunnel:
    """The calls of one WebSocket, told as they begin and as they end.

    Args:
        exchange: The WebSocket, once its protocol has been switched; its bodies are not looked at.
        is_live: Tell of calls as they begin and end, and forget those that have ended; otherwise
            `calls` tells of all at the end.
    """

    def __init__(self, exchange: Exchange, *, is_live: bool = False) -> None:
        self._exchange = exchange
        self._is_live = is_live
        client, server = readers(exchange.response_header("sec-websocket-extensions"))
        self._readers: dict[Side, MessageReader] = {"request": client, "response": server}
        self._created: list[_Created] = []
        self._waiting: defaultdict[str, deque[_Created]] = defaultdict(deque)
        self._inputs: dict[str, list[Any]] = {}

    def taken(self, side: Side) -> int:
        """How many bytes of a side were given so far."""
        return self._readers[side].taken

    def feed(
        self, side: Side, data: bytes, at: datetime | None = None
    ) -> list[tuple[Exchange, bool]]:
        """Take in what one side sent.

        Args:
            side: Who sent it: the client its requests, the server its responses.
            data: The next bytes.
            at: When they came, UTC.

        Returns:
            Calls that began, and calls that ended, each with whether it began.
        """
        told: list[tuple[Exchange, bool]] = []
        for text in self._readers[side].feed(data):
            message = parse_object(text)
            if message is None:
                continue
            found = self._asked(message, at) if side == "request" else self._told(message, at)
            if found is not None:
                told.append(found)
        return told

    def calls(self, whole: Exchange) -> list[Exchange]:
        """All calls, as far as they came, in the order of their start.

        Args:
            whole: The WebSocket with its end and outcome.
        """
        ends: dict[str, datetime] = {}
        found: list[Exchange] = []
        self._exchange = whole
        for call in self._created:
            self._settle(call)
            if call.is_warm_up:
                continue
            lane = string(call.asked.get("stream_id"))
            start, end = _times(whole, call, ends.get(lane, whole.start_time))
            ends[lane] = end
            found.append(_exchange(whole, call, start=start, end=end))
        return sorted(found, key=lambda call: call.start_time)

    def _asked(self, message: JsonObject, at: datetime | None) -> tuple[Exchange, bool] | None:
        if message.get("type") != "response.create":
            return None
        call = _Created(message, len(self._created), at)
        self._created.append(call)
        self._waiting[string(message.get("stream_id"))].append(call)
        self._settle(call)
        if not self._is_live or at is None or message.get("generate") is False:
            return None
        return _exchange(self._exchange, call, start=at, end=at), True

    def _told(self, event: JsonObject, at: datetime | None) -> tuple[Exchange, bool] | None:
        """Events of a stream answer its oldest open call."""
        lane = self._waiting[string(event.get("stream_id"))]
        if not lane and event.get("type") == "error":
            # an error that names no stream: of whichever call is open
            lane = next((calls for calls in self._waiting.values() if calls), lane)
        if not lane or not _belongs(event):
            return None
        call = lane[0]
        call.events.append(event)
        call.until = at
        if call.first_output is None and _is_output(event):
            call.first_output = at
        if event.get("type") not in _ENDINGS:
            return None
        lane.popleft()
        self._settle(call)
        if not self._is_live or call.since is None or at is None:
            return None
        ended = _exchange(self._exchange, call, start=call.since, end=at)
        self._created[call.index] = _Created({}, call.index, None)
        return None if call.asked.get("generate") is False else (ended, False)

    def _settle(self, call: _Created) -> None:
        """Find its whole input, and keep the conversation for calls that build on it."""
        call.items = _whole_input(call.asked, self._inputs)
        if response_id := name_or_none(call.response.get("id")):
            self._inputs[response_id] = [*call.items, *call.output]


def calls_within(exchange: Exchange) -> list[Exchange]:
    """The calls that went over a WebSocket, in the order of their start.

    Each has an id derived from that of the WebSocket. Their times are those at which the relay
    passed their messages on; where it did not record them, the server's (`created_at`,
    `completed_at`: whole seconds), within those of the WebSocket. Where a call builds on one before
    it, its input holds the whole conversation.
    """
    if not is_tunnel(exchange):
        return []
    tunnel = Tunnel(exchange)
    for side, data, at in passed(exchange):
        tunnel.feed(side, data, at)
    return tunnel.calls(exchange)


def _is_output(event: JsonObject) -> bool:
    """Whether an event holds something of the answer."""
    kind = string(event.get("type"))
    return kind.endswith(".delta") or kind == "response.output_item.added"


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


def _exchange(tunnel: Exchange, call: _Created, *, start: datetime, end: datetime) -> Exchange:
    body = {key: value for key, value in call.asked.items() if key not in _TRANSPORT}
    body |= {"stream": True}
    if not isinstance(body.get("input"), str) or len(call.items) > 1:
        body["input"] = call.items
    events = [b"data: " + orjson.dumps(storable(event)) + b"\n\n" for event in call.events]
    kept = [pair for pair in tunnel.request_headers if not _is_of_handshake(pair[0])]
    return replace(
        tunnel,
        span_id=derived_id(tunnel.span_id, "call", call.index),
        method="POST",
        request_headers=(*kept, ("content-type", "application/json")),
        request_body=orjson.dumps(storable(body)),
        start_time=start,
        first_byte_time=call.first_output,
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
    """Start and end of a call; where only the server tells them, not before `since`."""
    last = tunnel.end_time or tunnel.start_time
    if call.since is not None:
        return call.since, call.until if call.until and call.has_ended else max(last, call.since)
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
