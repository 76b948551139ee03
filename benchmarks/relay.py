"""Latency and CPU that the relay adds, beside nginx and a direct connection, in the same run.

    python benchmarks/relay.py [--rounds N] [--seconds S]

Prints figures, asserts nothing. nginx is left out, and that is said, where it is not installed.
The load generator, the upstream and the relay share the machine's cores: at 32 and more
connections throughput is bounded by them, not by the relay alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httptools
import psutil
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"x" * 20_000 + b'"}]}'
ANSWER = b'{"choices": [{"message": {"role": "assistant", "content": "' + b"y" * 1_000 + b'"}}]}'
EVENT = b'data: {"t": %020d, "choices": [{"delta": {"content": "some more text"}}]}\n\n'
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_max_body_size 0; client_body_buffer_size 1m; keepalive_requests 1000000000;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{
    proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering off; proxy_request_buffering off; }} }}
}}
"""


class UpstreamProtocol(asyncio.Protocol):
    """A provider that answers at once, or streams `n` events `us` microseconds apart."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A new request."""
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Its target."""
        self._url += url

    def on_message_complete(self) -> None:
        """Answer it."""
        if b"stream" not in self._url:
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            self._transport.write(head % len(ANSWER) + ANSWER)
            return
        options = dict(p.split(b"=") for p in self._url.partition(b"?")[2].split(b"&"))
        self._task = asyncio.ensure_future(self._stream(int(options[b"n"]), int(options[b"us"])))

    async def _stream(self, count: int, pause_us: int) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(count):
            if self._transport.is_closing():
                return
            event = EVENT % time.monotonic_ns()
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(pause_us / 1e6)
        self._transport.write(b"0\r\n\r\n")


async def serve_upstream() -> None:
    """Serve until killed; print the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(UpstreamProtocol, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class Target:
    """Something to send requests to, and the process whose CPU counts."""

    name: str
    port: int
    process: psutil.Process | None = None
    latencies: dict[int, list[float]] = field(default_factory=dict)
    rates: dict[int, list[float]] = field(default_factory=dict)
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    chunk_us: list[float] = field(default_factory=list)

    def cpu_s(self) -> float:
        """CPU seconds used so far by the process and its children."""
        if self.process is None:
            return 0.0
        family = [self.process, *self.process.children(recursive=True)]
        return sum(sum(p.cpu_times()[:2]) for p in family)


class Client(asyncio.Protocol):
    """One connection that sends the next request as soon as it has its answer."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._parser = httptools.HttpResponseParser(self)
        self.latencies: list[float] = []
        self.chunk_us: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Parse; note the delay of each event from its own time stamp."""
        if b'{"t": ' in data:
            now = time.monotonic_ns()
            for part in data.split(b'{"t": ')[1:]:
                self.chunk_us.append((now - int(part[:20])) / 1000)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Measure and go on."""
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Done."""
        if not self.over.done():
            self.over.set_result(None)


async def drive(target: Target, connections: int, seconds: float) -> None:
    """One round of requests."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nauthorization: Bearer k\r\n"
    request = (
        head + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    )
    loop = asyncio.get_running_loop()
    before, start = target.cpu_s(), time.perf_counter()
    clients = [
        (
            await loop.create_connection(
                lambda: Client(request, start + seconds), "127.0.0.1", target.port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.over for client in clients))
    latencies = [value for client in clients for value in client.latencies]
    target.latencies.setdefault(connections, []).append(statistics.median(latencies) * 1e6)
    target.rates.setdefault(connections, []).append(len(latencies) / (time.perf_counter() - start))
    used = (target.cpu_s() - before) / len(latencies) * 1e6
    target.cpu_us.setdefault(connections, []).append(used)


async def drive_stream(target: Target) -> None:
    """One stream of 200 events, 2 ms apart."""
    head = b"POST /v1/chat/completions?stream=1&n=200&us=2000 HTTP/1.1\r\nHost: x\r\n"
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: Client(head + b"content-length: 2\r\n\r\n{}", 0.0), "127.0.0.1", target.port
    )
    await client.over
    target.chunk_us.append(statistics.median(client.chunk_us))


async def streaming_memory(relay: Target, connections: int) -> float:
    """Resident memory of the relay, MB, while so many streams are open."""
    assert relay.process is not None
    head = b"POST /v1/chat/completions?stream=1&n=60&us=50000 HTTP/1.1\r\nHost: x\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(request, 0.0), "127.0.0.1", relay.port))[1]
        for _ in range(connections)
    ]
    peak = 0
    while not all(client.over.done() for client in clients):
        peak = max(peak, relay.process.memory_info().rss)
        await asyncio.sleep(0.05)
    return peak / 1e6


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def targets(folder: Path) -> Iterator[list[Target]]:
    """The upstream itself, nginx where it is installed, and the relay; ended afterwards."""
    with contextlib.ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return process

        upstream = start(sys.executable, __file__, "--serve-upstream")
        assert upstream.stdout is not None
        port = int(upstream.stdout.readline())
        found = [Target("direct", port)]
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if nginx is None:
            print("nginx is not installed: left out")
        else:
            nginx_port = free_port()
            config = folder / "nginx.conf"
            config.write_text(NGINX.format(folder=folder, port=nginx_port, upstream=port))
            process = start(nginx, "-c", str(config), "-p", str(folder))
            found.append(Target("nginx", nginx_port, psutil.Process(process.pid)))
        command = [
            sys.executable,
            "-m",
            "tracelake.relay",
            "--hot",
            str(folder / "hot"),
            "--port",
            "0",
        ]
        relay = start(*command, "--openai-backend", f"http://127.0.0.1:{port}/v1")
        assert relay.stdout is not None
        address = json.loads(relay.stdout.readline())["address"]
        found.append(Target("relay", int(address.rpartition(":")[2]), psutil.Process(relay.pid)))
        yield found


async def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, targets(Path(name)) as found:
        await asyncio.sleep(0.5)
        for target in found:  # warm up
            await drive(target, 4, 0.2)
        for target in found:
            target.latencies.clear(), target.rates.clear(), target.cpu_us.clear()
        for _ in range(arguments.rounds):
            for connections in (1, 32, 256):
                for target in found:
                    await drive(target, connections, arguments.seconds)
            for target in found:
                await drive_stream(target)
        memory_mb = await streaming_memory(found[-1], 256)
    print(f"\n20 KB requests, {arguments.rounds} rounds of {arguments.seconds:g} s, best round")
    print(f"{'':8} {'1 conn p50 (added)':>22} {'32 conn req/s':>14} {'256 conn req/s':>15}", end="")
    print(f" {'CPU us/req at 1/32/256':>26} {'SSE event p50':>14}")
    direct = found[0]
    for target in found:
        p50 = min(target.latencies[1])
        added = p50 - min(direct.latencies[1])
        cpu = " / ".join(f"{min(target.cpu_us[n]):.0f}" for n in (1, 32, 256))
        print(
            f"{target.name:8} {p50:9.0f} us (+{added:6.0f}) {max(target.rates[32]):14.0f}"
            f" {max(target.rates[256]):15.0f} {cpu if target.process else '-':>26}"
            f" {min(target.chunk_us):11.0f} us"
        )
    print(f"relay memory with 256 streaming connections: {memory_mb:.0f} MB (after the load above)")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--serve-upstream", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    uvloop.run(serve_upstream() if arguments.serve_upstream else run(arguments))


if __name__ == "__main__":
    main()
