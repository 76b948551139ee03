"""A test of a draft: sent in the background, watched, cancelled, and recorded as a trace.

Invariants:
- A trial reads its answer with the code that reads recorded traffic, so that a test and its
  original are compared by the same measure.
- The key of the target is used for the call and goes nowhere else.
- A failing recorder never ends a trial: what the user waits for is the answer.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracelake.model import Exchange, new_id, utc_now
from tracelake.playground.draft import PATHS
from tracelake.playground.provider import Unreachable, open_call, open_client, sdk_of
from tracelake.playground.record import ended_events, opened_events
from tracelake.wire import Response, read_request, read_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any

    from tracelake.playground.draft import Draft
    from tracelake.playground.provider import Target
    from tracelake.playground.record import Origin

_LOG = logging.getLogger(__name__)
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial as it stands at one moment.

    Attributes:
        status: running, ok, error or cancelled.
        response: The answer as far as it came.
        http_status: None while there is none.
        duration_ms: From sending to the end, or until now.
        ttft_ms: Until the first byte of the answer.
    """

    status: str
    response: Response
    http_status: int | None
    duration_ms: float
    ttft_ms: float | None

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return self.status == _RUNNING


class Trial:
    """One test of one draft.

    Args:
        draft: What to send.
        target: Where to.
        origin: The recorded span it varies, None for a call from scratch.
        append: Takes each event of the trace that records the test.
        variables: Values that were put into the draft, by name; kept with the test.
        clock: The time, UTC.
    """

    def __init__(
        self,
        draft: Draft,
        target: Target,
        *,
        origin: Origin | None = None,
        append: Callable[[dict[str, Any]], object] = lambda _event: None,
        variables: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.draft = draft
        self.target = target
        self.origin = origin
        self.variables = dict(variables or {})
        self.trace_id = new_id()
        self.span_id = new_id()
        self._append = append
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_recorded = False
        self._close: Callable[[], None] | None = None
        self._failure: Response | None = None
        self._body = bytearray()
        self._exchange = Exchange(
            span_id=self.span_id,
            trace_id=self.trace_id,
            start_time=clock(),
            method="POST",
            path=PATHS[draft.api],
            upstream=sdk_of(draft.api),
            request_headers=(("content-type", "application/json"),),
            request_body=json.dumps(draft.body(), ensure_ascii=False).encode(),
            outcome=_RUNNING,
        )
        self._thread = threading.Thread(target=self._run, name="playground-trial", daemon=True)

    def start(self) -> Trial:
        """Send it; returns at once."""
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Hang up; what came so far is kept, what comes later is not."""
        self._finish("client_disconnected")
        with self._lock:
            close = self._close
        if close is not None:
            close()

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """The outcome, after the end or after `timeout_s` seconds."""
        self._ended.wait(timeout_s)
        return self.outcome()

    def outcome(self) -> Outcome:
        """How it stands now."""
        with self._lock:
            exchange = replace(self._exchange, response_body=bytes(self._body))
            failure = self._failure
        end = exchange.end_time or self._clock()
        first = exchange.first_byte_time
        return Outcome(
            status=_status(exchange, self._read(exchange, failure)),
            response=self._read(exchange, failure),
            http_status=exchange.status,
            duration_ms=(end - exchange.start_time).total_seconds() * 1000,
            ttft_ms=first and (first - exchange.start_time).total_seconds() * 1000,
        )

    def _read(self, exchange: Exchange, failure: Response | None) -> Response:
        request = read_request(exchange)
        if failure is not None or request is None:
            return failure or Response()
        # the target may be any compatible server: prices go by the provider of the draft
        return read_response(exchange, replace(request, provider=self.draft.provider))

    def _run(self) -> None:
        try:
            with open_client(self.draft, self.target) as client:
                # loading the SDK is no part of the latency
                self._opened()
                self._send(client)
            self._finish("ok")
        except Unreachable as error:
            failure = Response(error_type="unreachable", error=str(error))
            self._finish("upstream_unreachable", failure)
        except Exception as error:  # noqa: BLE001 - a transport may raise anything when it is cut
            _LOG.debug("the answer was cut", exc_info=True)
            self._finish("upstream_died", self._cut(error))

    def _opened(self) -> None:
        with self._lock:
            if self._exchange.outcome != _RUNNING:
                return
            self._exchange = replace(self._exchange, start_time=self._clock())
            self._is_recorded = True
        self._record(opened_events)

    def _send(self, client: Any) -> None:
        with open_call(client, self.draft, self.target) as opened:
            with self._lock:
                self._close = opened.close
                self._exchange = replace(
                    self._exchange, status=opened.status, response_headers=opened.headers
                )
            for chunk in opened.chunks:
                with self._lock:
                    if self._exchange.outcome != _RUNNING:
                        return
                    if self._exchange.first_byte_time is None:
                        self._exchange = replace(self._exchange, first_byte_time=self._clock())
                    self._body += chunk

    def _finish(self, outcome: str, failure: Response | None = None) -> None:
        """End the trial once: whoever is first says how it ended."""
        with self._lock:
            if self._exchange.outcome != _RUNNING:
                return
            self._failure = failure
            self._exchange = replace(self._exchange, end_time=self._clock(), outcome=outcome)
            is_recorded, self._is_recorded = self._is_recorded, True
        if not is_recorded:
            self._record(opened_events)
        self._record(ended_events)
        self._ended.set()

    def _cut(self, error: Exception) -> Response:
        with self._lock:
            partial = replace(
                self._exchange, response_body=bytes(self._body), outcome="upstream_died"
            )
        response = self._read(partial, None)
        if response.error_type is not None:
            return response
        text = f"the answer was cut: {str(error) or type(error).__name__}"
        return replace(response, error_type="connection_lost", error=text)

    def _record(self, events: Callable[..., list[dict[str, Any]]]) -> None:
        try:
            for event in events(self, self.outcome(), self._exchange):
                self._append(event)
        except Exception:  # noqa: BLE001 - recording must not cost the user the answer
            _LOG.exception("the test could not be recorded")


def _status(exchange: Exchange, response: Response) -> str:
    if exchange.outcome == _RUNNING:
        return _RUNNING
    if exchange.outcome == "client_disconnected":
        return "cancelled"
    return "error" if response.error_type or response.error else "ok"
