"""A provider that answers the calls of captured programs as it did when they were captured."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.programs.upstream import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable
    from pathlib import Path

    from starlette.requests import Request

Call = dict[str, Any]


def _key(method: str, path: str, body: Any) -> str:
    return json.dumps([method, path.removeprefix("/v1"), body], sort_keys=True)


class RecordedProvider:
    """Answers each call with what was captured, as often as it is sent, and as slowly."""

    def __init__(self, captures: Iterable[Path]) -> None:
        self._answers: defaultdict[str, deque[Call]] = defaultdict(deque)
        for capture in captures:
            for line in capture.read_text(encoding="utf-8").splitlines():
                call = json.loads(line)
                self._answers[_key(call["method"], call["path"], call["req_body"])].append(call)
        self.unknown: list[str] = []

    async def answer(self, request: Request) -> Response:
        """Answer one call; equal calls take turns."""
        raw = await request.body()
        query = f"?{request.url.query}" if request.url.query else ""
        key = _key(request.method, request.url.path + query, json.loads(raw) if raw else None)
        same = self._answers.get(key)
        if not same:
            self.unknown.append(key)
            return Response("this call was not captured", 404)
        call = same[0]
        same.rotate(-1)
        headers = {k: v for k, v in call.get("resp_headers") or () if k != "content-length"}
        headers.setdefault("content-type", "application/json")
        if call.get("resp_sse") is None:
            await asyncio.sleep(call["t_end"] - call["t_start"])
            body = json.dumps(call["resp_body"]).encode()
            if headers.get("content-encoding") == "gzip":
                body = gzip.compress(body)
            return Response(body, call["status"], headers)
        first = call.get("t_first") or call["t_end"]
        await asyncio.sleep(first - call["t_start"])
        return StreamingResponse(_stream(call, first), call["status"], headers)


async def _stream(call: Call, first: float) -> AsyncIterator[bytes]:
    events = call["resp_sse"].split("\n\n")
    pause = (call["t_end"] - first) / len(events)
    for event in events:
        if event:
            yield f"{event}\n\n".encode()
            await asyncio.sleep(pause)


@contextmanager
def running_recorded(captures: Iterable[Path]) -> Generator[tuple[str, RecordedProvider]]:
    """Serve the answers of captures on a free port while the block runs; address and provider."""
    provider = RecordedProvider(captures)
    app = Starlette(routes=[Route("/{path:path}", provider.answer, methods=["GET", "POST"])])
    with serving(app) as address:
        yield address, provider
