"""Compressed bodies, told of by their headers or not."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard

from tests.unit.wire.exchanges import CHAT, exchange
from tracelake.redaction import parse_patterns
from tracelake.relay.redact import Redaction
from tracelake.wire import read_request, read_response

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "hunter7"}}], "model": "m"}
BODY = json.dumps(ANSWER).encode()
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("packed", "encodings"),
    [
        (gzip.compress(BODY), ["gzip"]),
        (gzip.compress(BODY), []),
        (zstandard.compress(BODY), ["identity"]),
        (gzip.compress(gzip.compress(BODY)), ["gzip"]),
        (gzip.compress(gzip.compress(BODY)), ["gzip", "gzip"]),
        (gzip.compress(zstandard.compress(BODY)), ["zstd, gzip"]),
        (gzip.compress(zstandard.compress(BODY)), ["zstd", "gzip"]),
        (BODY, ["gzip"]),
    ],
)
def test_an_answer_is_read_however_often_it_was_compressed(
    packed: bytes, encodings: list[str]
) -> None:
    """Headers that are missing, wrong or there twice do not hide an answer, nor what is in it."""
    headers = tuple(("Content-Encoding", value) for value in encodings)
    answered = exchange(CHAT, ASKED, packed, response_headers=headers)
    request = read_request(answered)
    assert request is not None
    assert read_response(answered, request).text == "hunter7"
    redaction = Redaction(parse_patterns("hunter[0-9]"))
    kept, _ = redaction.body(packed, encoding=", ".join(encodings))
    if packed is not BODY:  # plain bytes that claim to be compressed are withheld whole
        assert json.loads(kept)["choices"][0]["message"]["content"] == "[redacted]"
    assert b"hunter7" not in kept


def test_a_compressed_request_without_its_header_is_read() -> None:
    """What was asked is read from the bytes themselves."""
    request = read_request(exchange(CHAT, gzip.compress(json.dumps(ASKED).encode())))
    assert request is not None
    assert request.atoms[0].text == "hi"


def test_bytes_that_only_begin_like_gzip_stay() -> None:
    """No body is lost to a guess."""
    answered = exchange(CHAT, ASKED, b"\x1f\x8b\x08 and no gzip at all")
    request = read_request(answered)
    assert request is not None
    assert read_response(answered, request).error_type == "unreadable_answer"
