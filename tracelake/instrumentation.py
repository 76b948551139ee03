"""Records the model calls that the SDKs of this process make, without a relay.

    recording = tracelake.instrument()      from here on every call is a span of the tracer
    recording.close()                       or leave its `with` block

The `anthropic` and `openai` SDKs (and whatever else builds on httpx) send through
`httpx.Client.send`. That one method is wrapped: a request that `tracelake.wire` recognises as a
model call becomes an LLM span under the tracer's current span; its answer is read as it passes.

Invariants:
- The program gets what it would get: the same response object, chunks and exceptions.
- What goes wrong here is counted by the tracer and passed over.
- A call that passes the relay of the run (`tracelake run`) is recorded there, not twice.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import threading
from contextvars import Context, copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tracelake.model import Exchange, new_id, utc_now
from tracelake.processes import program_name
from tracelake.tracer import Tracer
from tracelake.wire import fingerprint, read_request, read_response, tools_fingerprint
from tracelake.wire.columns import request_columns, response_columns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from typing import Self

    from tracelake.lake import Lake
    from tracelake.tracer import Span
    from tracelake.wire import Request

#: Packages that SDKs send with; each has `Client.send` and `AsyncClient.send`.
_TRANSPORTS: Final = ("httpx", "httpx2")
#: Endpoints that ask no model: not worth a span without a relay that counts every call.
_BOOKKEEPING: Final = frozenset({"models", "count_tokens", "other"})
_active: Instrumentation | None = None
_lock = threading.Lock()


def instrument(tracer: Tracer | Lake | str | os.PathLike[str] | None = None) -> Instrumentation:
    """Record every model call of this process from now on.

    Calls belong to the tracer's current span; without one, to an agent named after the program,
    which ends with it.

    Args:
        tracer: The tracer whose spans they are, or the lake of a new one (default: the default
            lake).

    Returns:
        What takes it back; the one that is active already, if there is one.
    """
    global _active  # noqa: PLW0603 - the classes that are wrapped are global, too
    with _lock:
        if _active is None:
            own = tracer if isinstance(tracer, Tracer) else Tracer(tracer)
            _active = Instrumentation(own, owns_tracer=own is not tracer)
        return _active


class Instrumentation:
    """An active recording; a context manager.

    Attributes:
        tracer: Where the spans go.
    """

    def __init__(self, tracer: Tracer, *, owns_tracer: bool) -> None:
        self.tracer = tracer
        self._owns_tracer = owns_tracer
        self._program: Span | None = None
        self._outside = Context()  # where the program's own agent is the current span
        self._opening = threading.Lock()
        self._originals: list[tuple[type, Any]] = []
        for name in _TRANSPORTS:
            try:
                package: Any = importlib.import_module(name)
            except ImportError:
                continue
            self._wrap(package.Client, self._sync_send)
            self._wrap(package.AsyncClient, self._async_send)
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the SDKs send as before; calls that still stream are recorded to their end."""
        global _active  # noqa: PLW0603
        with _lock:
            if _active is not self:
                return
            _active = None
        atexit.unregister(self.close)
        for owner, original in self._originals:
            owner.send = original  # pyright: ignore[reportAttributeAccessIssue]
        if self._program is not None:
            self._outside.run(self._program.__exit__, None, None, None)
        if self._owns_tracer:
            self.tracer.close()

    def _wrap(self, owner: type, make: Callable[[Any], Any]) -> None:
        original: Any = owner.__dict__["send"]
        self._originals.append((owner, original))
        owner.send = make(original)  # pyright: ignore[reportAttributeAccessIssue]

    def _sync_send(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def send(client: Any, request: Any, *args: Any, **options: Any) -> Any:
            call = self._open(request)
            if call is None:
                return original(client, request, *args, **options)
            try:
                response = original(client, request, *args, **options)
            except BaseException as error:
                call.broke(error)
                raise
            self._follow(call, response, "SyncByteStream", _sync_tee)
            return response

        return send

    def _async_send(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def send(client: Any, request: Any, *args: Any, **options: Any) -> Any:
            call = self._open(request)
            if call is None:
                return await original(client, request, *args, **options)
            try:
                response = await original(client, request, *args, **options)
            except BaseException as error:
                call.broke(error)
                raise
            self._follow(call, response, "AsyncByteStream", _async_tee)
            return response

        return send

    def _follow(
        self, call: _Call, response: Any, base: str, tee: Callable[[type[Any]], type[Any]]
    ) -> None:
        """Read the answer along; its stream is one of the transport's own streams."""
        try:
            if call.answered(response):
                response.stream = tee(_base_of(response.stream, base))(response.stream, call)
        except Exception as error:  # noqa: BLE001
            self.tracer.failed(error)
            call.broke(error)

    def _open(self, sent: Any) -> _Call | None:
        try:
            exchange = _exchange_of(sent)
            if exchange is None:
                return None
            request = read_request(exchange)
            if request is None or request.api in _BOOKKEEPING:
                return None
            return _Call(self.tracer, self._context(), exchange, request)
        except Exception as error:  # noqa: BLE001
            self.tracer.failed(error)
            return None

    def _context(self) -> Context:
        """Where a call begins: in the current span, else in the program's own agent.

        It is a copy: what the program does while it reads a stream is not inside of the call.
        """
        tracer = self.tracer
        current = tracer.current
        if current is not None and current.tracer is tracer:
            return copy_context()
        with self._opening:
            if self._program is None:
                if tracer.sole_root() is not None:
                    return copy_context()
                self._program = self._outside.run(
                    tracer.agent(
                        program_name(), evidence="inferred", evidence_source="instrument"
                    ).__enter__
                )
            return self._outside.copy()


class _Call:
    """One call on its way."""

    def __init__(
        self, tracer: Tracer, context: Context, exchange: Exchange, request: Request
    ) -> None:
        self._tracer = tracer
        self._context = context
        self._exchange = exchange
        self._request = request
        self._chunks: list[bytes] = []
        self._is_over = False
        kind = "embedding" if request.api == "embeddings" else "llm"
        attributes = {"api": request.api, "path": exchange.path.partition("?")[0]}
        self._span = tracer.llm(
            **request_columns(request),
            kind=kind,
            prompt_fingerprint=fingerprint(request.system) if request.system else None,
            tools_fingerprint=tools_fingerprint(request.tools) if request.tools else None,
            attributes=attributes,
        )
        self._context.run(self._span.__enter__)

    def answered(self, response: Any) -> bool:
        """Take the head of the answer in; True when its body is still to be read."""
        self._exchange = replace(
            self._exchange,
            status=response.status_code,
            response_headers=_pairs(response.headers),
            first_byte_time=utc_now(),
        )
        if not response.is_closed:
            return True
        self._chunks.append(response.content)
        self._over(outcome="ok", is_decoded=True)
        return False

    def received(self, chunk: bytes) -> None:
        """Take a piece of the body in."""
        if not self._chunks:
            self._span.first_token()
        self._chunks.append(chunk)

    def broke(self, error: BaseException) -> None:
        """The call failed on the way, or its reader gave up."""
        if not self._is_over:
            self._is_over = True
            self._context.run(self._span.__exit__, type(error), error, error.__traceback__)

    def over(self, *, is_whole: bool) -> None:
        """The body was read to its end, or its reader went away."""
        try:
            self._over(outcome="ok" if is_whole else "client_disconnected", is_decoded=False)
        except Exception as error:  # noqa: BLE001
            self._tracer.failed(error)

    def _over(self, *, outcome: str, is_decoded: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        headers = self._exchange.response_headers
        if is_decoded:
            headers = tuple(pair for pair in headers if pair[0].lower() != "content-encoding")
        exchange = replace(
            self._exchange,
            response_headers=headers,
            response_body=b"".join(self._chunks),
            end_time=utc_now(),
            outcome=outcome,
        )
        response = read_response(exchange, self._request)
        if response.error_type:
            status = "error"
        else:  # an SDK may leave the last bytes of an answer that has ended
            status = "ok" if outcome == "ok" or response.finish_reason else "cancelled"
        known = {k: v for k, v in response_columns(response).items() if v is not None}
        attributes = {"status_code": exchange.status, "outcome": outcome}
        self._span.finish(status=status, **known, attributes=attributes)
        self._context.run(self._span.__exit__, None, None, None)


def _exchange_of(sent: Any) -> Exchange | None:
    """A request of httpx as an exchange; None for one whose body is not at hand."""
    content = getattr(sent, "_content", None)
    run_id = os.environ.get("TRACELAKE_RUN_ID")
    path = sent.url.raw_path.decode("ascii", "replace")
    if not isinstance(content, bytes) or (run_id and path.startswith(f"/r/{run_id}/")):
        return None
    return Exchange(
        span_id=new_id(),
        start_time=utc_now(),
        method=sent.method,
        path=path,
        upstream="",
        request_headers=_pairs(sent.headers),
        request_body=content,
    )


def _pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in headers.items())


def _base_of(stream: object, name: str) -> type[Any]:
    """The class of that name among a stream's bases: each transport has one of its own."""
    return next(base for base in type(stream).__mro__ if base.__name__ == name)


@functools.cache
def _sync_tee(base: type[Any]) -> type[Any]:
    """A stream of bytes that is read along."""

    class Tee(base):
        def __init__(self, stream: Any, call: _Call) -> None:
            self._stream = stream
            self._call = call

        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self._stream:
                    self._call.received(chunk)
                    yield chunk
            except Exception as error:
                self._call.broke(error)
                raise
            self._call.over(is_whole=True)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._call.over(is_whole=False)

    return Tee


@functools.cache
def _async_tee(base: type[Any]) -> type[Any]:
    """The same for asyncio."""

    class Tee(base):
        def __init__(self, stream: Any, call: _Call) -> None:
            self._stream = stream
            self._call = call

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._stream:
                    self._call.received(chunk)
                    yield chunk
            except Exception as error:
                self._call.broke(error)
                raise
            self._call.over(is_whole=True)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._call.over(is_whole=False)

    return Tee
