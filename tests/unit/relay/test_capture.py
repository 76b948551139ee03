"""The records made of what the relay holds of an exchange."""

from __future__ import annotations

import json
import time
import zlib

import pytest

from tracelake.model import UPSTREAM_URL, from_iso, to_iso
from tracelake.redaction import parse_patterns
from tracelake.relay.capture import Capture, ended_record, note_passed, opened_record, switched
from tracelake.relay.redact import Redaction
from tracelake.relay.routing import Route, parse_backend
from tracelake.storage import xlog
from tracelake.wire import calls_within


def test_records_hold_what_the_exchange_log_writes_of_an_exchange() -> None:
    """Folded and written again, the records of a capture are the same, fields, times and all."""
    route = Route(parse_backend("openai", "http://up"), "openai", "/v1/x", "/x", "run")
    capture = Capture(b"POST", route, ("::1", 7), b"POST /x HTTP/1.1\r\nAuthorization: k\r\nA:1 ")
    capture.request.append(b"question")
    capture.response.append(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer")
    capture.first_byte, capture.end, capture.outcome = 1.0000004, 2.9999999, "ok"
    records = [opened_record(capture, Redaction()), ended_record(capture, Redaction())]
    exchange = xlog.fold_records(records)[capture.span_id].exchange
    assert [xlog.encode(record) for record in records] == [
        xlog.encode(xlog.opened_record(exchange)),
        xlog.encode(xlog.ended_record(exchange)),
    ]
    sent = (("Authorization", "[redacted]"), ("A", "1"))
    assert exchange.request_headers == ((UPSTREAM_URL, "http://up"), *sent)
    times = [records[1].meta[name] for name in ("first_byte_time", "end_time")]
    assert times == [to_iso(from_iso(time)) for time in times]
    assert times == ["1970-01-01T00:00:01.000000Z", "1970-01-01T00:00:03.000000Z"]


@pytest.mark.parametrize(
    ("name", "url", "told"),
    [
        ("openai", "https://api.openai.com/v1", []),
        ("anthropic", "https://api.anthropic.com", []),
        ("openai", "https://api.groq.com/openai/v1", ["https://api.groq.com/openai/v1"]),
        ("fast", "https://api.openai.com/v1", ["https://api.openai.com/v1"]),
    ],
)
def test_where_a_call_went_is_recorded(name: str, url: str, told: list[str]) -> None:
    """Which vendor answered can be told, also where another stands behind a well-known name."""
    route = Route(parse_backend(name, url), "openai", "/v1/x", "/x", None)
    capture = Capture(b"POST", route, ("::1", 7), b"POST /x HTTP/1.1\r\nA: 1")
    headers = opened_record(capture, Redaction()).meta["request_headers"]
    assert [value for key, value in headers if key == UPSTREAM_URL] == told


def test_what_a_pattern_matches_is_not_in_the_frames_of_a_websocket() -> None:
    """Masked, compressed or cut into frames: neither the record nor the calls in it hold it."""
    deflater = zlib.compressobj(wbits=-15)
    asked = json.dumps({"type": "response.create", "model": "m", "input": "hunter7 asks"}).encode()
    packed = (deflater.compress(asked) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    mask = b"abcd"
    frame = bytes((0xC1, 0x80 | len(packed))) + mask
    frame += bytes(byte ^ mask[at % 4] for at, byte in enumerate(packed))
    response = {"id": "r", "status": "completed", "output": [], "model": "hunter7"}
    told = json.dumps({"type": "response.completed", "response": response}).encode()
    route = Route(parse_backend("openai", "http://up"), "openai", "/responses", "/responses", None)
    capture = Capture(b"GET", route, ("::1", 7), b"GET /responses HTTP/1.1")
    capture.response.append(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    assert switched(capture) == []
    for half in (frame[:20], frame[20:]):
        capture.request.append(half)
        note_passed(capture, "request", half)
    capture.response.append(bytes((0x81, len(told))) + told)
    note_passed(capture, "response", capture.response[-1])
    capture.end, capture.outcome = time.time(), "ok"
    redaction = Redaction(parse_patterns("hunter[0-9]"))
    records = [opened_record(capture, redaction), ended_record(capture, redaction)]
    exchange = xlog.fold_records(records)[capture.span_id].exchange
    assert b"hunter7" not in exchange.request_body + exchange.response_body
    assert mask not in exchange.request_body
    (call,) = calls_within(exchange)
    assert b"[redacted] asks" in call.request_body
    assert b'"model":"[redacted]"' in call.response_body
    assert exchange.start_time < call.start_time < (call.end_time or call.start_time)
