"""Request heads: what passes, what does not."""

from __future__ import annotations

from tracelake.relay.heads import read_head


def rendered(*headers: tuple[bytes, bytes], version: str = "1.1", websocket: bool = False) -> bytes:
    """The head sent to an upstream named `up`."""
    head = read_head(list(headers))
    return head.render(b"POST", "/x", host="up", version=version, websocket=websocket)


def test_only_host_and_hop_by_hop_headers_change() -> None:
    """Case, order, repetition and bytes of every other header stay."""
    assert (
        rendered(
            (b"X-B", b"1"),
            (b"HOST", b"relay"),
            (b"x-b", b"\xff"),
            (b"Keep-Alive", b"5"),
            (b"X-TraceLake-Token", b"t"),
            (b"X-B", b""),
        )
        == b"POST /x HTTP/1.1\r\nX-B: 1\r\nHOST: up\r\nx-b: \xff\r\nX-B: \r\n\r\n"
    )


def test_a_missing_host_is_added() -> None:
    """An HTTP/1.0 client may leave Host out; the upstream still gets one, and no keep-alive."""
    expected = b"POST /x HTTP/1.0\r\nHost: up\r\nA: 1\r\nConnection: close\r\n\r\n"
    assert rendered((b"A", b"1"), version="1.0") == expected


def test_connection_cannot_strip_what_frames_the_request() -> None:
    """Headers that Connection names go, but never Host or the length."""
    got = rendered(
        (b"Host", b"r"),
        (b"Content-Length", b"2"),
        (b"X-Gone", b"1"),
        (b"Connection", b"host, content-length, x-gone,"),
    )
    assert got == b"POST /x HTTP/1.1\r\nHost: up\r\nContent-Length: 2\r\n\r\n"


def test_only_websockets_are_asked_for() -> None:
    """The wish to switch to a WebSocket is recognised, any other is not."""
    upgrade = (b"Connection", b"keep-alive, Upgrade")
    assert read_head([upgrade, (b"Upgrade", b"WebSocket")]).asks_for_websocket
    assert not read_head([upgrade, (b"Upgrade", b"h2c")]).asks_for_websocket
    assert not read_head([(b"Upgrade", b"websocket")]).asks_for_websocket
