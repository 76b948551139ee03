"""What must never reach the disk, and how it is taken out.

Credentials in headers and query strings always; texts that match the user's own patterns
(`TRACELAKE_REDACT`) wherever they stand. Pure functions; they run in the recorder's thread.

A secret that a provider streams in several pieces (a few letters an event) matches no pattern.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from tracelake.redaction import REDACTED, Patterns

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-tracelake-token",
        "x-tracelake-control",
    }
)
#: Names of headers that gateways invent. `…-tokens` (rate limits) is not among them.
_SECRET_HEADER = re.compile(
    r"(?:^|[-_])(?:api[-_]?key|apikey|token|secret|password|auth|authorization|credential"
    r"|signature|subscription-key|access-key)\Z"
)
_SECRET_QUERY = re.compile(
    r"((?:^|[?&;])[\w.\-%\[\]]*(?:key|token|secret|password|passwd|signature|sig|credential|auth)"
    r"=)[^&;#]*",
    re.IGNORECASE,
)
#: How bodies begin that are compressed, whatever their headers say: with gzip, with zstd.
_MARKS = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")
_UNTOLD_MAX = 3
_SUBPROTOCOL = "sec-websocket-protocol"
#: Browsers cannot set headers on a WebSocket, so the key travels as a subprotocol.
_SECRET_SUBPROTOCOL = re.compile(r"(api-key\.)[^\s,]+")


@lru_cache(maxsize=4096)
def is_secret_header(name: str) -> bool:
    """Whether a header of that name carries a credential."""
    lower = name.lower()
    return lower in _SECRET_HEADERS or _SECRET_HEADER.search(lower) is not None


@lru_cache(maxsize=4096)
def _is_harmless(name: str) -> bool:
    """Whether a header of that name is kept as it is, unless a pattern of the user says no."""
    return not is_secret_header(name) and name.lower() != _SUBPROTOCOL


def redact_query(path: str) -> str:
    """A path with the credentials in its query string replaced."""
    head, mark, query = path.partition("?")
    if not mark:
        return path
    return head + _SECRET_QUERY.sub(rf"\g<1>{REDACTED}", mark + query)


def credentials(headers: Iterable[tuple[str, str]]) -> tuple[bytes, ...]:
    """The credentials that request headers carry, to be looked for in error texts."""
    return tuple(
        value.rpartition(" ")[2].encode("latin-1", "replace")
        for name, value in headers
        if is_secret_header(name) and len(value) >= 8
    )


@dataclass(frozen=True, slots=True)
class Redaction:
    """The user's own patterns, searched in bodies, header values and paths."""

    patterns: Patterns = field(default_factory=Patterns)

    def headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Header pairs without credentials and without what the patterns match."""
        if not self.patterns:
            return tuple([pair if _is_harmless(pair[0]) else self._pair(*pair) for pair in headers])
        return tuple([self._pair(*pair) for pair in headers])

    def path(self, path: str) -> str:
        """A path and query without credentials and without what the patterns match."""
        return self._text(redact_query(path))

    def body(self, body: bytes, *, encoding: str | None = None) -> tuple[bytes, bool]:
        """A body without what the patterns match.

        Args:
            body: Bytes as they were sent.
            encoding: `Content-Encoding` of the body.

        Returns:
            The body to keep, and whether its encoding was taken off. Where nothing matches it is
            the body as it was sent. A body that cannot be decoded is withheld.
        """
        if not self.patterns or not body:
            return body, False
        if not body.startswith(_MARKS) and (not encoding or encoding == "identity"):
            return self.patterns.sub(body), False
        plain = decode(body, encoding or "identity")
        for _ in range(_UNTOLD_MAX):
            if plain is not None and (mark := plain[:4]).startswith(_MARKS):
                plain = decode(plain, "zstd" if mark.startswith(_MARKS[1]) else "gzip")
        if plain is None:
            return REDACTED.encode(), True
        clean = self.patterns.sub(plain)
        return (body, False) if clean == plain else (clean, True)

    def _pair(self, name: str, value: str) -> tuple[str, str]:
        return name, REDACTED if is_secret_header(name) else self._value(name, value)

    def _value(self, name: str, value: str) -> str:
        if len(name) == len(_SUBPROTOCOL) and name.lower() == _SUBPROTOCOL:
            value = _SECRET_SUBPROTOCOL.sub(rf"\g<1>{REDACTED}", value)
        return self._text(value)

    def _text(self, text: str) -> str:
        if not self.patterns:
            return text
        return self.patterns.sub(text.encode("latin-1", "replace")).decode("latin-1")


def decode(body: bytes, encoding: str) -> bytes | None:
    """A body without its content encoding, as far as it came; None when it cannot be decoded."""
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        try:
            body = _decode_one(body, name)
        except Exception:  # noqa: BLE001 - three libraries, each with errors of its own
            return None
    return body


def _decode_one(body: bytes, encoding: str) -> bytes:
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=31).decompress(body)
    if encoding == "deflate":
        try:
            return zlib.decompressobj().decompress(body)
        except zlib.error:
            return zlib.decompressobj(wbits=-15).decompress(body)
    if encoding == "br":
        import brotli

        return brotli.Decompressor().process(body)
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if encoding == "identity":
        return body
    raise ValueError(f"unknown content encoding {encoding!r}")
