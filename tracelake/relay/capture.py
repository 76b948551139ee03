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
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httptools

from tracelake.relay.redact import REDACTED, Redaction, credentials
from tracelake.storage.xlog import Record

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


def opened_record(capture: Capture, redaction: Redaction) -> Record:
    """The record of a request: redacted; fields as in `storage.xlog.opened_record`."""
    body = b"".join(capture.request)
    headers = _texts(capture.request_headers)
    kept, described = _redacted(headers, body, redaction)
    route = capture.route
    meta = {
        "run_id": route.run_id,
        "trace_id": None,
        "start_time": _iso(capture.start_ns / 1e9),
        "method": capture.method.decode(),
        "path": redaction.path(route.path),
        "upstream": route.backend.name,
        "request_headers": described,
        "client": {"host": capture.peer[0], "port": capture.peer[1]},
    }
    return Record("opened", capture.span_id, meta, kept)


def ended_record(capture: Capture, redaction: Redaction) -> Record:
    """The record of a response, as far as it came; fields as in `storage.xlog.ended_record`."""
    raw = parse_response(capture.response)
    kept, described = _redacted(_texts(raw.headers), raw.body, redaction)
    if raw.status is not None and raw.status >= 400:
        for secret in credentials(_texts(capture.request_headers)):
            kept = kept.replace(secret, REDACTED.encode())
    meta: dict[str, Any] = {
        "first_byte_time": _iso(capture.first_byte) if capture.first_byte else None,
        "end_time": _iso(capture.end),
        "status": raw.status,
        "response_headers": described,
        "outcome": capture.outcome,
    }
    if capture.unrecorded_bytes:
        meta["unrecorded_bytes"] = capture.unrecorded_bytes
    return Record("ended", capture.span_id, meta, kept)


def _redacted(
    headers: list[tuple[str, str]], body: bytes, redaction: Redaction
) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Body and headers to keep; the headers fit the body where its encoding was taken off."""
    kept = redaction.headers(headers)
    if not redaction.patterns:
        return body, kept
    body, decoded = redaction.body(body, encoding=_first(headers, "content-encoding"))
    if decoded:
        kept = tuple(pair for pair in kept if pair[0].lower() != "content-encoding")
    return body, kept


def _texts(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _first(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _iso(seconds: float) -> str:
    """As `model.to_iso`: microseconds and `Z`."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_second(whole)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
