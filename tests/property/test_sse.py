"""Server-sent events do not depend on how the bytes were cut, nor decoding on a cut body."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import brotli
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from tracelake.wire.decode import decode_body
from tracelake.wire.sse import SseEvent, SseParser, parse_events

#: Lines built of what an event stream is made of, and of anything else.
_LINES = st.one_of(
    st.sampled_from(
        ["", "", "data", "data:", "data: ", "data: {}", "data:[DONE]", ":", ": ping", "event: x"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda s: f"data: {s}"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
_STREAMS = st.lists(st.tuples(_LINES, _ENDS), max_size=12).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def feed_in_pieces(body: bytes, borders: list[int]) -> list[SseEvent]:
    """The events of a body that arrives cut at the given places."""
    parser = SseParser()
    events: list[SseEvent] = []
    places = sorted({0, len(body), *(border % (len(body) + 1) for border in borders)})
    for start, end in pairwise(places):
        events += parser.feed(body[start:end])
    return events + parser.close()


@given(_STREAMS, st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_events_do_not_depend_on_chunk_borders(
    body: bytes, borders: list[int], marked: bool
) -> None:
    """Wherever a stream is cut, between CR and LF or within a character, it says the same."""
    if marked:
        body = b"\xef\xbb\xbf" + body
    assert feed_in_pieces(body, borders) == parse_events(body)


@given(_STREAMS)
def test_one_byte_at_a_time_equals_all_at_once(body: bytes) -> None:
    """The slowest stream there is gives the same events as one that comes at once."""
    assert feed_in_pieces(body, list(range(len(body)))) == parse_events(body)


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20), min_size=1))
def test_data_of_several_lines_is_joined(lines: list[str]) -> None:
    """An event's data lines come back as the lines they were."""
    body = "".join(f"data: {line}\r\n" for line in lines) + "\r\n"
    assert parse_events(body.encode()) == [SseEvent("message", "\n".join(lines))]


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate", "raw", "br", "zstd"]))
@example(b"\x28\xb5\x2f\xfd", "gzip")
@example(b"\x1f\x8b\x08", "zstd")
def test_a_compressed_body_is_decoded(body: bytes, encoding: str) -> None:
    """Each content encoding gives the bytes that went into it, doubled encodings too."""
    packed = compress(body, encoding)
    name = "deflate" if encoding == "raw" else encoding
    assert decode_body(packed, name) == body
    assert decode_body(gzip.compress(packed), f"{name}, gzip") == body


@given(
    st.binary(min_size=1, max_size=3000),
    st.sampled_from(["gzip", "deflate", "br", "zstd"]),
    st.floats(0, 1),
)
def test_a_cut_body_decodes_to_a_beginning(body: bytes, encoding: str, share: float) -> None:
    """What was decoded of a body that broke off is how the whole begins, or the bytes as sent."""
    packed = compress(body, encoding)
    cut = packed[: int(len(packed) * share)]
    decoded = decode_body(cut, encoding)
    assert body.startswith(decoded) or decoded == cut


@given(st.binary(max_size=500), st.text(max_size=20))
def test_any_bytes_under_any_encoding_are_taken(body: bytes, encoding: str) -> None:
    """A header that does not tell the truth never raises."""
    for name in (encoding, "gzip", "deflate", "br", "zstd", "gzip, br"):
        assert isinstance(decode_body(body, name), bytes)


def compress(body: bytes, encoding: str) -> bytes:
    """The body under one content encoding; `raw` is deflate without its wrapper."""
    if encoding == "gzip":
        return gzip.compress(body)
    if encoding == "deflate":
        return zlib.compress(body)
    if encoding == "br":
        return brotli.compress(body)
    if encoding == "zstd":
        return zstandard.compress(body)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()
