"""The OpenTelemetry receiver: OTLP over HTTP on a port of its own, in the ingest process.

`POST …/v1/traces|logs|metrics` under any base path, protobuf or JSON, plain or compressed. A
request is answered with 200 only once its events are appended; what cannot be taken is answered
with a `Status` in the form of the request.

Invariants:
- Nobody beyond this machine is served without the token, no page of another site ever.
- What waits is bounded: further requests get 429 and come again, as exporters do.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from tracelake import otlp
from tracelake.errors import InvalidEvent
from tracelake.otlp import OtlpRefused
from tracelake.relay.access import is_loopback

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping

    from tracelake.otlp import OtlpSpan, Recorded, Signal
    from tracelake.redaction import Patterns
    from tracelake.relay.access import Access

    Headers = dict[str, str]
    Asgi = MutableMapping[str, Any]

log = logging.getLogger("tracelake.otlp")

_PATH: Final = re.compile(
    r"(?:/t/(?P<token>[^/]+))?(?:/.*)?/v1/(?P<signal>traces|logs|metrics)/?\Z"
)
WAITING_MAX: Final = 64
WAITING_BYTES_MAX: Final = 256 << 20
STOP_S: Final = 5.0


@dataclass(slots=True)
class Counters:
    """What the receiver did since it started."""

    requests: int = 0
    spans: int = 0
    rejected: int = 0
    refused: int = 0


class Intake:
    """Bodies in, events appended: the receiver without HTTP. Safe for threads.

    Args:
        append: Takes one event; returning means that it is kept.
        recorded: What the relay knows of the same programs.
        redaction: The user's patterns of what must not reach the disk.
    """

    def __init__(
        self,
        *,
        append: Callable[[dict[str, Any]], None],
        recorded: Recorded,
        redaction: Patterns,
    ) -> None:
        self._append = append
        self._recorded = recorded
        self._redaction = redaction
        self._assembly = otlp.Assembly(recorded)
        self._lock = threading.Lock()
        self.counters = Counters()

    def take(self, signal: Signal, body: bytes, content_type: str, encoding: str) -> bytes:
        """Take one request in; the body of the answer.

        Raises:
            OtlpRefused: It cannot be taken.
            OSError: The lake cannot be written; nothing of it counts.
        """
        rejected, why = 0, ""
        if signal == "traces":
            batch = otlp.decode(body, content_type, encoding)
            rejected, why = self._take_spans(batch.spans)
            rejected, why = batch.rejected + rejected, batch.why or why
        elif signal == "logs":
            self._take_logs(otlp.decode_logs(body, content_type, encoding))
        else:
            otlp.check_metrics(body, content_type, encoding)
        self.counters.rejected += rejected
        return otlp.answer(content_type, signal=signal, rejected=rejected, why=why)

    def settle(self) -> None:
        """Place what waited in vain for its parent."""
        with self._lock:
            self._keep(self._assembly.settle(now_s=time.monotonic()))

    def _take_spans(self, spans: list[OtlpSpan]) -> tuple[int, str]:
        events: list[dict[str, Any]] = []
        rejected, why = 0, ""
        for span in spans:
            try:
                events += otlp.events_of([span])
            except Exception as error:
                log.exception("span %r of trace %s could not be read", span.name, span.trace_id)
                rejected, why = rejected + 1, f"span {span.name[:100]!r}: {error!r}"
        with self._lock:
            self._keep(self._assembly.add(events, now_s=time.monotonic()))
        self.counters.spans += len(events)
        return rejected, why

    def _take_logs(self, records: list[otlp.LogRecord]) -> None:
        spans = otlp.call_spans(
            records, is_recorded=lambda session: self._recorded.root_of(session) is not None
        )
        if spans:
            self._take_spans(spans)
        with self._lock:
            self._keep(otlp.message_events(records, place=self._assembly.place))

    def _keep(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._append(self._redaction.event(event) if self._redaction else event)


class Receiver:
    """The HTTP server of an intake, in a thread of its own.

    Args:
        listening: Bound and listening; closed by `stop`.
    """

    def __init__(self, intake: Intake, listening: socket.socket, *, access: Access) -> None:
        import uvicorn

        self._intake = intake
        self._access = access
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="otlp")
        self._waiting = 0
        self._waiting_bytes = 0
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(STOP_S),
        )
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="otlp-http", daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is there, then serve no more."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(2 * STOP_S)
        self._worker.shutdown()
        self._listening.close()

    async def _serve(
        self,
        scope: Asgi,
        receive: Callable[[], Awaitable[Asgi]],
        send: Callable[[Asgi], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        headers: Headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        content_type = headers.get("content-type", "")
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, kind, answer = 200, *await self._answer(scope, headers, receive)
        except OtlpRefused as refusal:
            self._intake.counters.refused += 1
            status = refusal.status
            kind, answer = otlp.failure(content_type, status, str(refusal))
            if status in {429, 503}:
                extra.append((b"retry-after", b"1"))
            if status == 405:
                extra.append((b"allow", b"POST"))
            if status == 413:
                extra.append((b"connection", b"close"))  # the rest of the body is not read
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", kind.encode()),
                    (b"content-length", str(len(answer)).encode()),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    async def _answer(
        self, scope: Asgi, headers: Headers, receive: Callable[[], Awaitable[Asgi]]
    ) -> tuple[str, bytes]:
        """Content type and body of an answer with status 200."""
        matched = _PATH.match(scope["path"])
        self._check_access(scope, headers, matched["token"] if matched else None)
        if scope["path"] == "/health" and scope["method"] == "GET":
            told = {"status": "ok", **asdict(self._intake.counters)}
            return "application/json", json.dumps(told).encode()
        if matched is None:
            raise OtlpRefused(404, "post to /v1/traces, /v1/logs or /v1/metrics")
        if scope["method"] != "POST":
            raise OtlpRefused(405, "use POST")
        content_type = headers.get("content-type", "")
        form = otlp.form_of(content_type)
        body = await self._body(headers, receive)
        signal = cast("Signal", matched["signal"])
        take = functools.partial(
            self._intake.take, signal, body, content_type, headers.get("content-encoding", "")
        )
        answer = await self._in_turn(take, len(body))
        self._intake.counters.requests += 1
        return form, answer

    def _check_access(self, scope: Asgi, headers: Headers, in_path: str | None) -> None:
        peer = str(scope["client"][0]) if scope.get("client") else ""
        bearer = headers.get("authorization", "").partition("Bearer ")[2]
        token = headers.get("x-tracelake-token") or bearer or in_path
        refusal = self._access.refuse(peer, origin=headers.get("origin"), token=token)
        if refusal is not None:
            raise OtlpRefused(refusal.status, refusal.message)
        if is_loopback(peer) and not is_loopback(_host_name(headers.get("host", ""))):
            raise OtlpRefused(403, "the Host header names another machine")

    async def _body(self, headers: Headers, receive: Callable[[], Awaitable[Asgi]]) -> bytes:
        too_large = OtlpRefused(
            413, f"the body is larger than {otlp.BODY_MAX >> 20} MB: send smaller batches"
        )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:18]) > otlp.BODY_MAX:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise OtlpRefused(400, "the body ended early")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > otlp.BODY_MAX:
                raise too_large
            if not message.get("more_body"):
                return b"".join(chunks)

    async def _in_turn(self, take: Callable[[], bytes], size: int) -> bytes:
        """Run a request after those before it."""
        if self._waiting >= WAITING_MAX or self._waiting_bytes + size > WAITING_BYTES_MAX:
            raise OtlpRefused(429, "more arrives than can be written: send again later")
        self._waiting += 1
        self._waiting_bytes += size
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, take)
        except OSError as error:
            log.error("cannot write the lake: %s", error)  # noqa: TRY400 - says it all
            raise OtlpRefused(503, f"the lake cannot be written: {error}") from error
        except InvalidEvent as error:
            raise OtlpRefused(400, str(error)) from error
        except OtlpRefused:
            raise
        except Exception as error:
            log.exception("a request could not be taken in")
            raise OtlpRefused(500, f"the request could not be taken in: {error!r}") from error
        finally:
            self._waiting -= 1
            self._waiting_bytes -= size


def _host_name(host: str) -> str:
    with contextlib.suppress(ValueError):
        return (urlsplit(f"//{host}").hostname or "").lower()
    return ""
