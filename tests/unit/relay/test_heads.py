"""Request heads: what passes, what does not."""

from __future__ import annotations

import pytest

from tracelake.relay.heads import BadHead, may_become_head, read_head


def rendered(*lines: bytes, version: bytes = b"1.1", websocket: bool = False) -> bytes:
    """The head sent to an upstream named `up`."""
    raw = b"\r\n".join((b"POST /given HTTP/" + version, *lines))
    return read_head(raw).render("/x", host="up", websocket=websocket)


def test_only_host_and_hop_by_hop_headers_change() -> None:
    """Case, order, repetition and bytes of every other header stay."""
    assert (
        rendered(
            b"X-B: 1",
            b"HOST: relay",
            b"x-b:\xff",
            b"Keep-Alive: 5",
            b"X-TraceLake-Token: t",
            b"X-B:  ",
        )
        == b"POST /x HTTP/1.1\r\nX-B: 1\r\nHOST: up\r\nx-b:\xff\r\nX-B:  \r\n\r\n"
    )


def test_a_missing_host_is_added() -> None:
    """An HTTP/1.0 client may leave Host out; the upstream still gets one, and no keep-alive."""
    expected = b"POST /x HTTP/1.0\r\nHost: up\r\nA: 1\r\nConnection: close\r\n\r\n"
    assert rendered(b"A: 1", version=b"1.0") == expected


def test_connection_cannot_strip_what_frames_the_request() -> None:
    """Headers that Connection names go, but never Host or the length."""
    got = rendered(
        b"Host: r",
        b"Content-Length: 2",
        b"X-Gone: 1",
        b"Connection: host, content-length, x-gone,",
    )
    assert got == b"POST /x HTTP/1.1\r\nHost: up\r\nContent-Length: 2\r\n\r\n"


def test_only_websockets_are_asked_for() -> None:
    """The wish to switch to a WebSocket is recognised, any other is not."""
    start = b"GET / HTTP/1.1\r\n"
    upgrade = b"Connection: keep-alive, Upgrade"
    assert read_head(start + upgrade + b"\r\nUpgrade: WebSocket").asks_for_websocket
    assert not read_head(start + upgrade + b"\r\nUpgrade: h2c").asks_for_websocket
    assert not read_head(start + b"Upgrade: websocket").asks_for_websocket


@pytest.mark.parametrize(
    "head",
    [
        b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: xchunked",
        b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nContent-Length: +1",
        b"POST /x HTTP/1.1\r\nContent-Length: 1, 1",
        b"POST /x HTTP/1.1\r\nContent-Length: ",
        b"POST /x HTTP/1.1\r\nContent-Length : 1",
        b"POST /x HTTP/1.1\r\nA: 1\r\n continued",
        b"POST /x HTTP/1.1\r\nA: 1\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nA: 1\rContent-Length: 1",
        b"POST /x HTTP/1.1\r\nA: \0",
        b"POST /x HTTP/1.1\r\nno colon",
        b"POST /x HTTP/1.1\r\n: no name",
        b"POST /x HTTP/2.0",
        b"POST  /x HTTP/1.1",
        b"POST /x y HTTP/1.1",
        b"hello",
    ],
)
def test_what_servers_read_differently_is_refused(head: bytes) -> None:
    """No request whose end two servers could see in different places is passed on."""
    with pytest.raises(BadHead):
        read_head(head)


def test_the_beginning_of_a_head_is_told_from_junk() -> None:
    """A head that comes in pieces is waited for, other protocols are refused at once."""
    head = b"POST /v1/x?a=1 HTTP/1.1\r\nHost: x\r\n"
    assert all(may_become_head(head[:end]) for end in range(len(head)))
    assert not may_become_head(b"\x16\x03\x01\x02")
    assert not may_become_head(b"hello\r\n")
