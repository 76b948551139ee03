"""What happens when a side goes away, and what the client and the record then say."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import anthropic
import openai
import orjson
import pytest

from tests.e2e.browser import free_port
from tests.e2e.relay_support import RelayProcess, Upstream, Wire, ask, relay_and_upstream
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayProcess, Upstream]]:
    """One relay and one upstream for the tests that do not end them."""
    with relay_and_upstream(tmp_path_factory.mktemp("hot")) as both:
        yield both


def get(path: str) -> bytes:
    """A request without a body."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n".encode()


def read_to_the_end(connection: socket.socket) -> None:
    """Read until the other side closes."""
    while connection.recv(1 << 16):
        pass


def test_a_client_that_leaves_ends_the_generation(pair: tuple[RelayProcess, Upstream]) -> None:
    """A disconnect stops the upstream at once, and the partial answer is kept."""
    relay, upstream = pair
    before = upstream.cut_short
    with Wire(relay.port) as wire:
        wire.send(get("/v1/sse?n=1000&ms=20&left"))
        wire.until(lambda got: got.count(b"data: ") >= 3)
    eventually(lambda: upstream.cut_short == before + 1)
    recorded = relay.recorded("/v1/sse?n=1000&ms=20&left").exchange
    assert recorded.outcome == "client_disconnected"
    assert recorded.status == 200
    assert recorded.response_body.count(b"data: ") >= 3
    assert recorded.end_time is not None
    assert recorded.first_byte_time is not None


def test_a_client_that_leaves_while_it_sends(pair: tuple[RelayProcess, Upstream]) -> None:
    """An upload that breaks off is recorded as far as it came, and reaches no one as whole."""
    relay, upstream = pair
    with Wire(relay.port) as wire:
        head = b"POST /v1/echo?half HTTP/1.1\r\nHost: x\r\ncontent-length: 1000\r\n\r\n"
        wire.send(head + b"x" * 400)
        eventually(lambda: any("/v1/echo?half" in head for head in upstream.requests))
    recorded = relay.recorded("/v1/echo?half").exchange
    assert recorded.outcome == "client_disconnected"
    assert recorded.status is None
    assert recorded.request_body == b"x" * 400


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a client that is not read")
def test_a_client_that_leaves_while_it_is_held_back(tmp_path: Path) -> None:
    """An upload that a stalled upstream holds back ends with its client, upstream and all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with RelayProcess(tmp_path, openai=url) as relay:
            with Wire(relay.port) as wire:
                wire.send(b"POST /v1/held HTTP/1.1\r\nHost: x\r\ncontent-length: 900000000\r\n\r\n")
                stalled, _ = listener.accept()  # and reads nothing
                wire.socket.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    while wire.socket.send(b"x" * 1_000_000):
                        pass
                assert relay.health()["in_flight"] == 1
            with stalled:
                recorded = relay.recorded("/v1/held").exchange
                assert recorded.outcome == "client_disconnected"
                stalled.settimeout(60)
                with contextlib.suppress(ConnectionResetError):
                    read_to_the_end(stalled)  # what was on its way, and then no more


def test_a_stream_that_broke_off_never_looks_whole(pair: tuple[RelayProcess, Upstream]) -> None:
    """When the upstream dies mid-stream the client gets what came and no clean end."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        got = wire.send(get("/v1/sse?n=20&cut=1")).rest()
    assert got.count(b"data: ") == 20
    assert not got.endswith(b"0\r\n\r\n")
    recorded = relay.recorded("/v1/sse?n=20&cut=1").exchange
    assert recorded.outcome == "upstream_died"
    assert recorded.response_body.count(b"data: ") == 20


def test_a_body_without_length_torn_off_by_a_reset(pair: tuple[RelayProcess, Upstream]) -> None:
    """A reset is passed on as a reset where only the connection's end ends a body."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(get("/v1/reset"))
        with pytest.raises(ConnectionResetError):
            read_to_the_end(wire.socket)
    assert relay.recorded("/v1/reset").exchange.outcome == "upstream_died"


def test_an_upstream_that_hangs_up_without_a_word(pair: tuple[RelayProcess, Upstream]) -> None:
    """No answer at all becomes a 502 in the provider's shape, and the connection goes on."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        answer = wire.send(get("/v1/drop")).response()
        assert answer.startswith(b"HTTP/1.1 502")
        assert wire.send(get("/v1/echo")).response().startswith(b"HTTP/1.1 200")
    recorded = relay.recorded("/v1/drop").exchange
    assert (recorded.outcome, recorded.status) == ("upstream_died", 502)
    assert b"before it answered" in recorded.response_body


def test_a_stale_connection_is_replaced_unnoticed(pair: tuple[RelayProcess, Upstream]) -> None:
    """A kept-alive connection that the upstream has just dropped costs the client nothing."""
    relay, upstream = pair
    client = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
    for _ in range(20):
        client.request("POST", "/v1/echo", b'{"n": 1}')
        answer = client.getresponse()
        assert answer.status == 200
        assert orjson.loads(answer.read())["length"] == 8
        threading.Thread(target=upstream.drop_connections).start()
    client.close()


def test_a_request_is_not_sent_a_third_time(tmp_path: Path) -> None:
    """Only one retry, and only after a kept-alive connection died without a byte."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for number in range(3):
                connection, _ = listener.accept()
                with connection:
                    seen.append(connection.recv(1 << 16))
                    if number == 0:
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                        seen.append(connection.recv(1 << 16))

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with RelayProcess(tmp_path, openai=url) as relay, Wire(relay.port) as wire:
            assert wire.send(get("/v1/x?1")).response().endswith(b"ok")
            assert wire.send(get("/v1/x?2")).response().startswith(b"HTTP/1.1 502")
    assert [b"?1" in head for head in seen] == [True, False, False]
    assert [b"?2" in head for head in seen] == [False, True, True]


def test_what_was_asked_in_vain_is_recorded_whole(tmp_path: Path) -> None:
    """A body that comes after the upstream was found closed is read, recorded, then answered."""
    refused = f"http://127.0.0.1:{free_port()}/v1"
    with RelayProcess(tmp_path, openai=refused) as relay, Wire(relay.port) as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\n\r\n{}")

        def refused_already() -> bool:
            return bool(relay.health()["upstreams"]["openai"]["failures"])

        eventually(refused_already)
        assert wire.send(b"  ").response().startswith(b"HTTP/1.1 502")
        assert relay.recorded("/v1/chat/completions").exchange.request_body == b"{}  "
        large = b"x" * (4 << 20)
        head = f"POST /v1/large HTTP/1.1\r\nHost: x\r\ncontent-length: {len(large) + 1}\r\n\r\n"
        assert wire.send(head.encode() + large).response().startswith(b"HTTP/1.1 502")


def test_sdks_tell_what_is_wrong_with_the_upstream(tmp_path: Path) -> None:
    """Refused connections and unknown hosts reach the user of either SDK as readable errors."""
    refused = f"http://127.0.0.1:{free_port()}"
    unknown = "http://nowhere.invalid"
    arguments = ("--upstream", f"gone={unknown}")
    with RelayProcess(tmp_path, *arguments, openai=refused + "/v1") as relay:
        for base, phrase in (
            (relay.address, "cannot connect to"),
            (relay.address + "/u/gone", "unknown host"),
        ):
            claude = anthropic.Anthropic(base_url=base, api_key="k", max_retries=0)
            with claude, pytest.raises(anthropic.InternalServerError, match=phrase) as caught:
                claude.messages.create(
                    model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}]
                )
            assert caught.value.status_code == 502
            gpt = openai.OpenAI(base_url=base + "/v1", api_key="k", max_retries=0)
            with gpt, pytest.raises(openai.InternalServerError, match=phrase) as failed:
                gpt.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
            assert failed.value.code == "upstream_unreachable"
        recorded = relay.recorded("/v1/messages").exchange
        assert recorded.outcome == "upstream_unreachable"
        assert recorded.status == 502
        assert relay.health()["upstreams"]["gone"]["failures"] == 2


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for a host name, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


@pytest.mark.parametrize(
    ("trusted", "name", "status"),
    [(True, "localhost", 200), (False, "localhost", 502), (True, "elsewhere", 502)],
    ids=["trusted", "untrusted", "wrong name"],
)
def test_tls_upstreams_are_checked(tmp_path: Path, trusted: bool, name: str, status: int) -> None:
    """An upstream with TLS is reached only if its certificate is trusted and names it."""
    certificate, key = make_certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                while connection.recv(1 << 16):
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    threading.Thread(target=serve, daemon=True).start()
    url = f"https://localhost:{listener.getsockname()[1]}/v1"
    env = {"SSL_CERT_FILE": str(certificate)} if trusted else {}
    with listener, RelayProcess(tmp_path / "hot", openai=url, env=env) as relay:
        for _ in range(2):
            answer = ask(relay.port, "/v1/chat/completions")
            assert answer.startswith(b"HTTP/1.1 %d" % status), answer
        if status == 502:
            assert b"is not trusted" in answer
            assert b"upstream_certificate" in answer


def test_an_upstream_that_leaves_during_the_handshake_is_told(tmp_path: Path) -> None:
    """The error of a TLS connection that nobody completes has words too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"

        def leave() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.shutdown(socket.SHUT_WR)
            read_to_the_end(connection)
            connection.close()

        threading.Thread(target=leave, daemon=True).start()
        with RelayProcess(tmp_path, openai=url) as relay:
            answer = ask(relay.port, "/v1/chat/completions")
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"it closed the connection before it was ready" in answer


def test_sigterm_lets_calls_in_flight_end(tmp_path: Path) -> None:
    """On SIGTERM the relay takes nothing new, ends what it serves and writes every record."""
    with relay_and_upstream(tmp_path) as (relay, _), Wire(relay.port) as wire:
        idle = Wire(relay.port)
        wire.send(get("/v1/sse?n=20&ms=50"))
        wire.until(lambda got: b"data: " in got)
        relay.process.send_signal(signal.SIGTERM)
        rest = wire.rest()
        assert rest.endswith(b"0\r\n\r\n")
        assert idle.rest() == b"", "an idle connection is closed"
        idle.close()
        assert relay.process.wait(60) == 0
        with pytest.raises(ConnectionRefusedError):
            Wire(relay.port)
        assert [f.exchange.outcome for f in relay.exchanges().values()] == ["ok"]


def test_a_drain_ends_after_its_time(tmp_path: Path) -> None:
    """A call that does not end is cut off after the stated time, and kept as far as it came."""
    with relay_and_upstream(tmp_path, "--drain-s", "0.3") as (relay, _), Wire(relay.port) as wire:
        wire.send(get("/v1/sse?n=1000&ms=20"))
        wire.until(lambda got: b"data: " in got)
        assert relay.stop() == 0
        assert not wire.rest().endswith(b"0\r\n\r\n")
        (folded,) = relay.exchanges().values()
        assert folded.ended
        assert folded.exchange.outcome == "upstream_died"
        assert b"data: " in folded.exchange.response_body


def test_what_opened_survives_a_kill(tmp_path: Path) -> None:
    """A call is on disk once it is under way: killing the relay loses no request."""
    with relay_and_upstream(tmp_path) as (relay, _), Wire(relay.port) as wire:
        wire.send(get("/v1/sse?n=1000&ms=20"))
        wire.until(lambda got: b"data: " in got)
        eventually(relay.exchanges)
        relay.process.kill()
        relay.process.wait(5)
        (folded,) = relay.exchanges().values()
        assert not folded.ended
        assert folded.exchange.path == "/v1/sse?n=1000&ms=20"
