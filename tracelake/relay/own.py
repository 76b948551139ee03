"""Requests that the relay answers itself: health, control, and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tracelake.relay.failures import render_error, render_response
from tracelake.relay.routing import Own, Refusal

if TYPE_CHECKING:
    from tracelake.relay.capture import Piece
    from tracelake.relay.client import ClientConnection
    from tracelake.relay.server import Relay

_BODY_MAX_BYTES = 64 * 1024


class OwnCall:
    """A request to the relay itself; has the shape of a `Call` as far as a client needs it."""

    def __init__(
        self,
        client: ClientConnection,
        relay: Relay,
        asked: Own | Refusal,
        method: str,
        *,
        headers: dict[bytes, str],
    ) -> None:
        self._client = client
        self._relay = relay
        self._asked = asked
        self._method = method
        self._headers = headers
        self._body = b""
        self._started = False
        self.request_complete = False
        self.is_over = False

    def start(self) -> None:
        """It is this call's turn on its connection."""
        self._started = True
        if self.request_complete:
            self._answer()

    def body(self, data: Piece) -> None:
        """A piece of the request body."""
        if isinstance(self._asked, Own) and len(self._body) <= _BODY_MAX_BYTES:
            self._body += bytes(data)

    def end_of_request(self, _trailers: list[bytes]) -> None:
        """The request has been read to its end."""
        self.request_complete = True
        if self._started and not self.is_over:
            self._answer()

    def flush(self) -> None:
        """There is nothing to pass on."""

    def cancel(self, _outcome: str) -> None:
        """The client is gone."""
        self.is_over = True

    def hold_upstream(self) -> None:
        """There is none."""

    def release_upstream(self) -> None:
        """There is none."""

    @staticmethod
    def render(refusal: Refusal, *, close: bool) -> bytes:
        """A refusal as an HTTP response."""
        return render_error(
            refusal.dialect,
            status=refusal.status,
            code=refusal.code,
            message=refusal.message,
            close=close,
        )

    def _answer(self) -> None:
        answer = self._decide()
        if isinstance(answer, Refusal):
            self._relay.refused += 1
            data = self.render(answer, close=False)
        else:
            data = render_response(answer[0], orjson.dumps(answer[1]))
        if self._method == "HEAD":
            data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        self._client.transport.write(data)
        self.is_over = True
        self._client.call_over(self, keep_alive=True)

    def _decide(self) -> Refusal | tuple[int, dict[str, object]]:
        asked = self._asked
        if isinstance(asked, Refusal):
            return asked
        if asked.path == "/health":
            if self._method not in ("GET", "HEAD"):
                return 405, {"error": "use GET"}
            if not self._relay.is_own_name(self._headers.get(b"host")):
                return Refusal(403, "foreign_host", "unknown Host: use the relay's own address")
            return 200, self._relay.health()
        refusal = self._relay.access.refuse_control(
            self._client.peer[0],
            host=self._headers.get(b"host"),
            secret=self._headers.get(b"x-tracelake-control"),
        )
        if refusal is not None:
            return refusal
        if len(self._body) > _BODY_MAX_BYTES:
            return 413, {"error": "the body is too long"}
        return self._relay.control.answer(self._method, asked.path, self._body)
