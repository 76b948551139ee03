"""Connections to upstreams: pooled, kept alive, torn down the moment nobody waits for them.

Each piece of a response is written to the client first and parsed afterwards; the parser finds
message boundaries only, the bytes stay as they came.
"""

# ruff: noqa: D102 - what the callbacks of asyncio and httptools mean is theirs to tell

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

import httptools

if TYPE_CHECKING:
    from tracelake.relay.call import Call
    from tracelake.relay.routing import Backend

CONNECT_TIMEOUT_S = 10.0
#: Shorter than the keep-alive of the providers' edges, so that few idle connections die in use.
IDLE_S = 55.0
IDLE_MAX = 128
#: Headers that tell where a body ends.
_LENGTH = re.compile(rb"\r\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)


class UpstreamConnection(asyncio.Protocol):
    """One connection to an upstream; serves one call at a time.

    Attributes:
        reused: It has served a call before.
        got_bytes: The current call has received something.
    """

    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._call: Call | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._is_complete = False
        self._is_out_of_step = False
        self._keep_alive = False
        self._is_tunnel = False
        self._until_eof = False
        self._head: list[bytes] = []
        self._in_head = True
        self.reused = False
        self.got_bytes = False
        self.idle_since = 0.0

    # -- used by calls

    def begin(self, call: Call) -> None:
        """Serve this call from now on."""
        self._call = call
        self._is_complete = self._until_eof = self.got_bytes = False
        self._in_head = True
        self._head.clear()

    def abort(self) -> None:
        """Cut the connection at once: nobody wants the rest of the answer."""
        self._call = None
        self.transport.abort()

    def release(self, *, reusable: bool) -> None:
        """The call is over: keep the connection for the next one, or close it."""
        self._call = None
        if reusable and not self.transport.is_closing():
            self.reused = True
            self._pool.give_back(self)
        else:
            self.transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._pool.open.add(self)
        sock = transport.get_extra_info("socket")
        if sock is not None:  # notice a peer that vanished during a long silence
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        call = self._call
        if call is None:
            self.transport.abort()  # bytes that nobody asked for
            return
        self.got_bytes = True
        call.forward(data)
        if self._is_tunnel:
            return
        if self._in_head:
            self._head.append(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_tunnel = True
            call.tunnelled()
        except httptools.HttpParserError as error:
            if self._call is not None:
                self._call = None
                self.transport.abort()
                call.upstream_died(f"malformed response: {error}", framed=False)
            return
        if self._is_complete:
            self._finish(call)

    def eof_received(self) -> None:
        """Close; `connection_lost` decides what the end means."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        del self._parser  # it points back at us: without this, memory waits for the collector
        call, self._call = self._call, None
        if call is None:
            return
        if self._is_tunnel or (self._until_eof and exc is None):
            call.response_over(reusable=False)
        elif not self.got_bytes and self.reused and call.may_retry():
            call.retry()
        else:
            why = "closed the connection" if exc is None else f"connection lost: {exc}"
            call.upstream_died(f"the upstream {why}", framed=not self._until_eof)

    def pause_writing(self) -> None:
        if self._call is not None:
            self._call.hold_client()

    def resume_writing(self) -> None:
        if self._call is not None:
            self._call.release_client()

    # -- httptools

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._is_out_of_step = True  # more came than was asked for

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._in_head = False
        if self._call is not None and self._call.is_head:
            self._complete()  # its Content-Length counts a body that does not follow
        else:
            # a connection that stays open after the message must tell its length; else look closer
            self._until_eof = (
                not self._parser.should_keep_alive()
                and status not in (204, 304)
                and _LENGTH.search(b"".join(self._head)) is None
            )
        self._head.clear()

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._complete()

    def _complete(self) -> None:
        self._is_complete = True
        self._keep_alive = self._parser.should_keep_alive()  # the parser forgets it afterwards

    def _finish(self, call: Call) -> None:
        reusable = self._keep_alive and not self._is_out_of_step
        if call.is_head:
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for a body
        call.response_over(reusable=reusable)


class Pool:
    """The connections to one backend."""

    def __init__(self, backend: Backend, tls: ssl.SSLContext | None) -> None:
        self.backend = backend
        self.open: set[UpstreamConnection] = set()
        self.calls = 0
        self.failures = 0
        self._idle: list[UpstreamConnection] = []
        self._tls = tls if backend.scheme == "https" else None

    def take(self) -> UpstreamConnection | None:
        """An idle connection, the one used last, or None."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A fresh connection.

        Raises:
            OSError: Refused, unknown host, no route, or a certificate that does not check out.
            TimeoutError: Nobody answered in `CONNECT_TIMEOUT_S` seconds.
        """
        backend = self.backend
        options: dict[str, Any] = {"ssl": self._tls}
        if self._tls is not None:
            options["server_hostname"] = backend.host
        _, connection = await asyncio.wait_for(
            asyncio.get_running_loop().create_connection(
                lambda: UpstreamConnection(self), backend.host, backend.port, **options
            ),
            CONNECT_TIMEOUT_S,
        )
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next call."""
        if len(self._idle) >= IDLE_MAX:
            connection.transport.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self.open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, *, older_than_s: float = 0.0) -> None:
        """Close the connections that have been idle for so long."""
        limit = time.monotonic() - older_than_s
        for connection in [c for c in self._idle if c.idle_since <= limit]:
            self._idle.remove(connection)
            connection.transport.close()

    def health(self) -> dict[str, Any]:
        """Counters for `/health`."""
        return {
            "url": self.backend.url,
            "calls": self.calls,
            "failures": self.failures,
            "connections": len(self.open),
            "idle": len(self._idle),
        }


def tls_context() -> ssl.SSLContext:
    """TLS with certificate and host name checks; `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def describe_failure(error: OSError, backend: Backend) -> tuple[int, str, str]:
    """Status, code and message for a connection that could not be made."""
    where = f"{backend.name} at {backend.host_header}"
    if isinstance(error, TimeoutError):
        return 504, "upstream_timeout", f"no connection to {where} in {CONNECT_TIMEOUT_S:g} s"
    if isinstance(error, socket.gaierror):
        return 502, "upstream_unreachable", f"unknown host of {where}: {error.strerror}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"certificate of {where} is not trusted: {error.verify_message}"
        return 502, "upstream_certificate", f"{reason} (SSL_CERT_FILE names further authorities)"
    # a connection that ends during the handshake of TLS is told by an error without words
    reason = str(error) or "it closed the connection before it was ready"
    return 502, "upstream_unreachable", f"cannot connect to {where}: {reason}"
