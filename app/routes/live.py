"""The live stream of a trace over a WebSocket: a snapshot, then what changes.

`GET /ws/traces/{trace_id}?token=…[&epoch=…&since=N]`. Messages to the browser are JSON:
`{type: snapshot|delta, epoch, prev, seq, nodes, edges, lanes, totals, status[, places]}`. A reader
that comes back with the epoch and the number it has gets what it missed. The browser may send
`{"layout": "lanes"|"hierarchy"}`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from app import hub
from app.routes.guard import check_connection
from tracelake.model import is_valid_id

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from app.hub import Subscription

#: Changes within this time travel together: a display shows no more than 60 states a second.
COALESCE_S = 0.016
LAYOUTS = frozenset({"lanes", "hierarchy"})


class _Reader:
    """One connected browser: the state it has and the layout it shows."""

    def __init__(self, socket: WebSocket, subscription: Subscription) -> None:
        self.socket = socket
        self.subscription = subscription
        self.layout = "lanes"
        self.seq = 0
        query = socket.query_params
        if query.get("epoch") == subscription.trace.epoch and query.get("since", "").isdecimal():
            self.seq = int(query["since"])

    async def send(self) -> None:
        """Send what is new, for as long as the hub runs."""
        await self._send_news(resumed=self.seq > 0)
        while not hub.current().is_stopped:
            await self.subscription.wait()
            await asyncio.sleep(COALESCE_S)
            await self._send_news()

    async def receive(self) -> None:
        """Take layout wishes in until the browser leaves; a closed tab is only noticed here."""
        while True:
            text = await self.socket.receive_text()
            wish = _read_wish(text)
            if wish is not None and wish != self.layout:
                self.layout = wish
                if wish != "lanes":
                    await self._send_places()

    async def _send_news(self, *, resumed: bool = False) -> None:
        message = self.subscription.trace.message(self.seq, layout=self.layout)
        if message is None and resumed:
            message = self._nothing_new()
        if message is not None:
            self.seq = message["seq"]
            await self.socket.send_text(orjson.dumps(message).decode())

    async def _send_places(self) -> None:
        places = self.subscription.trace.places()
        message = {**self._nothing_new(), "places": places}
        await self.socket.send_text(orjson.dumps(message).decode())

    def _nothing_new(self) -> dict[str, Any]:
        epoch = self.subscription.trace.epoch
        return {"type": "delta", "epoch": epoch, "prev": self.seq, "seq": self.seq}


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
    tasks = [asyncio.create_task(reader.send()), asyncio.create_task(reader.receive())]
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


def _read_wish(text: str) -> str | None:
    """The layout that a message asks for; anything else is nobody's and passes unheard."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    wish = message.get("layout") if isinstance(message, dict) else None
    return wish if wish in LAYOUTS else None


routes = [WebSocketRoute("/ws/traces/{trace_id}", stream)]
