"""The offline provider: a real HTTP server that answers like Anthropic and OpenAI, from a script.

It lets the demo and the tests run the whole way through the network without a key. Every answer
carries the header `x-tracelake-offline: 1` and ids with `offline` in them, so that nobody takes it
for a model's. What it answers depends on the request alone; see `tracelake.demo.offline`.

Endpoints, each with and without `/v1`: `messages`, `messages/count_tokens`, `chat/completions`,
`responses`, `embeddings`, `models`. `GET /health`; `GET /stats` tells what was asked, which is how
tests know whether a replayed call reached the provider.

Models that fail on purpose: `error-<status>` (`error-429`, `error-500`, …) answers with that
status, `error-cut` breaks the connection in mid answer, `error-event` sends an error in mid stream,
`error-hang` starts to stream and never goes on, or never answers at all.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import logging
import math
import os
import re
import sys
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import uvicorn
import zstandard
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tracelake.demo.offline import chat, messages, responses
from tracelake.demo.offline.brain import think
from tracelake.demo.offline.catalogue import list_models, write_embeddings
from tracelake.demo.offline.conversation import Ask, Format, estimate_tokens, read_ask

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from tracelake.demo.offline.writing import NewId, Piece

#: How fast an answer is written at pace 1, in characters a second, and the wait before it starts.
CHARS_PER_S = 420.0
FIRST_TOKEN_S = 0.7
#: Calls that `/stats` lists; older ones are only counted.
STATS_CALLS_MAX = 10_000

WRITERS = {"messages": messages, "chat": chat, "responses": responses}
FORMATS: dict[str, Format] = {
    "messages": "messages",
    "chat/completions": "chat",
    "responses": "responses",
}


class ConnectionCut(Exception):  # noqa: N818 - not a failure: it is what the client asked for
    """Ends a response in mid body, so that the client sees a broken connection."""


@dataclass(slots=True)
class Stats:
    """What was asked so far.

    Attributes:
        calls: One entry a call that carried a body: endpoint, model, sha256 of the body, outcome.
    """

    by_endpoint: Counter[str] = field(default_factory=Counter[str])
    calls: deque[dict[str, Any]] = field(
        default_factory=lambda: deque[dict[str, Any]](maxlen=STATS_CALLS_MAX)
    )

    def opened(self, endpoint: str, body: bytes, model: str | None) -> dict[str, Any]:
        """Count a call; the entry's `outcome` is for the caller to fill."""
        self.by_endpoint[endpoint] += 1
        digest = hashlib.sha256(body).hexdigest()
        entry = {"endpoint": endpoint, "model": model, "sha256": digest, "outcome": "running"}
        self.calls.append(entry)
        return entry

    def as_json(self) -> dict[str, Any]:
        """The answer of `GET /stats`."""
        return {
            "total": self.by_endpoint.total(),
            "by_endpoint": dict(self.by_endpoint),
            "hashes": [call["sha256"] for call in self.calls],
            "calls": list(self.calls),
        }


@dataclass(slots=True)
class Provider:
    """The state of one server.

    Attributes:
        pace: 1 writes as fast as a model does, 0 as fast as possible, 2 half as fast as 1.
        seed: Makes the ids in an answer a function of seed and request; None makes them unique.
    """

    pace: float = 1.0
    seed: str | None = None
    stats: Stats = field(default_factory=Stats)

    def ids_for(self, body: bytes) -> NewId:
        """Makes the ids of one answer; at most 40 characters, which is OpenAI's limit."""
        start = uuid.uuid4().bytes if self.seed is None else self.seed.encode() + body
        numbers = count()

        def new_id(prefix: str) -> str:
            digest = hashlib.sha256(start + str(next(numbers)).encode()).hexdigest()
            return prefix + digest[:22]

        return new_id

    async def answer(self, request: Request) -> Response:
        """Answer a call to any endpoint."""
        endpoint = re.sub(r"^(/v1)*/", "", request.url.path.rstrip("/"))
        endpoint = next((known for known in ENDPOINTS if endpoint.endswith(known)), endpoint)
        raw = _decoded(await request.body(), request.headers.get("content-encoding", ""))
        is_anthropic = endpoint.startswith("messages") or "anthropic-version" in request.headers
        if request.method == "GET" and endpoint.startswith("models"):
            self.stats.by_endpoint["models"] += 1
            return self._json(list_models(is_anthropic=is_anthropic), is_anthropic=is_anthropic)
        if request.method != "POST" or endpoint not in ENDPOINTS:
            return self._error(404, f"no such endpoint: {request.url.path}", is_anthropic)
        try:
            body = json.loads(raw)
        except ValueError:
            return self._error(400, "the body is not valid JSON", is_anthropic)
        if not isinstance(body, dict):
            return self._error(400, "the body is not a JSON object", is_anthropic)
        model = str(body.get("model"))
        call = self.stats.opened(endpoint, raw, model)
        if status := re.fullmatch(r"error-(\d{3})", model):
            call["outcome"] = f"error {status[1]}"
            return self._error(int(status[1]), f"asked for by the model name {model}", is_anthropic)
        if endpoint in FORMATS:
            try:
                ask = read_ask(FORMATS[endpoint], body)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                call["outcome"] = "error 400"
                return self._error(400, str(error), is_anthropic)
            return await self._generate(request, ask, call, is_anthropic=is_anthropic)
        call["outcome"] = "ok"
        if endpoint == "embeddings":
            return self._json(write_embeddings(body), is_anthropic=False)
        counted = {key: body[key] for key in ("system", "tools", "messages") if key in body}
        return self._json({"input_tokens": estimate_tokens(counted)}, is_anthropic=True)

    async def _generate(
        self, request: Request, ask: Ask, call: dict[str, Any], *, is_anthropic: bool
    ) -> Response:
        answer = think(ask)
        new_id = self.ids_for(await request.body())
        writer = WRITERS[ask.format]
        headers = self._headers(is_anthropic=is_anthropic)
        wait_s = FIRST_TOKEN_S * _jitter(ask)
        if not ask.stream:
            written = len(answer.text) + len(answer.thinking) + 40 * len(answer.calls)
            wait_s += written / CHARS_PER_S
        hangs = ask.model == "error-hang" and not ask.stream
        if not await _client_waits(request, math.inf if hangs else self.pace * wait_s):
            call["outcome"] = "cancelled"
            return Response(status_code=499)
        if ask.stream:
            pieces = writer.write_stream(ask, answer, new_id)
            return StreamingResponse(
                self._paced(pieces, call, ask),
                media_type="text/event-stream",
                headers={**headers, "cache-control": "no-cache"},
            )
        whole = writer.write_whole(ask, answer, new_id)
        if ask.model == "error-cut":
            return StreamingResponse(
                self._cut(json.dumps(whole).encode(), call),
                media_type="application/json",
                headers=headers,
            )
        call["outcome"] = "ok"
        return self._json(whole, is_anthropic=is_anthropic)

    async def _paced(
        self, pieces: list[Piece], call: dict[str, Any], ask: Ask
    ) -> AsyncIterator[bytes]:
        """The events of a stream, in time; marks the call when it ends or is given up."""
        fails_at = len(pieces) // 2 if ask.model.startswith("error-") else None
        due = time.monotonic()  # of the next piece; late ones are caught up, pauses do not add up
        try:
            for number, piece in enumerate(pieces):
                if number == fails_at:
                    call["outcome"] = ask.model
                    if ask.model == "error-hang":
                        await asyncio.Event().wait()
                    if ask.model == "error-cut":
                        raise ConnectionCut
                    error = WRITERS[ask.format].write_error_event("overloaded, on purpose")
                    yield error.data.encode()
                    return
                due += self.pace * piece.chars / CHARS_PER_S
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                yield piece.data.encode()
            call["outcome"] = "ok"
        except (asyncio.CancelledError, GeneratorExit):
            call["outcome"] = "cancelled"
            raise

    async def _cut(self, body: bytes, call: dict[str, Any]) -> AsyncIterator[bytes]:
        """Half of a body, then a broken connection."""
        call["outcome"] = "error-cut"
        yield body[: len(body) // 2]
        raise ConnectionCut

    def _headers(self, *, is_anthropic: bool) -> dict[str, str]:
        name = "request-id" if is_anthropic else "x-request-id"
        return {"x-tracelake-offline": "1", name: _request_id()}

    def _json(self, body: dict[str, Any], *, is_anthropic: bool, status: int = 200) -> Response:
        headers = self._headers(is_anthropic=is_anthropic)
        if status == 429:
            headers["retry-after"] = "1"
        return JSONResponse(body, status, headers=headers)

    def _error(self, status: int, message: str, is_anthropic: bool) -> Response:
        if is_anthropic:
            body = messages.write_error(status, message, _request_id())
        else:
            body = chat.write_error(status, message)
        return self._json(body, is_anthropic=is_anthropic, status=status)


#: Longest first, so that a suffix never wins over the endpoint it ends.
ENDPOINTS = ("messages/count_tokens", "chat/completions", "embeddings", "responses", "messages")


def create_app(*, pace: float = 1.0, seed: str | None = None) -> Starlette:
    """The offline provider as an ASGI application, see `Provider` for the arguments."""
    provider = Provider(pace, seed)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "offline": True, "pace": pace})

    async def stats(_: Request) -> Response:
        return JSONResponse(provider.stats.as_json())

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/stats", stats),
            Route("/{path:path}", provider.answer, methods=["GET", "POST"]),
        ]
    )


def _request_id() -> str:
    return f"req_offline_{uuid.uuid4().hex[:22]}"


def _decoded(body: bytes, encoding: str) -> bytes:
    """A request body without its content encoding."""
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


async def _client_waits(request: Request, seconds: float) -> bool:
    """Let this time pass; False at once when the client leaves meanwhile."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if await request.is_disconnected():
            return False
        await asyncio.sleep(min(0.1, left))
    return True


def _jitter(ask: Ask) -> float:
    """A factor from 0.7 to 1.3 that is always the same for the same request."""
    digest = hashlib.sha256(repr((ask.system, ask.turns)).encode()).digest()
    return 0.7 + 0.6 * digest[0] / 255


class _Server(uvicorn.Server):
    """Announces its address on stdout once it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and say where."""
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        line = {"address": f"http://{host}:{port}", "pid": os.getpid()}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def stop_when_stdin_closes(self) -> None:
        """Stop once whoever started this process is gone, however it went."""

        def wait() -> None:
            sys.stdin.buffer.read()
            self.should_exit = True

        threading.Thread(target=wait, daemon=True).start()


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a log record is about more than an answer that was broken off on purpose."""
    if "graceful shutdown exceeded" in record.getMessage():
        return False
    error = record.exc_info[1] if record.exc_info else None
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return not isinstance(error, ConnectionCut)


def main() -> None:
    """Serve until told to stop (SIGINT or SIGTERM)."""
    parser = argparse.ArgumentParser(prog="python -m tracelake.demo.provider")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--pace", type=float, default=1.0, help="1 is human-like, 0 at once")
    parser.add_argument("--seed", help="make ids repeat for a repeated request")
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    config = uvicorn.Config(
        create_app(pace=options.pace, seed=options.seed),
        host=options.host,
        port=options.port,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_logging)
    server = _Server(config)
    if options.until_stdin_closes:
        server.stop_when_stdin_closes()
    server.run()


if __name__ == "__main__":
    main()
