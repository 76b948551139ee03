"""One call on its way: from a client's request, through an upstream, back, and into the record.

Invariants:
- A piece of a body is passed on before it is kept.
- A response that broke off never looks complete to the client.
- A request is sent twice only if a kept-alive connection died before a single byte came back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from tracelake.relay.failures import render_error
from tracelake.relay.seam import HeadFilter
from tracelake.relay.upstream import describe_failure

if TYPE_CHECKING:
    from tracelake.relay.capture import Capture, Piece
    from tracelake.relay.client import ClientConnection
    from tracelake.relay.recorder import Recorder
    from tracelake.relay.upstream import Pool, UpstreamConnection

_log = logging.getLogger(__name__)

#: How much of a request body may wait for a connection before the client is held back.
_WAITING_BYTES = 1 << 20
#: Shorter pieces are joined before they are sent; of longer ones no copy is made.
_JOINED_BYTES = 8 * 1024


class Call:
    """A request that is being forwarded.

    Attributes:
        is_chunked: Its request body has no length, it comes and goes in chunks.
        request_complete: The request has been read to its end.
        is_over: The response, or the attempt to get one, has ended.
    """

    is_chunked = False
    request_complete = False
    is_over = False
    _filter: HeadFilter | None = None
    _upstream: UpstreamConnection | None = None
    _connecting: asyncio.Task[None] | None = None
    #: Why no upstream was reached; said once the request has been read, so that it is recorded.
    _unreachable: tuple[int, str, str] | None = None
    _retried = False
    _is_tunnel = False
    _sent_bytes = 0
    _trailer = b""

    def __init__(
        self,
        client: ClientConnection,
        pool: Pool,
        recorder: Recorder,
        capture: Capture,
        head: bytes,
        *,
        is_controlled: bool = False,
    ) -> None:
        self._client = client
        self._pool = pool
        self._recorder = recorder
        self._head = head
        if is_controlled:
            self._filter = HeadFilter()
        self._out: list[Piece] = []  # gathered for the upstream, not yet sent
        #: Of the body, what came before there was an upstream; recorded or not, it has to arrive.
        self._waiting: list[Piece] = []
        self.capture = capture

    @property
    def is_head(self) -> bool:
        """Whether its response has no body, whatever its headers say."""
        return self.capture.method == b"HEAD"

    # -- the request, from the client

    def start(self) -> None:
        """It is this call's turn on its connection: find an upstream connection."""
        self._pool.calls += 1
        connection = self._pool.take()
        if connection is not None:
            self._attach(connection)
        else:
            self._connecting = asyncio.ensure_future(self._connect())

    def start_whole(self, body: Piece) -> None:
        """As `start`, of a request that has been read to its end: sent in one write."""
        self._pool.calls += 1
        self.request_complete = True
        connection = self._pool.take()
        if connection is None:
            self._waiting.append(body)
            self._connecting = asyncio.ensure_future(self._connect())
        else:
            connection.begin(self)
            self._upstream = connection
            if len(body) < _JOINED_BYTES:
                connection.transport.write(b"".join((self._head, body)))
            else:
                connection.transport.writelines((self._head, body))
            if self._client.is_slow:
                self.hold_upstream()
        self._recorder.keep(self.capture, self.capture.request, body)
        self._recorder.opened(self.capture)

    def body(self, data: Piece) -> None:
        """A piece of the request body."""
        if self.is_over:
            return
        if self._upstream is not None:
            self._out.append(self._framed(data))
        else:
            self._waiting.append(data)
        self._sent_bytes += len(data)
        self._recorder.keep(self.capture, self.capture.request, data)
        if self._upstream is None and self._sent_bytes > _WAITING_BYTES:
            if self._unreachable is None:
                self._client.hold("connecting")
            else:
                self._give_up()

    def end_of_request(self, trailers: list[bytes]) -> None:
        """The request has been read to its end."""
        self.request_complete = True
        if self.is_chunked:
            lines = b"".join(line + b"\r\n" for line in trailers)
            self._trailer = b"0\r\n" + lines + b"\r\n"
        if self.is_over:
            return
        if self._upstream is not None and self._trailer:
            self._out.append(self._trailer)
        self.flush()
        self._recorder.opened(self.capture)
        self._give_up()

    def flush(self) -> None:
        """Send what was gathered from one read of the client, in one write."""
        out, self._out = self._out, []
        if self._upstream is None or not out:
            return
        if len(out) == 1:
            self._upstream.transport.write(out[0])
        elif self._sent_bytes < _JOINED_BYTES:
            self._upstream.transport.write(b"".join(out))
        else:
            self._upstream.transport.writelines(out)

    def tunnel_up(self, data: bytes) -> None:
        """Bytes of the client after a switch of protocols, or while one is asked for."""
        if self._upstream is not None:
            self._out.append(data)
            self.flush()
        else:
            self._waiting.append(data)
        self._recorder.keep(self.capture, self.capture.request, data)
        self.capture.amended = True
        if self._is_tunnel:
            self._recorder.passed(self.capture, "request", data)

    def cancel(self, outcome: str) -> None:
        """Nobody waits any more: stop the upstream at once, keep what came."""
        if self.is_over:
            return
        # a connection that is still being made is kept for the next call, see `_connect`
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self._end("ok" if self._is_tunnel else outcome)

    # -- the response, from the upstream connection

    def forward(self, data: bytes) -> None:
        """A piece of the response: first to the client, then into the record."""
        capture = self.capture
        if self._filter is None:
            self._client.transport.write(data)
        elif passed := self._filter.feed(data):
            self._client.transport.write(passed)
        if not capture.first_byte:
            capture.first_byte = time.time()
        self._recorder.keep(capture, capture.response, data)
        if self._is_tunnel:
            self._recorder.passed(capture, "response", data)

    def tunnelled(self) -> None:
        """The upstream switched protocols: from now on bytes pass both ways untouched."""
        self._is_tunnel = True
        self._recorder.switched(self.capture)

    def response_over(self, *, reusable: bool) -> None:
        """The response came to its proper end."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if self._client.is_slow and not upstream.transport.is_closing():
                upstream.transport.resume_reading()  # it was this client that was slow
            upstream.release(reusable=reusable and self.request_complete)
        self._end("ok")
        self._client.call_over(self, keep_alive=reusable)

    def may_retry(self) -> bool:
        """Whether the request can be sent a second time."""
        return not self._retried and not self.capture.unrecorded_bytes

    def retry(self) -> None:
        """The kept-alive connection was dead already: use a fresh one."""
        self._retried = True
        self._upstream = None
        self._waiting = list(self.capture.request)
        self._connecting = asyncio.ensure_future(self._connect())

    def upstream_died(self, why: str, *, framed: bool) -> None:
        """The upstream is gone before the response was complete.

        Args:
            why: What happened, for people.
            framed: The client can tell by length or chunks that the response is incomplete.
        """
        self._upstream = None
        self._pool.failures += 1
        if not self.capture.first_byte:
            self._fail(502, "upstream_died", f"{why} before it answered", outcome="upstream_died")
            return
        _log.warning("%s: response broke off: %s", self._pool.backend.name, why)
        self._end("upstream_died")
        self._client.break_off(flush=framed)

    def hold_client(self) -> None:
        """The upstream takes the request more slowly than the client sends it."""
        self._client.hold("upstream")

    def release_client(self) -> None:
        """The upstream takes more of the request."""
        self._client.release("upstream")

    def hold_upstream(self) -> None:
        """The client reads the response more slowly than it comes."""
        if self._upstream is not None and not self._upstream.transport.is_closing():
            self._upstream.transport.pause_reading()

    def release_upstream(self) -> None:
        """The client reads on."""
        if self._upstream is not None and not self._upstream.transport.is_closing():
            self._upstream.transport.resume_reading()

    # -- within

    async def _connect(self) -> None:
        try:
            connection = await self._pool.connect()
        except OSError as error:
            self._connecting = None
            if self.is_over:
                return
            self._pool.failures += 1
            self._unreachable = describe_failure(error, self._pool.backend)
            if self.request_complete or self._sent_bytes > _WAITING_BYTES:
                self._give_up()
            return
        self._connecting = None
        if self.is_over:
            connection.release(reusable=True)
        elif connection.transport.is_closing():
            self.upstream_died("the upstream closed the connection", framed=True)
        else:
            self._attach(connection)

    def _give_up(self) -> None:
        if self._unreachable is not None:
            self._fail(*self._unreachable, outcome="upstream_unreachable")

    def _attach(self, connection: UpstreamConnection) -> None:
        connection.begin(self)
        self._upstream = connection
        self._out = [self._head, *map(self._framed, self._waiting)]
        self._waiting.clear()
        if self._trailer:
            self._out.append(self._trailer)
        if not self._client.is_reading:
            self.flush()
        self._client.release("connecting")
        if self._client.is_slow:
            self.hold_upstream()

    def _framed(self, data: Piece) -> Piece:
        return b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data

    def _fail(self, status: int, code: str, message: str, *, outcome: str) -> None:
        """Answer the client ourselves."""
        _log.warning("%s", message)
        close = not self.request_complete
        dialect = self.capture.route.dialect
        answer = render_error(dialect, status=status, code=code, message=message, close=close)
        self._client.transport.write(
            answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if self.is_head else answer
        )
        self._recorder.keep(self.capture, self.capture.response, answer)
        self._end(outcome)
        self._client.call_over(self, keep_alive=not close)

    def _end(self, outcome: str) -> None:
        self.is_over = True
        self.capture.outcome = outcome
        self.capture.end = time.time()
        self._recorder.ended(self.capture)
