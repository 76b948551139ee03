"""A provider with a script, for programs whose models must call the right tools.

A real HTTP server in a thread. Who asks is known by words of the system prompt and of the task;
what is answered follows from the tool calls that the conversation already holds.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support import eventually
from tracelake.demo.offline import chat, messages, responses
from tracelake.demo.offline.catalogue import list_models, write_embeddings
from tracelake.demo.offline.conversation import Answer, Ask, ToolCall, read_ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Sequence

    from starlette.requests import Request

    from tracelake.demo.offline.conversation import Format

FORMATS: dict[str, tuple[Format, Any]] = {
    "messages": ("messages", messages),
    "chat/completions": ("chat", chat),
    "responses": ("responses", responses),
}
TOGETHER_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent says.

    Attributes:
        system: Words of its system prompt.
        steps: The tool calls of its answers, in order.
        closing: Its last answer.
        task: Words of the task, where several conversations share the system prompt.
        delay_s: How long it thinks.
        opens: Its first answer waits for the other runs, see `ScriptedUpstream.together`.
    """

    system: str
    steps: Sequence[Sequence[ToolCall]] = ()
    closing: str = "Done."
    task: str = ""
    delay_s: float = 0.04
    opens: bool = False


def call(tool: str, **arguments: Any) -> ToolCall:
    """A tool call of a script."""
    return ToolCall(tool, arguments)


@dataclass(slots=True)
class ScriptedUpstream:
    """The server's script and what it saw.

    Attributes:
        together: So many runs open before any of them is answered: they truly overlap.
        asked: Calls that reached it, of any kind.
        failures: Statuses to answer the next calls of a model with, before its script goes on.
    """

    parts: Sequence[Part]
    address: str = ""
    together: int = 1
    asked: int = 0
    failures: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    unscripted: list[str] = field(default_factory=list[str])
    _waiting: int = 0
    _gate: asyncio.Event | None = None

    async def answer(self, request: Request) -> Response:
        """Answer one call of a program."""
        self.asked += 1
        endpoint = re.sub(r"^(/v1)*/", "", request.url.path)
        if endpoint.startswith("models"):
            anthropic = "anthropic-version" in request.headers
            return JSONResponse(list_models(is_anthropic=anthropic))
        body = json.loads(await request.body())
        if endpoint == "embeddings":
            return JSONResponse(write_embeddings(body))
        if endpoint == "messages/count_tokens":
            return JSONResponse({"input_tokens": 7})
        wire_format, writer = FORMATS[endpoint]
        ask = read_ask(wire_format, body)
        statuses = self.failures.get(ask.model)
        if statuses:
            return _failure(wire_format, statuses.pop(0))
        part = self._part(ask)
        if part.opens and not any(turn.calls for turn in ask.turns):
            await self._meet()
        await asyncio.sleep(part.delay_s)
        return _written(writer, ask, _next_answer(part, ask))

    def _part(self, ask: Ask) -> Part:
        said = "\n".join(turn.text for turn in ask.turns if turn.role == "user")
        for part in self.parts:
            if part.system in ask.system and part.task in said:
                return part
        self.unscripted.append(ask.system or said)
        return Part("", closing=f"Nothing is scripted for {ask.system!r}.")

    async def _meet(self) -> None:
        """Wait until as many runs as announced have opened."""
        self._gate = self._gate or asyncio.Event()
        gate = self._gate
        self._waiting += 1
        if self._waiting >= self.together:
            self._waiting, self._gate = 0, None
            gate.set()
        await asyncio.wait_for(gate.wait(), TOGETHER_TIMEOUT_S)


def _next_answer(part: Part, ask: Ask) -> Answer:
    made = [(step.name, step.arguments) for step, _ in ask.steps()]
    for step in part.steps:
        if not all((wanted.name, wanted.arguments) in made for wanted in step):
            return Answer(calls=tuple(step))
        for wanted in step:
            made.remove((wanted.name, wanted.arguments))
    return Answer(part.closing)


def _new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:22]


def _written(writer: Any, ask: Ask, answer: Answer) -> Response:
    if not ask.stream:
        return JSONResponse(writer.write_whole(ask, answer, _new_id))

    async def stream() -> AsyncIterator[bytes]:
        for piece in writer.write_stream(ask, answer, _new_id):
            await asyncio.sleep(0)
            yield piece.data.encode()

    return StreamingResponse(stream(), media_type="text/event-stream")


def _failure(wire_format: Format, status: int) -> Response:
    headers = {"retry-after-ms": "20", "retry-after": "0.02"}
    if wire_format == "messages":
        body = messages.write_error(status, "on purpose", "req_scripted")
    else:
        body = chat.write_error(status, "on purpose")
    return JSONResponse(body, status, headers=headers)


@contextmanager
def running_upstream(parts: Sequence[Part]) -> Generator[ScriptedUpstream]:
    """Serve a script on a free port while the block runs."""
    upstream = ScriptedUpstream(parts)
    app = Starlette(routes=[Route("/{path:path}", upstream.answer, methods=["GET", "POST"])])
    with serving(app) as address:
        upstream.address = address
        yield upstream


@contextmanager
def serving(app: Starlette) -> Generator[str]:
    """Serve an application in a thread; its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", access_log=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="upstream")
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
