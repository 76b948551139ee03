"""The HTTP side of the control proxy: takes calls from the relay, lets handlers decide, answers.

Invariants:
- Only calls of runs that are served are taken; a run id is random and known to the relay and the
  program alone, so nobody else can use this as a proxy.
- A client that hangs up cancels the handler and the upstream call.
- What a handler raises becomes an error in the client's provider's own shape, never a hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import uvicorn

from tracelake.control.call import Answer, Call, Forward
from tracelake.control.forward import HOP_BY_HOP, send
from tracelake.errors import NoRecordedMatch, UpstreamError
from tracelake.model import Exchange, new_id, utc_now
from tracelake.recall import PATH
from tracelake.relay.failures import error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Self

    from tracelake.control.call import Handler, Headers

    Scope = dict[str, Any]
    Tools = Callable[[dict[str, Any]], dict[str, Any]]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

log = logging.getLogger("tracelake.control")


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to the process that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class ControlServer:
    """Serves the calls of runs on a loopback port of its own.

    Use as an async context manager; `address` is valid inside.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._tools: dict[str, Tools] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level="critical",  # an answer that is cut on purpose is no error of the server
            access_log=False,
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
            server_header=False,
            date_header=False,
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Base URL to give to the relay."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def serve(self, run_id: str, handler: Handler, *, tools: Tools | None = None) -> None:
        """Let this handler decide on the calls of a run from now on.

        Args:
            run_id: The run.
            handler: Decides on its model calls.
            tools: Answers what the program itself asks of its recorded tools; JSON in and out.
        """
        self._handlers[run_id] = handler
        if tools is not None:
            self._tools[run_id] = tools

    def leave(self, run_id: str) -> None:
        """Refuse the calls of a run from now on."""
        self._handlers.pop(run_id, None)
        self._tools.pop(run_id, None)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - a flag is all it has
            await asyncio.sleep(0.005)
        if self._task.done():
            await self._task
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: list[tuple[str, str]] = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        ours = {name: value for name, value in headers if name.startswith("x-tracelake-")}
        run_id = ours.get("x-tracelake-run", "")
        handler = self._handlers.get(run_id)
        body = await _read_body(receive)
        if body is None:
            return
        # asked by the program itself, not by the relay: see `tracelake.recall`
        if scope["path"] == PATH and (tools := self._tools.get(run_id)) is not None:
            await _answer_tool(send, tools, body)
            return
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        exchange = Exchange(
            span_id=ours.get("x-tracelake-span") or new_id(),
            start_time=utc_now(),
            method=scope["method"],
            path=path,
            upstream=ours.get("x-tracelake-upstream", ""),
            request_headers=tuple(pair for pair in headers if pair[0] not in ours),
            request_body=body,
            run_id=run_id,
        )
        call = Call(exchange, ours.get("x-tracelake-upstream-url", ""))
        if handler is None:
            text = "this run is not under control: its replay is over or was never started"
            await _send_error(send, call, 404, "unknown_run", text)
            return
        await _until_disconnect(receive, self._answer(handler, call, send))

    async def _answer(self, handler: Handler, call: Call, send: Send) -> None:
        status: int | None = None
        try:
            status = await self._decide(handler, call, send)
        finally:
            handler.over(call, status=status)

    async def _decide(self, handler: Handler, call: Call, send: Send) -> int | None:
        try:
            reply = await handler.handle(call)
            if isinstance(reply, Answer):
                await _send_answer(send, reply)
                return None if reply.is_cut else reply.status
            return await _forward(send, call, reply)
        except NoRecordedMatch as error:
            await _send_error(send, call, 400, "no_recorded_match", str(error))
        except UpstreamError as error:
            await _send_error(send, call, 502, "upstream_unreachable", str(error))
        except _Broken:
            raise
        except Exception as error:
            log.exception("a call of run %s could not be handled", call.exchange.run_id)
            text = f"the call could not be handled: {error}"
            await _send_error(send, call, 500, "control_failed", text)
        return None


class _Broken(Exception):  # noqa: N818 - not a failure: the server closes the connection on it
    """An answer that breaks off in the middle."""


async def _read_body(receive: Receive) -> bytes | None:
    """The whole request body; None when the client hung up."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _until_disconnect(receive: Receive, work: Any) -> None:
    """Do the work, or cancel it when the client hangs up."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer_tool(send: Send, tools: Tools, body: bytes) -> None:
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    status, told = (200, tools(asked)) if isinstance(asked, dict) else (400, {})
    headers = (("content-type", "application/json"),)
    await _send_answer(send, Answer(status, headers, json.dumps(told).encode()))


async def _send_answer(send: Send, answer: Answer) -> None:
    headers = [pair for pair in answer.headers if pair[0].lower() not in HOP_BY_HOP]
    headers = [pair for pair in headers if pair[0].lower() != "content-length"]
    if isinstance(answer.body, bytes):
        if not answer.is_cut:
            headers.append(("content-length", str(len(answer.body))))
        await _start(send, answer.status, headers)
        await _body(send, answer.body)
    else:
        await _start(send, answer.status, headers)
        async for piece in answer.body:
            await _body(send, piece)
    if answer.is_cut:
        raise _Broken
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _forward(send: Send, call: Call, forward: Forward) -> int:
    exchange = call.exchange
    headers, body = exchange.request_headers, exchange.request_body
    if forward.body is not None:
        headers = tuple(pair for pair in headers if pair[0] != "content-encoding")
        exchange, body = replace(exchange, request_headers=headers), forward.body
    url = forward.url or call.upstream_url
    if not url:
        raise UpstreamError("the relay named no upstream for this call")
    async with _send_live(url, exchange, body) as live:
        passed = [pair for pair in live.headers if pair[0].lower() not in HOP_BY_HOP]
        await _start(send, live.status, [*passed, *forward.headers])
        try:
            async for piece in live.body:
                await _body(send, piece)
        except UpstreamError as error:
            raise _Broken from error
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return live.status


def _send_live(url: str, exchange: Exchange, body: bytes) -> Any:
    return send(url, method=exchange.method, headers=exchange.request_headers, body=body)


async def _start(send: Send, status: int, headers: list[tuple[str, str]] | Headers) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _body(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _send_error(send: Send, call: Call, status: int, code: str, message: str) -> None:
    body = error_body(call.dialect, status=status, code=code, message=message)
    # SDKs try again after some errors; a decision made here stays what it is
    headers = (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("x-tracelake-error", code),
    )
    await _send_answer(send, Answer(status, headers, body))
