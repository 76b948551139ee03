"""Content encodings undone: gzip, deflate, br and zstd, alone or stacked, whole or cut off.

Invariant: never raises for bytes from the wire. A body whose header names an encoding that the
bytes do not have comes back as it is; a body that was cut off gives what can be read of it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import brotli
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: A bound on what one body may unfold to, against bodies made to exhaust memory.
MAX_DECODED_BYTES = 512 * 1024 * 1024

_CHUNK = 16 * 1024
#: Gateways compress once more what came compressed; nobody does so oftener.
_UNTOLD_MAX = 3


def decode_body(body: bytes, encoding: str | None) -> bytes:
    """The body without its content encodings.

    Args:
        body: Bytes on the wire.
        encoding: Value of the `Content-Encoding` header, several names separated by commas in the
            order they were applied, or None.
    """
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    for name in reversed(names):
        decoder = _DECODERS.get(name)
        decoded = decoder(body) if decoder is not None and body else None
        body = body if decoded is None else decoded
    return unwrapped(body)


def unwrapped(body: bytes) -> bytes:
    """The body without compression that no header tells of: text begins with no such mark."""
    for _ in range(_UNTOLD_MAX):
        decode = next((to for mark, to in _MARKS if body.startswith(mark)), None)
        decoded = decode(body) if decode is not None else None
        if not decoded:  # bytes that only begin as compressed ones do
            break
        body = decoded
    return body


def encodings_of(headers: Iterable[tuple[str, str]]) -> str:
    """All values of `Content-Encoding`, in the order in which they were applied."""
    return ", ".join(value for name, value in headers if name.lower() == "content-encoding")


def _zlib(body: bytes, window_bits: int) -> bytes | None:
    """Every concatenated member of a zlib-family stream, up to what cannot be read."""
    out = bytearray()
    rest = body
    while rest and len(out) < MAX_DECODED_BYTES:
        inflater = zlib.decompressobj(window_bits)
        position = 0
        try:
            while position < len(rest) and not inflater.eof and len(out) < MAX_DECODED_BYTES:
                out += inflater.decompress(rest[position : position + _CHUNK])
                position += _CHUNK
        except zlib.error:
            # Behind a whole member stands what is no member, such as padding: it is left out.
            return bytes(out) if out or rest is not body else None
        if not inflater.eof:
            break
        rest = inflater.unused_data + rest[position:]
    return bytes(out)


def _gzip(body: bytes) -> bytes | None:
    return _zlib(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> bytes | None:
    """`deflate` is the zlib format (RFC 9110 8.4.1.2), yet some servers send it without wrapper."""
    wrapped = _zlib(body, zlib.MAX_WBITS)
    return _zlib(body, -zlib.MAX_WBITS) if wrapped is None else wrapped


def _brotli(body: bytes) -> bytes | None:
    return _stepwise(body, brotli.Decompressor().process)


def _zstd(body: bytes) -> bytes | None:
    decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
    return _stepwise(body, decompressor.decompress)


def _stepwise(body: bytes, step: Callable[[bytes], bytes]) -> bytes | None:
    """What a decoder gives piece by piece, up to the first piece it cannot read."""
    out = bytearray()
    for start in range(0, len(body), _CHUNK):
        try:
            out += step(body[start : start + _CHUNK])
        except (brotli.error, zstandard.ZstdError):
            return bytes(out) or None
        if len(out) >= MAX_DECODED_BYTES:
            break
    return bytes(out)


#: How compressed bodies begin.
_MARKS: tuple[tuple[bytes, Callable[[bytes], bytes | None]], ...] = (
    (b"\x1f\x8b\x08", _gzip),
    (b"\x28\xb5\x2f\xfd", _zstd),
)
#: Each gives None for bytes that are not of its encoding at all.
_DECODERS: dict[str, Callable[[bytes], bytes | None]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
