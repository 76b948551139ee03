"""What the relay holds of one exchange while it passes, and the record made of it.

The event loop only appends to a `Capture`; everything that costs time (parsing the response head,
removing chunked framing, redaction) happens here, in the recorder's thread.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httptools

from tracelake.model import Exchange
from tracelake.relay.redact import REDACTED, Redaction, credentials

if TYPE_CHECKING:
    from tracelake.relay.routing import Route

#: More than this of one request or response is forwarded, but not recorded.
BODY_MAX_BYTES = 128 * 1024 * 1024

_process_tag = int.from_bytes(os.urandom(6), "big")
_serial = itertools.count()


class Capture:
    """One exchange in flight. Times are seconds since the epoch.

    Attributes:
        start_ns: When the request head was read.
        method: As the client sent it.
        route: Where it goes.
        peer: Address and port of the client.
        request: Pieces of the request body, chunked framing removed.
        response: Pieces of the response as they came: heads, framing and all.
        unrecorded_bytes: Forwarded, but not kept: too long, or no room to hold it.
        held_bytes: Length of all pieces held.
        opened: The `opened` record has been handed to the recorder.
        amended: The request went on after that (a tunnel): its record must be written again.
    """

    __slots__ = (
        "_serial",
        "amended",
        "end",
        "first_byte",
        "held_bytes",
        "method",
        "opened",
        "outcome",
        "peer",
        "request",
        "request_headers",
        "response",
        "route",
        "start_ns",
        "unrecorded_bytes",
    )

    def __init__(
        self,
        method: bytes,
        route: Route,
        peer: tuple[str, int],
        request_headers: list[tuple[bytes, bytes]],
    ) -> None:
        self.start_ns = time.time_ns()
        self._serial = next(_serial)
        self.method = method
        self.route = route
        self.peer = peer
        self.request_headers = request_headers
        self.request: list[bytes] = []
        self.response: list[bytes] = []
        self.first_byte = 0.0
        self.end = 0.0
        self.outcome = "running"
        self.unrecorded_bytes = 0
        self.held_bytes = 0
        self.opened = False
        self.amended = False

    @property
    def span_id(self) -> str:
        """Its id: 32 hexadecimal digits, ascending in the order of creation."""
        return f"{self.start_ns:016x}{self._serial & 0xFFFF:04x}{_process_tag:012x}"


class _Head:
    """Collects status, headers and body of the final response from httptools callbacks."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.complete = False

    def on_message_begin(self) -> None:
        self.headers, self.body, self.complete = [], [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True

    def on_body(self, data: bytes) -> None:
        self.body.append(data)


@dataclass(frozen=True, slots=True)
class RawResponse:
    """The final response of an exchange, as far as it came; `status` None if its head did not."""

    status: int | None
    headers: list[tuple[bytes, bytes]]
    body: bytes


def parse_response(pieces: list[bytes]) -> RawResponse:
    """Take a response apart: interim responses are skipped, chunked framing is removed.

    Bytes after a switch of protocols (a WebSocket's frames) are the body.
    """
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    for index, piece in enumerate(pieces):
        try:
            parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            body = piece[upgrade.args[0] :] + b"".join(pieces[index + 1 :])
            return RawResponse(101, head.headers, body)
        except httptools.HttpParserError:
            break
    status = parser.get_status_code() if head.complete else None
    return RawResponse(status, head.headers if head.complete else [], b"".join(head.body))


def request_side(capture: Capture, redaction: Redaction) -> Exchange:
    """The exchange as its `opened` record tells it: redacted, without a response."""
    headers = _texts(capture.request_headers)
    body, decoded = redaction.body(
        b"".join(capture.request), encoding=_first(headers, "content-encoding")
    )
    return Exchange(
        span_id=capture.span_id,
        start_time=_moment(capture.start_ns / 1e9),
        method=capture.method.decode(),
        path=redaction.path(capture.route.path),
        upstream=capture.route.backend.name,
        request_headers=_described(redaction.headers(headers), decoded=decoded),
        request_body=body,
        run_id=capture.route.run_id,
        client=_client(capture),
    )


def response_side(capture: Capture, redaction: Redaction) -> Exchange:
    """The exchange as its `ended` record tells it; of the request only what identifies it."""
    raw = parse_response(capture.response)
    headers = _texts(raw.headers)
    body, decoded = redaction.body(raw.body, encoding=_first(headers, "content-encoding"))
    if raw.status is not None and raw.status >= 400:
        for secret in credentials(_texts(capture.request_headers)):
            body = body.replace(secret, REDACTED.encode())
    return Exchange(
        span_id=capture.span_id,
        start_time=_moment(capture.start_ns / 1e9),
        method=capture.method.decode(),
        path="",
        upstream=capture.route.backend.name,
        request_headers=(),
        request_body=b"",
        first_byte_time=_moment(capture.first_byte) if capture.first_byte else None,
        end_time=_moment(capture.end),
        status=raw.status,
        response_headers=_described(redaction.headers(headers), decoded=decoded),
        response_body=body,
        outcome=capture.outcome,
    )


def _described(
    headers: tuple[tuple[str, str], ...], *, decoded: bool
) -> tuple[tuple[str, str], ...]:
    """Headers that fit the body kept: without its encoding where that was taken off."""
    if not decoded:
        return headers
    return tuple(pair for pair in headers if pair[0].lower() != "content-encoding")


def _client(capture: Capture) -> dict[str, Any]:
    return {"host": capture.peer[0], "port": capture.peer[1]}


def _texts(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _first(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
