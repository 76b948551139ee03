"""The records made of what the relay holds of an exchange."""

from __future__ import annotations

import pytest

from tracelake.model import UPSTREAM_URL, from_iso, to_iso
from tracelake.relay.capture import Capture, ended_record, opened_record
from tracelake.relay.redact import Redaction
from tracelake.relay.routing import Route, parse_backend
from tracelake.storage import xlog


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
