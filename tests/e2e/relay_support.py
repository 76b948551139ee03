"""A real relay process and a real upstream that misbehaves on request."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support import eventually
from tracelake.storage.xlog import FoldedExchange, fold_records, read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class RelayProcess:
    """A relay in a process of its own, `python -m tracelake.relay`."""

    def __init__(
        self,
        hot: Path,
        *arguments: str,
        openai: str,
        anthropic: str | None = None,
        env: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        **popen: Any,
    ) -> None:
        self.hot = hot
        command = [*prefix, sys.executable, "-m", "tracelake.relay", "--hot", str(hot)]
        command += ["--port", "0", "--openai-backend", openai]
        command += ["--anthropic-backend", anthropic or openai.removesuffix("/v1"), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, **popen
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline() or "{}")
        if "address" not in told:
            self.process.stdout.close()
            raise AssertionError(f"the relay did not start: exit code {self.process.wait(60)}")
        self.address: str = told["address"]
        self.port = urlsplit(self.address).port or 0

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        with urllib.request.urlopen(self.address + "/health", timeout=60) as answer:
            return json.load(answer)

    def stop(self, *, timeout_s: float = 60.0) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout_s)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def exchanges(self) -> dict[str, FoldedExchange]:
        """Everything recorded so far."""
        return read_exchanges(self.hot)

    def recorded(self, path: str, *, timeout_s: float = 60.0) -> FoldedExchange:
        """The last ended exchange of that path, once it has been recorded."""

        def find() -> FoldedExchange | None:
            found = [f for f in self.exchanges().values() if f.exchange.path == path and f.ended]
            return found[-1] if found else None

        answer = eventually(find, timeout_s=timeout_s)
        assert answer is not None
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(60)


def read_exchanges(hot: Path) -> dict[str, FoldedExchange]:
    """Every exchange of a hot folder, by span id, in order."""
    records = []
    for path in sorted(hot.glob("[!.]*.xlog")):
        records += read_records(path)[0]
    return dict(sorted(fold_records(records).items()))


class Wire:
    """A plain TCP connection, for requests that no HTTP library would send."""

    def __init__(self, port: int, *, timeout_s: float = 60.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    def send(self, data: bytes) -> Self:
        """Send bytes as they are."""
        self.socket.sendall(data)
        return self

    def until(self, done: Callable[[bytes | bytearray], bool], *, timeout_s: float = 60.0) -> bytes:
        """What came until `done` is content or the other side closed."""
        got = bytearray()
        deadline = time.monotonic() + timeout_s
        while not done(got):
            if time.monotonic() > deadline:
                raise AssertionError(f"only got {bytes(got[-300:])!r}")
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                break
            if not piece:
                break
            got += piece
        return bytes(got)

    def response(self, *, head_only: bool = False) -> bytes:
        """One response, framed by its head."""
        return self.until(lambda got: is_whole_response(got, head_only=head_only))

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        return self.until(lambda _: False)

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_whole_response(data: bytes | bytearray, *, head_only: bool = False) -> bool:
    """Whether bytes hold a complete final response with a length or chunks."""
    border = data.find(b"\r\n\r\n")
    if border < 0:
        return False
    head = bytes(data[:border])
    if re.match(rb"HTTP/1.1 1(?!01)\d\d", head):
        return is_whole_response(data[border + 4 :], head_only=head_only)
    if head_only or re.match(rb"HTTP/1.1 (204|304|101)", head):
        return True
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        return len(data) - border - 4 >= int(length[1])
    return data.endswith(b"0\r\n\r\n") if b"chunked" in head.lower() else False


def ask(port: int, path: str, body: bytes = b"{}", extra: str = "", method: str = "POST") -> bytes:
    """One request on a connection of its own, and the raw bytes of its response."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-MiXed-Case: Yes\r\n{extra}"
    with Wire(port) as wire:
        wire.send(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return wire.response(head_only=method == "HEAD")


class Upstream:
    """A threaded HTTP server whose path says what it does; see the methods `do_…`.

    Attributes:
        connections: Connections accepted.
        requests: Heads received, as text.
        cut_short: Streams whose reader went away before their end.
        heard: To be released for each event of a stream that waits to be heard.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.connections = 0
        self.cut_short = 0
        self.sent_bytes = 0
        self.requests: list[str] = []
        self.heard = threading.Semaphore(0)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Drop every connection, as a provider's edge does with idle ones."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            with connection, connection.makefile("rb") as reader:
                while self._serve_one(connection, reader):
                    pass
        except OSError:
            pass
        finally:
            self._open.discard(connection)

    def _serve_one(self, connection: socket.socket, reader: Any) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return False
            head += line
        text = head.decode("latin-1")
        self.requests.append(text)
        method, target, _ = text.split(" ", 2)
        parts = urlsplit(target)
        options = {key: value[0] for key, value in parse_qs(parts.query).items()}
        name = parts.path.removeprefix("/v1").strip("/").split("/")[0]
        name = name.replace("-", "_") if hasattr(self, f"do_{name.replace('-', '_')}") else "echo"
        if name == "early":
            return self.do_early(connection)
        body, trailers = _read_body(text, reader)
        context = {"head": text, "method": method, "body": body, "trailers": trailers}
        context["reader"] = reader
        return bool(getattr(self, f"do_{name}")(connection, options, context))

    def do_echo(self, connection: socket.socket, _: dict[str, str], got: dict[str, Any]) -> bool:
        """Tells what came: head, body length and digest, trailers."""
        answer = {
            "head": got["head"],
            "length": len(got["body"]),
            "sha256": hashlib.sha256(got["body"]).hexdigest(),
            "trailers": got["trailers"],
        }
        data = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nX-UpStream-Case: Kept\r\ncontent-length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + (b"" if got["method"] == "HEAD" else data))
        return True

    def do_status(self, connection: socket.socket, ask: dict[str, str], _: dict[str, Any]) -> bool:
        """Any status; 204 and 304 without a body though with a length."""
        code = int(ask["code"])
        data = b"" if code in (204, 304) else b'{"error": {"message": "as asked"}}'
        length = 5 if code == 304 else len(data)
        head = f"HTTP/1.1 {code} As Asked\r\ncontent-length: {length}\r\n\r\n"
        connection.sendall(head.encode() + data)
        return True

    def do_gzip(self, connection: socket.socket, _: dict[str, str], __: dict[str, Any]) -> bool:
        """A compressed body."""
        data = gzip.compress(b'{"text": "' + b"a" * 5000 + b'"}', mtime=0)
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        return True

    def do_sse(self, connection: socket.socket, ask: dict[str, str], _: dict[str, Any]) -> bool:
        """`n` events, `ms` apart or each `heard` before the next; `cut=1` dies before the end."""
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        try:
            for index in range(int(ask.get("n", "5"))):
                event = f'data: {{"i": {index}, "pad": "{"x" * int(ask.get("pad", "0"))}"}}\n\n'
                data = event.encode()
                if int(ask.get("ms", "0")) and self._is_gone(connection, int(ask["ms"]) / 1000):
                    raise BrokenPipeError
                connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
                if ask.get("heard") and not self.heard.acquire(timeout=60):
                    raise TimeoutError
        except OSError:
            self.cut_short += 1
            return False
        if ask.get("cut"):
            return False
        connection.sendall(b"0\r\n\r\n")
        return True

    @staticmethod
    def _is_gone(connection: socket.socket, wait_s: float) -> bool:
        ready, _, _ = select.select([connection], [], [], wait_s)
        return bool(ready) and connection.recv(1, socket.MSG_PEEK) == b""

    def do_until_eof(
        self, connection: socket.socket, _: dict[str, str], __: dict[str, Any]
    ) -> bool:
        """A body that only the end of the connection ends."""
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end")
        return False

    def do_reset(self, connection: socket.socket, _: dict[str, str], __: dict[str, Any]) -> bool:
        """A body without length, torn off by a reset."""
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the e")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False

    def do_interim(self, connection: socket.socket, _: dict[str, str], __: dict[str, Any]) -> bool:
        """Two interim responses before the final one."""
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n")
        connection.sendall(b"content-length: 2\r\n\r\nok")
        return True

    def do_big(self, connection: socket.socket, ask: dict[str, str], _: dict[str, Any]) -> bool:
        """`mb` megabytes or `kb` kilobytes."""
        size = int(ask["mb"]) << 20 if "mb" in ask else int(ask["kb"]) << 10
        connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        piece = bytes(range(256)) * 256
        for _ in range(size // len(piece)):
            connection.sendall(piece)
            self.sent_bytes += len(piece)
        return True

    def do_drop(self, *_: object) -> bool:
        """Nothing at all."""
        return False

    def do_early(self, connection: socket.socket) -> bool:
        """A refusal before the body was read."""
        data = b'{"error": {"message": "too large"}}'
        connection.sendall(
            b"HTTP/1.1 413 Too Large\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (len(data), data)
        )
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
        return False

    def do_ws(self, connection: socket.socket, _: dict[str, str], got: dict[str, Any]) -> bool:
        """Switches protocols, then sends back every byte, doubled."""
        key = re.search(r"(?i)sec-websocket-key: *(\S+)", got["head"])
        if key is None or "upgrade" not in got["head"].lower():
            connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n")
            return True
        digest = hashlib.sha1(f"{key[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        accept = base64.b64encode(digest).decode()
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\nhello" % accept.encode()
        )
        while data := got["reader"].read1(1 << 16):
            connection.sendall(data * 2)
        return False


def _read_body(head: str, reader: Any) -> tuple[bytes, str]:
    length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        return reader.read(int(length[1])), ""
    if "chunked" not in head.lower():
        return b"", ""
    body, trailers = b"", ""
    while size := int(reader.readline(), 16):
        body += reader.read(size)
        reader.readline()
    while (line := reader.readline().strip()) != b"":
        trailers += line.decode()
    return body, trailers


@contextlib.contextmanager
def relay_and_upstream(
    hot: Path, *arguments: str, **options: Any
) -> Iterator[tuple[RelayProcess, Upstream]]:
    """A relay in front of an upstream of this process."""
    with (
        Upstream() as upstream,
        RelayProcess(hot, *arguments, openai=upstream.url, **options) as relay,
    ):
        yield relay, upstream
