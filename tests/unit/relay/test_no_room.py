"""When there is no room for records any more, calls go on as if nothing were recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tracelake.relay.capture import Capture
from tracelake.relay.recorder import Recorder
from tracelake.relay.redact import Redaction
from tracelake.relay.routing import Route, Router, parse_backend
from tracelake.relay.server import Relay
from tracelake.storage.segment import list_segments
from tracelake.storage.xlog import SUFFIX, fold_records, read_records

if TYPE_CHECKING:
    from pathlib import Path

_BODY = bytes(range(256)) * 40


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the bodies of requests back."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        body = b""
        if b"chunked" in head:
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            body = await reader.readexactly(len(_BODY))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def _ask(hot: Path, request: bytes) -> bytes:
    upstream = await asyncio.start_server(_answer, "127.0.0.1", 0)
    host, port = upstream.sockets[0].getsockname()
    relay = Relay(hot, [parse_backend("openai", f"http://{host}:{port}/v1")])
    relay.recorder = Recorder(hot, Redaction(), held_bytes=1024)
    address = await relay.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]))
    writer.write(request)
    try:
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            return await reader.readexactly(len(_BODY))
    finally:
        writer.close()
        await relay.stop(drain_s=5.0)
        upstream.close()


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_cannot_be_kept_arrives_whole(tmp_path: Path, framing: str) -> None:
    """The request is read before there is a connection to the upstream; nothing is kept of it."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    if framing == "length":
        request = head + b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
    else:
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)
        request = head + b"transfer-encoding: chunked\r\n\r\n" + chunks
    assert asyncio.run(_ask(tmp_path / "hot", request)) == _BODY


def test_the_end_of_a_call_is_told_whose_request_fills_the_queue(tmp_path: Path) -> None:
    """It would look running for ever; an upload may be longer than all that may wait."""
    recorder = Recorder(tmp_path, Redaction(), queue_bytes=1024)
    route = Router({"openai": parse_backend("openai", "http://x/v1")}).route("/v1/files")
    assert isinstance(route, Route)
    capture = Capture(b"POST", route, ("127.0.0.1", 1), b"POST /v1/files HTTP/1.1")
    recorder.keep(capture, capture.request, b"x" * (8 << 20))
    recorder.opened(capture)
    recorder.keep(capture, capture.response, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    capture.outcome = "ok"
    recorder.ended(capture)
    recorder.start()
    recorder.close()
    (path,) = list_segments(tmp_path, SUFFIX).values()
    (found,) = fold_records(read_records(path)[0]).values()
    assert (found.ended, found.exchange.outcome) == (True, "ok")
    assert len(found.exchange.request_body) == 8 << 20
