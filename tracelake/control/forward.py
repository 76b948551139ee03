"""A call sent to its real upstream, each piece of the answer passed on as it comes.

One connection a call: what happens here is rare next to what the relay carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httptools

from tracelake.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

CONNECT_TIMEOUT_S = 30.0
_CHUNK_BYTES = 64 * 1024
_OWN_PREFIX = "x-tracelake-"
#: Headers of one connection; of a request also those that are written anew.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)


@dataclass(frozen=True, slots=True)
class Live:
    """The head of an upstream's answer, and its body to come (content encoding kept).

    Iterating raises UpstreamError when the upstream breaks off.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: AsyncIterator[bytes]


class _Parsed:
    """What httptools tells of a response."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.has_head = False
        self.is_complete = False

    def on_message_begin(self) -> None:
        self.headers, self.has_head = [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.is_complete = True


@contextlib.asynccontextmanager
async def send(
    url: str, *, method: str, headers: Iterable[tuple[str, str]], body: bytes
) -> AsyncGenerator[Live]:
    """Send one call and give its answer; leaving the context closes the connection.

    Args:
        url: Where to, with path and query.
        method: HTTP method.
        headers: As the client sent them; ours and those of the connection are left out.
        body: With the content encoding that the headers name.

    Raises:
        UpstreamError: The upstream cannot be reached or does not speak HTTP.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as error:
        reason = str(error) or "no connection within 30 s"
        raise UpstreamError(f"{parts.netloc} cannot be reached: {reason}") from error
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(_head(method, target, parts.netloc, headers, len(body)) + body)
        parsed = _Parsed()
        parser = httptools.HttpResponseParser(parsed)
        try:
            await writer.drain()
            status = await _read_head(reader, parser, parsed)
        except (OSError, httptools.HttpParserError) as error:
            raise UpstreamError(f"{parts.netloc} broke off before its answer: {error}") from error
        yield Live(status, tuple(parsed.headers), _read_body(reader, parser, parsed, method))
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def _head(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], length: int
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "connection: close"]
    for name, value in headers:
        lower = name.lower()
        if lower in HOP_BY_HOP or lower in {"host", "content-length"}:
            continue
        if not lower.startswith(_OWN_PREFIX):
            lines.append(f"{name}: {value}")
    if length or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read_head(
    reader: asyncio.StreamReader, parser: httptools.HttpResponseParser, parsed: _Parsed
) -> int:
    """Read until the head of the final response; interim ones (100, 103) are passed over."""
    while True:
        data = await reader.read(_CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("connection closed")
        parser.feed_data(data)
        if parsed.has_head and (status := parser.get_status_code()) >= 200:
            return status
        if parsed.is_complete:
            parsed.is_complete = parsed.has_head = False


async def _read_body(
    reader: asyncio.StreamReader,
    parser: httptools.HttpResponseParser,
    parsed: _Parsed,
    method: str,
) -> AsyncIterator[bytes]:
    names = {name.lower() for name, _ in parsed.headers}
    is_framed = bool(names & {"content-length", "transfer-encoding"})
    try:
        while method != "HEAD":
            pieces, parsed.pieces = parsed.pieces, []
            for piece in pieces:
                yield piece
            if parsed.is_complete:
                return
            data = await reader.read(_CHUNK_BYTES)
            if not data:
                if is_framed:
                    raise UpstreamError("the upstream broke off in mid answer")
                return
            parser.feed_data(data)
    except (OSError, httptools.HttpParserError) as error:
        raise UpstreamError(f"the upstream broke off in mid answer: {error}") from error
