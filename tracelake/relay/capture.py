"""What the relay holds of one exchange while it passes, and the record made of it.

The event loop only appends to a `Capture`; everything that costs time (parsing the response head,
removing chunked framing, redaction) happens here, in the recorder's thread.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httptools

from tracelake.model import PASSED, UPSTREAM_URL
from tracelake.relay.heads import HEAD_END
from tracelake.relay.redact import REDACTED, Redaction, credentials
from tracelake.storage.xlog import Record

if TYPE_CHECKING:
    from tracelake.relay.routing import Route
    from tracelake.wire.stamps import Side

#: More than this of one request or response is forwarded, but not recorded.
BODY_MAX_BYTES = 128 * 1024 * 1024

_EXTENSIONS = "sec-websocket-extensions"
#: Further pieces of a tunnel are recorded without their times.
_STAMPS_MAX = 100_000
#: Start lines of responses that are neither interim nor a switch of protocols.
_FINAL_STATUS = re.compile(rb"HTTP/1\.[01] [2-5][0-9]{2}(?: |\Z)")

#: Part of a body, as it came from the network or as a view of that.
Piece = bytes | memoryview

_process_tag = int.from_bytes(os.urandom(6), "big")
_serial = itertools.count()


class Capture:
    """One exchange in flight. Times are seconds since the epoch.

    Attributes:
        start_ns: When the request head was read.
        method: As the client sent it.
        route: Where it goes.
        peer: Address and port of the client.
        head: The request head as it came, without its last line ends.
        request: Pieces of the request body, chunked framing removed.
        response: Pieces of the response as they came: heads, framing and all.
        unrecorded_bytes: Forwarded, but not kept: too long, or no room to hold it.
        held_bytes: Length of all pieces held.
        opened: The `opened` record has been handed to the recorder.
        amended: The request went on after that (a tunnel): its record must be written again.
        passing: Pieces of a tunnel that are to be told at once.
        stamps: Of a tunnel, by side: bytes passed so far, and microseconds since the start.
        extensions: What was agreed on for a WebSocket.
    """

    first_byte = 0.0
    end = 0.0
    outcome = "running"
    unrecorded_bytes = 0
    held_bytes = 0
    opened = False
    amended = False
    extensions: str | None = None
    passing: deque[Record]
    stamps: dict[Side, list[tuple[int, int]]] | None = None

    def __init__(self, method: bytes, route: Route, peer: tuple[str, int], head: bytes) -> None:
        self.start_ns = time.time_ns()
        self._serial = next(_serial)
        self.method = method
        self.route = route
        self.peer = peer
        self.head = head
        self.request: list[Piece] = []
        self.response: list[bytes] = []

    @property
    def span_id(self) -> str:
        """Its id: 32 hexadecimal digits, ascending in the order of creation."""
        return f"{self.start_ns:016x}{self._serial & 0xFFFF:04x}{_process_tag:012x}"

    @property
    def request_headers(self) -> list[tuple[str, str]]:
        """Name and value of each header of the request, in order."""
        return [_pair(line) for line in self.head.split(b"\r\n")[1:]]


def switched(capture: Capture) -> list[tuple[Side, bytes]]:
    """Note that a tunnel is open; what of both sides has passed already."""
    raw = parse_response(capture.response)
    capture.extensions = _first(raw.headers, _EXTENSIONS)
    capture.passing = deque()
    capture.stamps = {"request": [], "response": []}
    early: list[tuple[Side, bytes]] = [("request", bytes(piece)) for piece in capture.request]
    return [*early, ("response", raw.body)] if raw.body else early


def clean_side(
    capture: Capture, side: Side, body: bytes, redaction: Redaction
) -> tuple[bytes, list[tuple[int, int]]]:
    """One side of a tunnel without what the patterns match, and its stamps.

    Its frames are masked or compressed, so it is written as plain ones of its text messages; what
    is no text message is left out.
    """
    from tracelake.wire.frames import plain_frame, readers

    reader = readers(capture.extensions)[side == "response"]
    kept = bytearray()
    stamps: list[tuple[int, int]] = []
    given = (capture.stamps or {}).get(side, [])
    start = micros = 0
    for end, micros in [*given, (len(body), given[-1][1] if given else 0)]:
        for text in reader.feed(body[start:end]):
            kept += plain_frame(redaction.patterns.sub(text.encode()))
        start = end
        if len(kept) > (stamps[-1][0] if stamps else 0):
            stamps.append((len(kept), micros))
    return bytes(kept), stamps


def note_passed(capture: Capture, side: Side, data: bytes) -> Record | None:
    """Stamp a piece that a tunnel passed on; its record, None when there are too many pieces."""
    stamps = capture.stamps
    if stamps is None or len(stamps[side]) >= _STAMPS_MAX:
        return None
    offset = stamps[side][-1][0] if stamps[side] else 0
    micros = (time.time_ns() - capture.start_ns) // 1000
    stamps[side].append((offset + len(data), micros))
    meta = {"side": side, "offset": offset, "micros": micros, "extensions": capture.extensions}
    return Record("passed", capture.span_id, meta, data)


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
    headers: list[tuple[str, str]]
    body: bytes


def parse_response(pieces: list[bytes]) -> RawResponse:
    """Take a response apart: interim responses are skipped, chunked framing is removed.

    Bytes after a switch of protocols (a WebSocket's frames) are the body.
    """
    return _parse_plain(pieces) or _parse_any(pieces)


def _parse_plain(pieces: list[bytes]) -> RawResponse | None:
    """The response if it is a final one without chunks, as most are that do not stream."""
    whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    end = whole.find(HEAD_END)
    lines = whole[: max(end, 0)].split(b"\r\n")
    if end < 0 or not _FINAL_STATUS.match(lines[0]):
        return None
    headers = [_pair(line) for line in lines[1:]]
    names = {name.lower(): value for name, value in headers}
    length = names.get("content-length", "")
    if "transfer-encoding" in names or not length.isdigit() or "" in names:
        return None
    start = end + len(HEAD_END)
    body = whole[start : start + int(length)]
    return RawResponse(int(lines[0][9:12]), headers, body)


def _parse_any(pieces: list[bytes]) -> RawResponse:
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    for index, piece in enumerate(pieces):
        try:
            parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            body = piece[upgrade.args[0] :] + b"".join(pieces[index + 1 :])
            return RawResponse(101, _texts(head.headers), body)
        except httptools.HttpParserError:
            break
    status = parser.get_status_code() if head.complete else None
    headers = _texts(head.headers) if head.complete else []
    return RawResponse(status, headers, b"".join(head.body))


def opened_record(capture: Capture, redaction: Redaction) -> Record:
    """The record of a request: redacted; fields as in `storage.xlog.opened_record`."""
    body = b"".join(capture.request) if len(capture.request) != 1 else bytes(capture.request[0])
    if not redaction.patterns:
        kept, described = body, tuple(map(_kept, capture.head.split(b"\r\n")[1:]))
    else:
        kept, described = _redacted(capture.request_headers, body, redaction)
        if capture.stamps is not None:
            kept = clean_side(capture, "request", body, redaction)[0]
    route = capture.route
    if not route.backend.is_usual:
        described = ((UPSTREAM_URL, route.backend.url), *described)
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
    kept, described = _redacted(raw.headers, raw.body, redaction)
    if raw.status is not None and raw.status >= 400:
        for secret in credentials(capture.request_headers):
            kept = kept.replace(secret, REDACTED.encode())
    if capture.stamps is not None:
        from tracelake.wire.stamps import render_passed  # few relays see a WebSocket

        stamps: dict[Side, list[tuple[int, int]]] = capture.stamps
        if redaction.patterns:
            kept, told = clean_side(capture, "response", raw.body, redaction)
            _, asked = clean_side(capture, "request", b"".join(capture.request), redaction)
            stamps = {"request": asked, "response": told}
            described = tuple(pair for pair in described if pair[0].lower() != _EXTENSIONS)
        described = (*described, (PASSED, render_passed(stamps)))
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
    body, decoded = redaction.body(body, encoding=_all(headers, "content-encoding"))
    if decoded:
        kept = tuple(pair for pair in kept if pair[0].lower() != "content-encoding")
    return body, kept


def _texts(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


@lru_cache(maxsize=4096)
def _pair(line: bytes) -> tuple[str, str]:
    """Name and value of a header line; programs repeat most of theirs in every request."""
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip(" \t")


@lru_cache(maxsize=4096)
def _kept(line: bytes) -> tuple[str, str]:
    """Name and value of a header line without credentials; most are repeated in every request."""
    return Redaction().headers([_pair(line)])[0]


def _first(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _all(headers: list[tuple[str, str]], name: str) -> str:
    return ", ".join(value for key, value in headers if key.lower() == name)


def _iso(seconds: float) -> str:
    """As `model.to_iso`: microseconds and `Z`."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_second(whole)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
