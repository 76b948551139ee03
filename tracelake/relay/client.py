"""The client's side: reads requests, decides where they go, keeps their answers in order."""

# ruff: noqa: D102 - what the callbacks of asyncio and httptools mean is theirs to tell

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import httptools

from tracelake.relay.access import is_loopback
from tracelake.relay.call import Call
from tracelake.relay.capture import Capture
from tracelake.relay.heads import RequestHead, read_head
from tracelake.relay.own import OwnCall
from tracelake.relay.routing import Refusal, Route
from tracelake.relay.seam import HeadFilter, control_headers

if TYPE_CHECKING:
    from tracelake.relay.server import Relay

_log = logging.getLogger(__name__)

#: `SO_LINGER`: on, for no time at all.
_RESET = struct.pack("ii", 1, 0)
_HEAD_MAX_BYTES = 256 * 1024
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
        self._parser = httptools.HttpRequestParser(self)
        self._calls: list[Call | OwnCall] = []  # the first one is being answered
        self._reading: Call | OwnCall | None = None
        self._tunnel: Call | None = None
        self._holds: set[str] = set()
        self._keep_alive = True
        self._is_replayed_head = False
        self._framing: list[bytes] = []
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._in_head = False
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
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            _log.exception("cannot serve a request")
            self.transport.abort()
        except httptools.HttpParserError as error:
            self._refuse_connection(Refusal(400, "bad_request", f"not HTTP/1.1: {error}"))
        self.is_reading = False
        if self._calls:
            self._calls[0].flush()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_MAX_BYTES:
                message = f"more than {_HEAD_MAX_BYTES} bytes of headers"
                self._refuse_connection(Refusal(431, "head_too_large", message))

    def eof_received(self) -> None:
        """Take it as a disconnect: a client that still wants its answer keeps its side open."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._relay.clients.discard(self)
        calls, self._calls, self._reading = self._calls, [], None
        for call in calls:
            call.cancel("client_disconnected")
        self._tunnel = None
        del self._parser  # it points back at us: without this, memory waits for the collector

    def pause_writing(self) -> None:
        self.is_slow = True
        if self._calls:
            self._calls[0].hold_upstream()

    def resume_writing(self) -> None:
        self.is_slow = False
        if self._calls:
            self._calls[0].release_upstream()

    # -- httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._is_replayed_head:
            self._headers = []
            return
        call = self._new_call()
        self._headers = []  # what comes now are trailers
        self._reading = call
        self._calls.append(call)
        if len(self._calls) == 1:
            call.start()
        else:
            self.hold("pipelined")

    def on_body(self, data: bytes) -> None:
        if self._reading is not None:
            self._reading.body(data)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # decided in `_upgrade`
        self._is_replayed_head = False
        call, self._reading = self._reading, None
        if not self._parser.should_keep_alive():
            self._keep_alive = False
        if call is None:
            return
        call.end_of_request(self._headers)
        if call.is_over:  # it was answered before its end
            self._next(call)

    # -- used by calls

    def hold(self, reason: str) -> None:
        """Read no more from the client until every reason is released."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """This reason to hold the client back is gone."""
        if reason in self._holds:
            self._holds.discard(reason)
            if not self._holds and not self.transport.is_closing():
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

    def _new_call(self) -> Call | OwnCall:
        relay = self._relay
        head = read_head(self._headers)
        self._framing = head.framing
        if head.expects_continue and not self._calls:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method = self._parser.get_method()
        decision = (
            Refusal(400, "not_a_proxy", "CONNECT is not served: use the relay as a base URL")
            if method == b"CONNECT"
            else relay.router.route(
                self._url.decode("latin-1"), looks_anthropic=head.looks_anthropic
            )
        )
        origin = head.own.get(b"origin")
        refusal = None
        if origin is not None or not self._is_local:
            token = None if isinstance(decision, Refusal) else decision.token
            refusal = relay.access.refuse(
                self.peer[0],
                origin=origin,
                token=head.own.get(b"x-tracelake-token") or token,
            )
        if refusal is not None:
            if isinstance(decision, Route):
                refusal = replace(refusal, dialect=decision.dialect)
            return OwnCall(self, relay, refusal, method.decode(), headers=head.own)
        if isinstance(decision, Route):
            return self._forwarded(decision, method, head)
        return OwnCall(self, relay, decision, method.decode(), headers=head.own)

    def _forwarded(self, route: Route, method: bytes, head: RequestHead) -> Call:
        relay = self._relay
        capture = Capture(method, route, self.peer, self._headers)
        control = relay.control.pool(route.run_id)
        pool = relay.pools[route.backend.name] if control is None else control
        is_tunnel = head.asks_for_websocket and not self._calls
        rendered = head.render(
            method,
            route.target if control is None else route.path,
            host=pool.backend.host_header,
            version=self._version(head),
            extra=b"" if control is None else control_headers(route, capture),
            websocket=is_tunnel,
        )
        call = Call(
            self,
            pool,
            relay.recorder,
            capture,
            rendered,
            dialect=route.dialect,
            chunked=head.is_chunked,
            head_filter=None if control is None else HeadFilter(),
        )
        if is_tunnel:
            self._tunnel = call
        return call

    def _version(self, head: RequestHead) -> str:
        if not head.named and self._parser.should_keep_alive():
            return "1.1"  # any other would have to ask to be kept alive
        return self._parser.get_http_version()

    def _upgrade(self, rest: bytes) -> None:
        """After the head of a request that asks for another protocol."""
        call, self._reading = self._reading, None
        if self._tunnel is not None:
            # it asks for a WebSocket: what follows is the upstream's to read
            self._tunnel.end_of_request([])
            if rest:
                self._tunnel.tunnel_up(rest)
            return
        if self._parser.get_method() == b"CONNECT":
            self._keep_alive = False
            if call is not None:
                call.end_of_request([])
            return
        # any other upgrade is declined by not passing it on: the body follows as plain HTTP/1.1
        self._reading = call
        self._parser = httptools.HttpRequestParser(self)
        self._is_replayed_head = True
        framing = b"".join(self._framing)
        self.data_received(b"POST / HTTP/1.1\r\n%b\r\n%b" % (framing, rest))
