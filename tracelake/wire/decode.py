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
    from collections.abc import Callable

#: A bound on what one body may unfold to, against bodies made to exhaust memory.
MAX_DECODED_BYTES = 512 * 1024 * 1024

_CHUNK = 16 * 1024


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
        if decoder is not None and body:
            body = decoder(body) or body
    return body


def _zlib(body: bytes, window_bits: int) -> bytes:
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
            break
        if not inflater.eof:
            break
        rest = inflater.unused_data + rest[position:]
    return bytes(out)


def _gzip(body: bytes) -> bytes:
    return _zlib(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> bytes:
    """`deflate` is the zlib format (RFC 9110 8.4.1.2), yet some servers send it without wrapper."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    return _zlib(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _brotli(body: bytes) -> bytes:
    decompressor = brotli.Decompressor()
    out = bytearray()
    for start in range(0, len(body), _CHUNK):
        try:
            out += decompressor.process(body[start : start + _CHUNK])
        except brotli.error:
            break
        if len(out) >= MAX_DECODED_BYTES:
            break
    return bytes(out)


def _zstd(body: bytes) -> bytes:
    decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
    out = bytearray()
    for start in range(0, len(body), _CHUNK):
        try:
            out += decompressor.decompress(body[start : start + _CHUNK])
        except zstandard.ZstdError:
            break
        if len(out) >= MAX_DECODED_BYTES:
            break
    return bytes(out)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
