"""The client's side: reads requests, decides where they go, keeps their answers in order."""

# ruff: noqa: D102 - what the callbacks of asyncio mean is theirs to tell

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tracelake.relay.access import is_loopback
from tracelake.relay.call import Call
from tracelake.relay.capture import Capture
from tracelake.relay.chunks import ChunkedBody
from tracelake.relay.heads import HEAD_END, BadHead, RequestHead, may_become_head, read_head
from tracelake.relay.own import OwnCall
from tracelake.relay.repeats import RepeatedHead, repeated
from tracelake.relay.routing import Refusal, Route
from tracelake.relay.seam import control_headers

if TYPE_CHECKING:
    from tracelake.relay.server import Relay

_log = logging.getLogger(__name__)

#: `SO_LINGER`: on, for no time at all.
_RESET = struct.pack("ii", 1, 0)
_HEAD_MAX_BYTES = 256 * 1024
#: As much of a head that comes in pieces is looked at again with every piece.
_START_BYTES = 1024
#: How long an answered client may go on sending a request before it is cut off.
_LINGER_S = 5.0


class ClientConnection(asyncio.Protocol):
    """One connection of a client; answers its requests one after the other.

    Attributes:
        peer: Its address and port.
        is_reading: It is taking apart what the client sent; calls gather what they pass on.
        is_slow: The client reads more slowly than its answer comes.
    """

    transport: asyncio.Transport

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._calls: list[Call | OwnCall] = []  # the first one is being answered
        self._reading: Call | OwnCall | None = None  # the one whose body is being read
        self._body_left = 0
        self._chunks: ChunkedBody | None = None
        self._tunnel: Call | None = None
        self._partial_head = bytearray()
        self._repeated: RepeatedHead | None = None
        self._holds: set[str] = set()
        self._keep_alive = True
        self._is_last_request = False
        self._is_local = False
        self.peer = ("", 0)
        self.is_reading = False
        self.is_slow = False

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self.peer = (str(peer[0]).partition("%")[0], int(peer[1]))
        self._is_local = is_loopback(self.peer[0])
        self._relay.clients.add(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.tunnel_up(data)
            return
        self.is_reading = True
        try:
            while data:
                data = self._read_head(data) if self._reading is None else self._read_on(data)
        except BadHead as error:
            self._refuse_connection(Refusal(400, "bad_request", f"not HTTP/1.1: {error}"))
        except Exception:  # noqa: BLE001 - a defect of ours ends this connection, not the relay
            _log.exception("cannot serve a request")
            self.transport.abort()
        self.is_reading = False
        if self._calls:
            self._calls[0].flush()

    def eof_received(self) -> None:
        """Take it as a disconnect: a client that still wants its answer keeps its side open."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._relay.clients.discard(self)
        if self._holds:
            self._relay.departures.forget(self)
        calls, self._calls, self._reading = self._calls, [], None
        for call in calls:
            call.cancel("client_disconnected")
        self._tunnel = None

    def pause_writing(self) -> None:
        self.is_slow = True
        if self._calls:
            self._calls[0].hold_upstream()

    def resume_writing(self) -> None:
        self.is_slow = False
        if self._calls:
            self._calls[0].release_upstream()

    # -- requests taken apart; each step gives back what follows

    def _read_head(self, data: bytes) -> bytes:
        if self._is_last_request or not self._keep_alive:
            return b""
        if self._partial_head or data[:1] in b"\r\n":
            data = self._joined(data)
        end = data.find(HEAD_END)
        if end < 0:
            self._await_head(data)
            return b""
        raw, rest = data[:end], memoryview(data)[end + len(HEAD_END) :]
        known = self._repeated
        if known is not None and (digits := known.digits(raw)) and self._holds_still(known):
            self._body_left = int(digits)
            sent = known.render(digits)
            capture = Capture(known.method, known.route, self.peer, raw)
            call = Call(self, known.pool, self._relay.recorder, capture, sent)
            if len(rest) == self._body_left and not self._calls:
                self._body_left = 0
                self._calls.append(call)
                call.start_whole(rest)
                return b""
        else:
            call = self._new_call(read_head(raw))
        self._calls.append(call)
        if len(self._calls) == 1:
            call.start()
        else:
            self.hold("pipelined")
        if self._tunnel is not None:
            # it asks for a WebSocket: what follows is the upstream's to read
            self._tunnel.end_of_request([])
            if rest:
                self._tunnel.tunnel_up(bytes(rest))
            return b""
        self._reading = call
        if self._chunks is not None:
            return self._read_chunks(call, self._chunks, bytes(rest))
        if self._body_left and rest:
            return self._read_body(call, rest)
        if not self._body_left:
            self._end_of_request(call, [])
        return bytes(rest)

    def _holds_still(self, known: RepeatedHead) -> bool:
        """Whether its run has not been handed to a control proxy since."""
        return self._relay.control.pool(known.route.run_id) is None

    def _joined(self, data: bytes) -> bytes:
        """What came of a head before, and this; line ends before a head are passed over."""
        self._partial_head += data
        # the end of the head may lie across the border of the two
        since = max(0, len(self._partial_head) - len(data) - len(HEAD_END))
        if self._partial_head.find(HEAD_END, since) < 0 and self._partial_head[0] not in b"\r\n":
            self._await_head(b"")
            return b""
        data = bytes(self._partial_head.lstrip(b"\r\n"))
        self._partial_head.clear()
        return data

    def _await_head(self, data: bytes) -> None:
        self._partial_head += data
        if not may_become_head(self._partial_head[:_START_BYTES]):
            raise BadHead("the first line is none of a request")
        if len(self._partial_head) > _HEAD_MAX_BYTES:
            message = f"more than {_HEAD_MAX_BYTES} bytes of headers"
            self._refuse_connection(Refusal(431, "head_too_large", message))

    def _read_on(self, data: bytes) -> bytes:
        call = self._reading
        if call is None:
            return b""
        if self._chunks is not None:
            return self._read_chunks(call, self._chunks, data)
        return self._read_body(call, data)

    def _read_body(self, call: Call | OwnCall, data: bytes | memoryview) -> bytes:
        rest = b""
        if len(data) > self._body_left:
            data, rest = data[: self._body_left], bytes(data[self._body_left :])
        self._body_left -= len(data)
        call.body(data)
        if not self._body_left:
            self._end_of_request(call, [])
        return rest

    def _read_chunks(self, call: Call | OwnCall, chunks: ChunkedBody, data: bytes) -> bytes:
        pieces, end = chunks.feed(data)
        for piece in pieces:
            call.body(piece)
        if end is None:
            return b""
        self._chunks = None
        self._end_of_request(call, chunks.trailers)
        return data[end:]

    def _end_of_request(self, call: Call | OwnCall, trailers: list[bytes]) -> None:
        self._reading = None
        if self._is_last_request:
            self._keep_alive = False
        call.end_of_request(trailers)
        if call.is_over:  # it was answered before its end
            self._next(call)

    # -- used by calls

    def hold(self, reason: str) -> None:
        """Read no more from the client until every reason is released."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
            self._relay.departures.watch(self)
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """This reason to hold the client back is gone."""
        if reason in self._holds:
            self._holds.discard(reason)
            if not self._holds:
                self._relay.departures.forget(self)
                if not self.transport.is_closing():
                    self.transport.resume_reading()

    def call_over(self, call: Call | OwnCall, *, keep_alive: bool) -> None:
        """The answer of the first call has been written."""
        self.release("upstream")
        self.release("connecting")
        if not keep_alive or self._relay.is_draining:
            self._keep_alive = False
        if call.request_complete:
            self._next(call)
        elif not self._keep_alive:
            # closing while the client still sends would destroy the answer on its way
            asyncio.get_running_loop().call_later(_LINGER_S, self.transport.abort)

    def break_off(self, *, flush: bool) -> None:
        """End the connection so that the answer looks as incomplete as it is."""
        self._calls.clear()
        if flush:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:  # an ordinary close would look like the proper end of the body
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    @property
    def in_flight(self) -> int:
        """Calls being answered or waiting for their turn on this connection."""
        return sum(isinstance(call, Call) for call in self._calls)

    def drain(self) -> None:
        """Close as soon as no answer is under way."""
        self._keep_alive = False
        if not self._calls:
            self.transport.close()

    def cut(self) -> None:
        """End now, whatever is under way."""
        calls, self._calls = self._calls, []
        for call in calls:
            call.cancel("upstream_died")
        self.transport.abort()

    # -- within

    def _next(self, call: Call | OwnCall) -> None:
        if self._calls and self._calls[0] is call:
            self._calls.pop(0)
        if not self._keep_alive and not self._calls:
            self.transport.close()
        elif self._calls:
            if len(self._calls) == 1:
                self.release("pipelined")
            self._calls[0].start()

    def _refuse_connection(self, refusal: Refusal) -> None:
        if self.transport.is_closing():
            return
        self._keep_alive = False
        self._relay.refused += 1
        if not self._calls:
            self.transport.write(OwnCall.render(refusal, close=True))
        self.transport.close()

    def _new_call(self, head: RequestHead) -> Call | OwnCall:
        relay = self._relay
        self._repeated = None
        self._body_left = head.length or 0
        self._chunks = ChunkedBody() if head.is_chunked else None
        if not head.keeps_alive or head.method == b"CONNECT":
            self._is_last_request = True
        if head.expects_continue and not self._calls:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        decision = (
            Refusal(400, "not_a_proxy", "CONNECT is not served: use the relay as a base URL")
            if head.method == b"CONNECT"
            else relay.router.route(head.target, looks_anthropic=head.looks_anthropic)
        )
        refusal = None
        if not self._is_local or b"origin" in head.own:
            token = None if isinstance(decision, Refusal) else decision.token
            refusal = relay.access.refuse(
                self.peer[0],
                origin=head.own.get(b"origin"),
                token=head.own.get(b"x-tracelake-token") or token,
            )
        if refusal is not None:
            if isinstance(decision, Route):
                refusal = replace(refusal, dialect=decision.dialect)
            return OwnCall(self, relay, refusal, head.method.decode(), headers=head.own)
        if isinstance(decision, Route):
            return self._forwarded(decision, head)
        return OwnCall(self, relay, decision, head.method.decode(), headers=head.own)

    def _forwarded(self, route: Route, head: RequestHead) -> Call:
        relay = self._relay
        capture = Capture(head.method, route, self.peer, head.raw)
        pool, control = relay.pools[route.backend.name], relay.control.pool(route.run_id)
        if control is not None:
            host, extra = control.backend.host_header, control_headers(route, capture)
            sent = head.render(route.path, host=host, extra=extra)
            call = Call(self, control, relay.recorder, capture, sent, is_controlled=True)
        else:
            is_tunnel = head.asks_for_websocket and not self._calls
            sent = head.render(route.target, host=pool.backend.host_header, websocket=is_tunnel)
            call = Call(self, pool, relay.recorder, capture, sent)
            if is_tunnel:
                self._tunnel = call
            else:
                self._repeated = repeated(head, sent, route, pool)
        call.is_chunked = head.is_chunked
        return call
