"""Chunked request bodies, wherever the network cuts them."""

from __future__ import annotations

import pytest

from tracelake.relay.chunks import ChunkedBody
from tracelake.relay.heads import BadHead

BODY = b"5;a=b\r\nhello\r\nB \r\n, to chunks\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_a_body_is_the_same_wherever_it_is_cut(step: int) -> None:
    """Pieces, trailers and the end of the body do not depend on the borders of reads."""
    chunks, found, end = ChunkedBody(), b"", None
    sent = BODY + b"GET"
    at = 0
    while end is None:
        pieces, end = chunks.feed(sent[at : at + step])
        found += b"".join(pieces)
        at += step if end is None else end
    assert (found, at) == (b"hello, to chunks", len(BODY))
    assert chunks.trailers == [b"X-Sum: 1", b"X-B: 2"]


@pytest.mark.parametrize(
    "body",
    [b"x\r\n", b"-1\r\n", b"1\nab", b"1\r\nabc\r\n", b"\r\n", b"1;" + b"x" * 70_000],
)
def test_what_is_no_chunk_is_refused(body: bytes) -> None:
    """A body that two servers could cut apart differently goes no further."""
    with pytest.raises(BadHead):
        ChunkedBody().feed(body)
