"""Who is served, where requests may go, and what never reaches the disk."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.relay_support import RelayProcess, Upstream, Wire, ask, relay_and_upstream
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

SECRET = "s3cret-of-the-test"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayProcess, Upstream]]:
    """A relay with control, and its upstream, also named `other`."""
    with Upstream() as upstream:
        hot = tmp_path_factory.mktemp("hot")
        arguments = ("--upstream", f"other={upstream.url}", "--control-secret", SECRET)
        env = {"TRACELAKE_REDACT": r"\d{3}-\d{2}-\d{4}" + "\nhunter[0-9]"}
        with RelayProcess(hot, *arguments, openai=upstream.url, env=env) as relay:
            yield relay, upstream


def lan_address() -> str | None:
    """An address of this machine that is not loopback, None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


# -- never an open proxy


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://{canary}/v1/models HTTP/1.1",
        "POST https://{canary}/v1/messages HTTP/1.1",
        "CONNECT {canary} HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /u/http:%2F%2F{canary}/v1/models HTTP/1.1",
        "GET /u/{canary}/v1/models HTTP/1.1",
        "GET /u/other/../../x HTTP/1.1",
        "GET /v1/%2e%2e/admin HTTP/1.1",
        "GET /v1/..%2fadmin HTTP/1.1",
        "GET /v1/%252e%252e/admin HTTP/1.1",
        "GET /r/../v1/models HTTP/1.1",
        "GET /r/a%20b/v1/models HTTP/1.1",
    ],
)
def test_no_request_names_its_own_target(
    pair: tuple[RelayProcess, Upstream], request_line: str
) -> None:
    """Absolute targets, CONNECT, invented upstreams and climbing paths are refused."""
    relay, upstream = pair
    with socket.create_server(("127.0.0.1", 0)) as canary, Wire(relay.port) as wire:
        canary.settimeout(0.1)
        address = f"127.0.0.1:{canary.getsockname()[1]}"
        before = len(upstream.requests)
        line = request_line.replace("{canary}", address)
        wire.send(f"{line}\r\nHost: {address}\r\ncontent-length: 0\r\n\r\n".encode())
        answer = wire.response()
        assert re.match(rb"HTTP/1.1 40[04]", answer), answer
        assert b"x-tracelake-error" in answer
        with pytest.raises(TimeoutError):
            canary.accept()
        assert len(upstream.requests) == before


@pytest.mark.parametrize("target", ["//{canary}/v1/models", "/\\{canary}/v1/models", "/@{canary}/"])
def test_odd_paths_go_to_the_configured_upstream(
    pair: tuple[RelayProcess, Upstream], target: str
) -> None:
    """A path that looks like an authority is still only a path, whatever Host says."""
    relay, upstream = pair
    with socket.create_server(("127.0.0.1", 0)) as canary, Wire(relay.port) as wire:
        canary.settimeout(0.1)
        address = f"127.0.0.1:{canary.getsockname()[1]}"
        line = f"GET {target.replace('{canary}', address)} HTTP/1.1"
        wire.send(f"{line}\r\nHost: {address}\r\n\r\n".encode())
        assert wire.response().startswith(b"HTTP/1.1 200")
        with pytest.raises(TimeoutError):
            canary.accept()
        assert f"Host: 127.0.0.1:{upstream.port}\r\n" in upstream.requests[-1]


def test_redirects_are_the_clients_business(pair: tuple[RelayProcess, Upstream]) -> None:
    """A redirect of the upstream is passed on, not followed."""
    relay, _ = pair
    assert ask(relay.port, "/v1/status?code=307").startswith(b"HTTP/1.1 307")


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"hello\r\n\r\n"],
    ids=["tls", "http2", "text"],
)
def test_junk_is_refused(pair: tuple[RelayProcess, Upstream], junk: bytes) -> None:
    """What is not HTTP/1.1 gets one clear refusal and a closed connection."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        answer = wire.send(junk).rest()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"not HTTP/1.1" in answer


def test_endless_headers_are_refused(pair: tuple[RelayProcess, Upstream]) -> None:
    """A head without end is cut off."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(b"GET /v1/echo HTTP/1.1\r\n" + b"x-a: " + b"y" * 60_000 + b"\r\n")
        wire.send((b"x-b: " + b"y" * 60_000 + b"\r\n") * 6)
        assert wire.rest().startswith(b"HTTP/1.1 431")


def test_smuggling_is_refused(pair: tuple[RelayProcess, Upstream]) -> None:
    """A request with two ideas of its own length is not forwarded."""
    relay, upstream = pair
    before = len(upstream.requests)
    with Wire(relay.port) as wire:
        wire.send(
            b"POST /v1/echo HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/echo HTTP/1.1\r\n\r\n"
        )
        assert wire.rest().startswith(b"HTTP/1.1 400")
    assert len(upstream.requests) == before


# -- pages and other machines


def test_pages_of_other_sites_are_not_served(pair: tuple[RelayProcess, Upstream]) -> None:
    """A page in the user's browser cannot use the relay, even with its name rebound."""
    relay, upstream = pair
    before = len(upstream.requests)
    for origin in ("https://evil.example", "http://127.0.0.1.evil.example:8001", "null"):
        answer = ask(relay.port, "/v1/echo", extra=f"Origin: {origin}\r\n")
        assert answer.startswith(b"HTTP/1.1 403"), origin
    assert len(upstream.requests) == before
    served = ask(relay.port, "/v1/echo", extra="Origin: http://localhost:3000\r\n")
    assert served.startswith(b"HTTP/1.1 200")


def test_health_is_not_told_to_foreign_names(pair: tuple[RelayProcess, Upstream]) -> None:
    """The relay's own paths are served under its own names only."""
    relay, _ = pair
    with Wire(relay.port) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert wire.response().startswith(b"HTTP/1.1 403")


def test_binding_beyond_loopback_demands_a_token(tmp_path: Path) -> None:
    """Without a token the relay does not open itself to other machines."""
    with pytest.raises(AssertionError, match="exit code 2"):
        RelayProcess(tmp_path, "--host", "0.0.0.0", openai="http://127.0.0.1:9/v1")


def test_other_machines_need_the_token(tmp_path: Path) -> None:
    """Beyond loopback the token opens the relay, by header or path, and goes no further."""
    address = lan_address()
    if address is None:
        pytest.skip("this machine has no address beyond loopback")
    env = {"TRACELAKE_TOKEN": "open sesame/1"}
    with relay_and_upstream(tmp_path, "--host", "0.0.0.0", env=env) as (relay, upstream):

        def call(path: str, **headers: str) -> tuple[int, dict[str, Any]]:
            url = f"http://{address}:{relay.port}{path}"
            request = urllib.request.Request(url, b"{}", headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        assert call("/v1/messages")[0] == 401
        assert call("/v1/messages")[1]["error"]["type"] == "authentication_error"
        assert call("/t/wrong/v1/messages")[0] == 401
        assert not upstream.requests
        status, told = call("/v1/messages", **{"X-TraceLake-Token": "open sesame/1"})
        assert status == 200
        assert "sesame" not in told["head"]
        status, told = call("/t/open%20sesame%2F1/r/run-7/v1/messages")
        assert status == 200
        assert told["head"].startswith("POST /v1/messages HTTP/1.1")
        assert ask(relay.port, "/v1/messages").startswith(b"HTTP/1.1 200"), "loopback needs none"
        eventually(lambda: len(relay.exchanges()) == 3)
        assert b"sesame" not in b"".join(p.read_bytes() for p in tmp_path.glob("*.xlog"))


# -- credentials


def test_credentials_never_reach_the_disk(pair: tuple[RelayProcess, Upstream]) -> None:
    """Keys in headers, query strings and error texts pass, but are not written."""
    relay, upstream = pair
    names = (
        "Authorization: Bearer ",
        "X-Api-Key: ",
        "api-key: ",
        "Cookie: sid=",
        "x-goog-api-key: ",
        "X-Gateway-Token: ",
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.",
    )
    extra = "".join(f"{name}sk-leak-{n}\r\n" for n, name in enumerate(names))
    path = "/v1/echo?model=m&key=sk-leak-90&api_key=sk-leak-91&access_token=sk-leak-92&max_tokens=5"
    answer = ask(relay.port, path, extra=extra)
    assert answer.count(b"sk-leak-") == len(names) + 3, "the upstream gets them all"
    recorded = relay.recorded(
        "/v1/echo?model=m&key=[redacted]&api_key=[redacted]&access_token=[redacted]&max_tokens=5"
    ).exchange
    assert recorded.header("authorization") == "[redacted]"
    assert recorded.header(
        "sec-websocket-protocol",
    ) == ("realtime, openai-insecure-api-key.[redacted]")
    written = [p.read_bytes() for p in relay.hot.glob("*.xlog")]
    head = recorded.request_body + json.dumps(recorded.request_headers).encode()
    assert b"sk-leak" not in head
    assert upstream.port
    assert all(b"Bearer sk-leak" not in data.partition(b'"head"')[0] for data in written)


def test_the_users_own_patterns_are_redacted(pair: tuple[RelayProcess, Upstream]) -> None:
    """TRACELAKE_REDACT patterns are taken out of bodies, also of compressed ones."""
    relay, _ = pair
    ask(relay.port, "/v1/echo?plain", b'{"ssn": "123-45-6789", "password": "hunter2"}')
    body = relay.recorded("/v1/echo?plain").exchange.request_body
    assert body == b'{"ssn": "[redacted]", "password": "[redacted]"}'
    packed = gzip.compress(b'{"ssn": "123-45-6789"}')
    ask(relay.port, "/v1/echo?packed", packed, extra="Content-Encoding: gzip\r\n")
    exchange = relay.recorded("/v1/echo?packed").exchange
    assert exchange.request_body == b'{"ssn": "[redacted]"}'
    assert exchange.header("content-encoding") is None


# -- the seam for control


class Control(http.server.BaseHTTPRequestHandler):
    """A control proxy that tells what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Echo the head, with headers of our own in the answer."""
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("X-TraceLake-Match", "exact")
        self.send_header("X-Other", "kept")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def control() -> Iterator[str]:
    """The address of a control proxy."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def tell(
    relay: RelayProcess, method: str, run: str, body: object = None, secret: str = SECRET
) -> tuple[int, dict[str, Any]]:
    """Ask the relay's control path."""
    extra = f"X-Tracelake-Control: {secret}\r\n"
    with Wire(relay.port) as wire:
        data = json.dumps(body).encode()
        head = f"{method} /control/runs/{run} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}"
        wire.send(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        answer = wire.response()
    return int(answer[9:12]), json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_run_can_be_handed_to_control(pair: tuple[RelayProcess, Upstream], control: str) -> None:
    """Calls of that run, and of no other, go to the control proxy and are recorded as usual."""
    relay, _ = pair
    assert tell(relay, "POST", "run-1", {"address": control})[0] == 200
    with Wire(relay.port) as wire:
        wire.send(
            b"POST /r/run-1/v1/chat/completions?a=1 HTTP/1.1\r\nHost: x\r\n"
            b"X-Tracelake-Span: forged\r\ncontent-length: 2\r\n\r\n{}"
        )
        answer = wire.response()
    assert b"tracelake" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert b"X-Other: kept" in answer
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    recorded = relay.recorded("/v1/chat/completions?a=1").exchange
    assert told["path"] == "/v1/chat/completions?a=1"
    assert told["headers"]["x-tracelake-upstream"] == "openai"
    assert told["headers"]["x-tracelake-upstream-url"].endswith("/v1/chat/completions?a=1")
    assert told["headers"]["x-tracelake-span"] == recorded.span_id
    assert told["headers"]["x-tracelake-run"] == "run-1"
    assert recorded.response_header("x-tracelake-match") == "exact"
    assert (recorded.upstream, recorded.run_id) == ("openai", "run-1")
    assert b'"head"' in ask(relay.port, "/r/run-2/v1/echo"), "another run is left alone"
    assert tell(relay, "DELETE", "run-1") == (200, {"removed": True})
    assert b'"head"' in ask(relay.port, "/r/run-1/v1/echo")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://192.0.2.1:80", 400),
        ("https://127.0.0.1:1", 400),
        ("http://127.0.0.1:1/path", 400),
        ("file:///etc/passwd", 400),
        (5, 400),
    ],
)
def test_control_is_a_local_address(
    pair: tuple[RelayProcess, Upstream], address: object, status: int
) -> None:
    """A run can be handed to a plain address of this machine only."""
    relay, _ = pair
    assert tell(relay, "POST", "run-1", {"address": address})[0] == status


def test_control_needs_its_secret(
    pair: tuple[RelayProcess, Upstream], control: str, tmp_path: Path
) -> None:
    """Without the secret nobody redirects a run, and without one at start nobody can."""
    relay, _ = pair
    assert tell(relay, "POST", "run-1", {"address": control}, secret="guess")[0] == 401
    with relay_and_upstream(tmp_path) as (closed, _):
        assert tell(closed, "POST", "run-1", {"address": control})[0] == 404
