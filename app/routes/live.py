"""The live stream of a trace over a WebSocket: a snapshot, then what changes.

`GET /ws/traces/{trace_id}?token=…[&epoch=…&since=N]`. Messages to the browser are JSON:
`{type: snapshot|delta, epoch, prev, seq, nodes, edges, lanes, totals, status[, places]}`. A reader
that comes back with the epoch and the number it has gets what it missed. The browser may send
`{"layout": "lanes"|"hierarchy"}`, and `{"span": id}` for everything about a span: the answer is
`{type: document, id, document}`, the document null while the lake holds no such span.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from app import hub
from app.routes.guard import check_connection
from app.span_document import as_json
from tracelake.model import is_valid_id

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from app.hub import Subscription

#: Changes within this time travel together: a display shows no more than 60 states a second.
COALESCE_S = 0.016
LAYOUTS = frozenset({"lanes", "hierarchy"})


class _Reader:
    """One connected browser: the state it has, the layout it shows, the span it reads."""

    def __init__(self, socket: WebSocket, subscription: Subscription) -> None:
        self.socket = socket
        self.trace = subscription.trace
        self.subscription = subscription
        self.layout = "lanes"
        self.seq = 0
        self.status: str | None = None
        self.span_id: str | None = None
        self.span_wanted = asyncio.Event()
        query = socket.query_params
        if query.get("epoch") == self.trace.epoch and query.get("since", "").isdecimal():
            self.seq = int(query["since"])

    async def send_news(self) -> None:
        """Send what is new, for as long as the hub runs."""
        message = self.trace.message(self.seq, known="")
        while not hub.current().is_stopped:
            if message is not None:
                self.seq = message["seq"]
                self.status = message.get("status", self.status)
                await self._send(message)
            await self.subscription.wait()
            await asyncio.sleep(COALESCE_S)
            message = self.trace.message(self.seq, known=self.status, layout=self.layout)

    async def send_documents(self) -> None:
        """Send the span asked for; of several wishes at once the last."""
        while True:
            await self.span_wanted.wait()
            self.span_wanted.clear()
            span_id = self.span_id
            if span_id is None:
                continue
            read = hub.current().document
            document = await anyio.to_thread.run_sync(read, self.trace.trace_id, span_id)
            await self._send({"type": "document", "id": span_id, "document": document})

    async def receive(self) -> None:
        """Take wishes in until the browser leaves; a closed tab is only noticed here."""
        while True:
            wish = _read_wish(await self.socket.receive_text())
            if is_valid_id(wish.get("span")):
                self.span_id = wish["span"]
                self.span_wanted.set()
            layout = wish.get("layout")
            if layout in LAYOUTS and layout != self.layout:
                self.layout = layout
                if layout != "lanes":
                    await self._send({**self._nothing_new(), "places": self.trace.places()})

    def _nothing_new(self) -> dict[str, Any]:
        return {"type": "delta", "epoch": self.trace.epoch, "prev": self.seq, "seq": self.seq}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send_text(as_json(message))


async def stream(socket: WebSocket) -> None:
    """Serve one browser until it leaves or the server stops."""
    trace_id = socket.path_params["trace_id"]
    refusal = check_connection(socket)
    if refusal is not None or not is_valid_id(trace_id):
        await socket.close(4403)  # before it was accepted: the handshake is answered with 403
        return
    await socket.accept()
    loop = asyncio.get_running_loop()
    subscription = await anyio.to_thread.run_sync(hub.current().subscribe, trace_id, loop)
    reader = _Reader(socket, subscription)
    work = (reader.send_news(), reader.send_documents(), reader.receive())
    tasks = [asyncio.create_task(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        subscription.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, WebSocketDisconnect):
            raise error


def _read_wish(text: str) -> dict[str, Any]:
    """What a message asks for; anything that is no JSON object asks for nothing."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


routes = [WebSocketRoute("/ws/traces/{trace_id}", stream)]
