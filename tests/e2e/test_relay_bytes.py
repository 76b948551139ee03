"""Bytes pass unchanged in both directions, however they are framed."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.relay_support import RelayProcess, Upstream, Wire, ask, relay_and_upstream
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayProcess, Upstream]]:
    """One relay and one upstream for all tests of this module."""
    with relay_and_upstream(tmp_path_factory.mktemp("hot")) as both:
        yield both


def body_of(response: bytes) -> bytes:
    """What follows the head."""
    return response.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/gzip",
        "/v1/status?code=200",
        "/v1/status?code=429",
        "/v1/status?code=500",
        "/v1/status?code=204",
        "/v1/status?code=304",
        "/v1/sse?n=200",
        "/v1/interim",
        "/v1/big?mb=1",
    ],
)
def test_responses_are_the_same_bytes(pair: tuple[RelayProcess, Upstream], path: str) -> None:
    """Head, framing and body of a response reach the client byte for byte."""
    relay, upstream = pair
    direct, relayed = ask(upstream.port, path), ask(relay.port, path)
    assert relayed == direct
    recorded = relay.recorded(path).exchange
    assert recorded.outcome == "ok"
    assert f"HTTP/1.1 {recorded.status}".encode() in direct
    if path == "/v1/gzip":
        assert recorded.response_body == body_of(direct), "recorded as sent"
        assert gzip.decompress(recorded.response_body).startswith(b'{"text"')
    if path.startswith("/v1/sse"):
        assert recorded.response_body.count(b"data: ") == 200
        assert b"\r\n" not in recorded.response_body, "chunked framing is not part of the body"


def test_request_heads_keep_case_order_and_values(pair: tuple[RelayProcess, Upstream]) -> None:
    """Only Host is rewritten and hop-by-hop and our own headers are left out."""
    relay, upstream = pair
    with Wire(relay.port) as wire:
        wire.send(
            b"POST /v1/echo HTTP/1.1\r\nHoSt: relay\r\nX-B: 2\r\nx-a: 1\r\nX-B: \xe9 3\r\n"
            b"Connection: keep-alive, X-Gone\r\nX-Gone: 1\r\nTE: trailers\r\nKeep-Alive: 3\r\n"
            b"Proxy-Authorization: Basic x\r\nX-TraceLake-Token: secret\r\nX-Trace-ID: t1\r\n"
            b"Accept-Encoding: gzip, br\r\nContent-Length: 2\r\n\r\n{}"
        )
        head = json.loads(body_of(wire.response()))["head"]
    assert head == (
        f"POST /v1/echo HTTP/1.1\r\nHoSt: 127.0.0.1:{upstream.port}\r\nX-B: 2\r\nx-a: 1\r\n"
        "X-B: \xe9 3\r\nX-Trace-ID: t1\r\nAccept-Encoding: gzip, br\r\nContent-Length: 2\r\n\r\n"
    )


def test_a_big_upload_arrives_whole(pair: tuple[RelayProcess, Upstream]) -> None:
    """50 MB go up unchanged and are recorded unchanged."""
    relay, _ = pair
    body = os.urandom(50 << 20)
    answer = json.loads(body_of(ask(relay.port, "/v1/echo?big", body)))
    assert answer["length"] == len(body)
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()
    assert relay.recorded("/v1/echo?big").exchange.request_body == body


def test_a_big_download_arrives_whole(pair: tuple[RelayProcess, Upstream]) -> None:
    """50 MB come down unchanged and are recorded unchanged."""
    relay, _ = pair
    body = body_of(ask(relay.port, "/v1/big?mb=50"))
    assert len(body) == 50 << 20
    assert relay.recorded("/v1/big?mb=50").exchange.response_body == body


def test_chunked_uploads_with_trailers(pair: tuple[RelayProcess, Upstream]) -> None:
    """A chunked request arrives with all its bytes and its trailers, and is recorded unframed."""
    relay, _ = pair
    pieces = (b"hello ", b"w" * 70_000, b"!")
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    with Wire(relay.port) as wire:
        wire.send(
            b"POST /v1/echo?chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        wire.send(framed + b"0\r\nX-Sum: 7\r\n\r\n")
        answer = json.loads(body_of(wire.response()))
    assert answer["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert answer["trailers"] == "X-Sum: 7"
    assert relay.recorded("/v1/echo?chunked").exchange.request_body == b"".join(pieces)


def test_expect_100_continue(pair: tuple[RelayProcess, Upstream]) -> None:
    """A client that waits for 100 Continue gets it and then its answer."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        head = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        wire.send(head + b"content-length: 5\r\n\r\n")
        assert wire.until(lambda got: b"\r\n\r\n" in got) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert json.loads(body_of(wire.send(b"abcde").response()))["length"] == 5


def test_head_requests(pair: tuple[RelayProcess, Upstream]) -> None:
    """A HEAD response ends with its head, and its connection serves the next request."""
    relay, upstream = pair
    client = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
    before = upstream.connections
    for method in ("HEAD", "GET", "HEAD", "POST"):
        client.request(method, "/v1/echo?head", b"x" if method == "POST" else None)
        answer = client.getresponse()
        assert answer.status == 200
        assert bool(answer.read()) == (method != "HEAD")
    client.close()
    assert upstream.connections - before <= 1


def test_connections_are_kept_alive_on_both_sides(pair: tuple[RelayProcess, Upstream]) -> None:
    """Fifty requests of one client use one connection to the upstream."""
    relay, upstream = pair
    client = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
    before = upstream.connections
    for _ in range(50):
        client.request("POST", "/v1/echo", b"{}")
        client.getresponse().read()
    client.close()
    assert upstream.connections - before <= 1


def test_pipelined_requests_are_answered_in_order(pair: tuple[RelayProcess, Upstream]) -> None:
    """Requests sent without waiting are answered one after the other."""
    relay, _ = pair
    requests = b"".join(
        b"POST /v1/echo?n=%d HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n%b" % (n, n, b"x" * n)
        for n in range(8)
    )
    with Wire(relay.port) as wire:
        wire.send(requests)
        got = wire.until(lambda data: data.count(b"HTTP/1.1 200") == 8 and data.endswith(b"}"))
    order = [part.split(b" ")[0] for part in got.split(b"/v1/echo?n=")[1:]]
    assert order == [str(n).encode() for n in range(8)]


def test_an_early_answer_reaches_a_client_that_still_sends(
    pair: tuple[RelayProcess, Upstream],
) -> None:
    """A refusal that comes before the upload has ended is delivered, and is recorded."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(b"POST /v1/early HTTP/1.1\r\nHost: x\r\ncontent-length: 5000000\r\n\r\n")
        answer = wire.send(b"x" * 100_000).response()
        assert answer.startswith(b"HTTP/1.1 413")
        wire.send(b"x" * 4_900_000)
        assert wire.rest() == b""
    assert relay.recorded("/v1/early").exchange.status == 413


def test_a_body_that_ends_with_the_connection(pair: tuple[RelayProcess, Upstream]) -> None:
    """A response without length is passed to its end, and the client's connection ends with it."""
    relay, upstream = pair
    request = b"POST /v1/until-eof HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n"
    with Wire(relay.port) as wire, Wire(upstream.port) as direct:
        assert wire.send(request).rest() == direct.send(request).rest()
    recorded = relay.recorded("/v1/until-eof").exchange
    assert (recorded.outcome, recorded.response_body) == ("ok", b"until the end")


def test_http_1_0_clients(pair: tuple[RelayProcess, Upstream]) -> None:
    """A client that knows no chunks and no keep-alive is served and disconnected."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(b"POST /v1/echo HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}")
        answer = json.loads(body_of(wire.rest()))
    assert answer["head"].startswith("POST /v1/echo HTTP/1.0\r\nHost: 127.0.0.1")


def test_an_offer_of_http_2_is_declined_quietly(pair: tuple[RelayProcess, Upstream]) -> None:
    """An upgrade to anything but a WebSocket is not passed on; the request is served as it is."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        for _ in range(2):
            wire.send(
                b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\ncontent-length: 3\r\n\r\nabc"
            )
            answer = json.loads(body_of(wire.response()))
            assert answer["length"] == 3
            assert "upgrade" not in answer["head"].lower()


def test_events_are_passed_on_as_they_come(pair: tuple[RelayProcess, Upstream]) -> None:
    """Each event of a stream reaches the client before the upstream has sent the next."""
    relay, upstream = pair
    with Wire(relay.port) as wire:
        wire.send(b"POST /v1/sse?n=10&heard=1 HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n")
        got = b""
        for index in range(10):
            got += wire.until(lambda piece, event=b'{"i": %d' % index: event in piece)
            assert b'{"i": %d' % (index + 1) not in got
            upstream.heard.release()
        got += wire.until(lambda piece: piece.endswith(b"0\r\n\r\n"))
    assert got.count(b"data: ") == 10


def test_a_slow_reader_slows_the_upstream(pair: tuple[RelayProcess, Upstream]) -> None:
    """What a client does not read is not gathered in the relay: the upstream has to wait."""
    relay, upstream = pair
    with Wire(relay.port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        before = upstream.sent_bytes
        wire.send(b"POST /v1/big?mb=64 HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n")
        last: list[int] = [-1]

        def stands_still() -> bool:
            time.sleep(0.2)
            now, last[0] = last[0], upstream.sent_bytes - before
            return now == last[0] and now > 0

        eventually(stands_still)
        assert last[0] < 32 << 20, "the upstream was not held back"
        body = wire.until(lambda got: len(got) > 64 << 20)
    assert len(body_of(body)) == 64 << 20


def test_a_slow_upstream_slows_the_client(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What an upstream does not read is not gathered beyond what is recorded of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    hot = tmp_path_factory.mktemp("hot")
    with (
        listener,
        RelayProcess(hot, "--drain-s", "0.5", openai=url) as relay,
        Wire(relay.port) as wire,
    ):
        wire.send(b"POST /v1/x HTTP/1.1\r\nHost: x\r\ncontent-length: 100000000\r\n\r\n")
        wire.socket.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += wire.socket.send(b"x" * 100_000)
        assert 0 < sent < 32 << 20


def test_a_websocket_is_tunnelled_and_recorded(pair: tuple[RelayProcess, Upstream]) -> None:
    """After a switch of protocols bytes pass both ways untouched and are recorded."""
    relay, _ = pair
    head = (
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n"
    )
    with Wire(relay.port) as wire:
        wire.send(head + b"early")
        got = wire.until(lambda data: data.endswith(b"helloearlyearly"))
        assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
        running = eventually(
            lambda: [f for f in relay.exchanges().values() if f.exchange.path == "/v1/ws"]
        )
        assert not running[0].ended, "it is recorded while it is open"
        wire.send(b"\x81\x02hi")
        wire.until(lambda data: data == b"\x81\x02hi" * 2)
    recorded = relay.recorded("/v1/ws").exchange
    assert recorded.status == 101
    assert recorded.outcome == "ok"
    assert recorded.request_body == b"early\x81\x02hi"
    assert recorded.response_body == b"helloearlyearly" + b"\x81\x02hi" * 2


def test_a_refused_websocket_is_an_ordinary_answer(pair: tuple[RelayProcess, Upstream]) -> None:
    """An upstream that declines the switch (426) is passed on like any other answer."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(
            b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert wire.response().startswith(b"HTTP/1.1 426")


def test_health_tells_the_counters(pair: tuple[RelayProcess, Upstream]) -> None:
    """`/health` is answered by the relay itself."""
    relay, upstream = pair
    ask(relay.port, "/v1/echo")
    told: dict[str, Any] = relay.health()
    assert told["status"] == "ok"
    assert told["exchanges"] > 0
    assert told["in_flight"] == 0
    assert told["dropped"] == 0
    assert told["hot"] == str(relay.hot)
    assert told["upstreams"]["openai"]["url"] == upstream.url


def test_a_connection_held_back_to_the_last_byte_serves_the_next_call(
    pair: tuple[RelayProcess, Upstream],
) -> None:
    """A reader that was slow until the very end leaves no upstream connection stalled."""
    relay, upstream = pair
    for size_kb in range(2048, 5120, 64):  # one of them just fills what the system buffers
        with Wire(relay.port) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            goal = upstream.sent_bytes + (size_kb << 10)
            head = f"POST /v1/big?kb={size_kb} HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n"
            wire.send(head.encode())
            with contextlib.suppress(AssertionError):
                eventually(lambda goal=goal: upstream.sent_bytes >= goal, timeout_s=0.06)
            assert len(body_of(wire.response())) == size_kb << 10
        assert ask(relay.port, "/v1/echo").startswith(b"HTTP/1.1 200")
