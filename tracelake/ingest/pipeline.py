"""Exchange records in, span events out: the part of ingest that has no clock and no files.

Invariants:
- Events of an exchange are appended before its `done` record is written. A crash in between makes
  the exchange be read again; its events have the same ids and fold to the same spans.
- One bad exchange never stops the others: it is logged, counted and marked done, and stays in the
  table `exchanges` for a later `reindex`.
"""

from __future__ import annotations

import functools
import heapq
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tracelake.ingest.tunnels import OpenTunnels
from tracelake.storage.xlog import fold_records, opened_record
from tracelake.wire import calls_within, read_request, read_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tracelake.infer import Inference
    from tracelake.model import Exchange
    from tracelake.storage.xlog import Record
    from tracelake.wire.call import Request

Mark = TypeVar("Mark")

log = logging.getLogger("tracelake.ingest")


#: Response headers of the control proxy, recorded by the relay, to the columns they fill.
LINEAGE_HEADERS = {
    "x-tracelake-match": "match",
    "x-tracelake-original-span": "original_span_id",
    "x-tracelake-forked-from": "forked_from_trace_id",
}


@dataclass(slots=True)
class Counters:
    """What the pipeline did since it started."""

    exchanges: int = 0
    events: int = 0
    failed: int = 0


class Pipeline:
    """Feeds exchanges to the inference and its events to the lake.

    Args:
        inference: Rebuilds the structure.
        append: Takes one event; returning means that it is kept.
        done: Told the exchange, its trace and its client once all its events are kept.
        identify: Finds the client program of a fresh exchange; the keys of `Exchange.client`.
        name_of_run: The name a user gave a recorded run, None where there is none; the root of
            the run's trace, and so the trace, is called by it.
        seen: Told each exchange once the inference has placed its opening, and its end.
    """

    def __init__(
        self,
        *,
        inference: Inference,
        append: Callable[[dict[str, Any]], None],
        done: Callable[[str, str | None, dict[str, Any]], None],
        identify: Callable[[Exchange], dict[str, Any]],
        name_of_run: Callable[[str], str | None] = lambda _run_id: None,
        seen: Callable[[Exchange], None] = lambda _exchange: None,
    ) -> None:
        self._inference = inference
        self._append = append
        self._done = done
        self._identify = identify
        self._seen = seen
        self._name_of_run = functools.lru_cache(maxsize=1024)(name_of_run)
        self._open: dict[str, tuple[Exchange, Request | None]] = {}
        self._tunnels = OpenTunnels()
        self._recovered_open: set[str] = set()
        self._recovered_ended: set[str] = set()
        self.counters = Counters()

    @property
    def in_flight(self) -> int:
        """Exchanges that opened and did not end yet."""
        return len(self._open)

    def recover(self, exchanges: Iterable[tuple[Exchange, bool]]) -> None:
        """Rebuild the inference from exchanges that were read before.

        Args:
            exchanges: In order of their start, each with whether its events are known to be in
                the lake (done). Those of the others are appended again, which adds nothing to what
                is there already.
        """
        for exchange, done, opens in in_order(exchanges):
            if opens:
                self._recovered_open.add(exchange.span_id)
                self._opened(_request_side(exchange), emit=not done)
            else:
                self._recovered_ended.add(exchange.span_id)
                self._ended(exchange, emit=not done)

    def handle(self, record: Record) -> None:
        """Take one record of an exchange log."""
        if record.kind == "opened" and record.span_id not in self._recovered_open:
            exchange = fold_records([record])[record.span_id].exchange
            client = {**exchange.client, **self._identify(exchange)}
            self._opened(replace(exchange, client=client), emit=True)
        elif record.kind == "passed" and record.span_id in self._open:
            self._passed(record)
        elif record.kind == "ended" and record.span_id not in self._recovered_ended:
            opened = self._open.get(record.span_id)
            if opened is None:
                log.warning("exchange %s ended but never opened; skipped", record.span_id)
                return
            before = opened[0]
            merged = fold_records([opened_record(before), record])[record.span_id].exchange
            self._ended(replace(merged, client=before.client), emit=True)

    def emit(self, events: Iterable[dict[str, Any]]) -> None:
        """Append events that the inference gave outside an exchange (ends of agents)."""
        for event in events:
            self._append(self._named(event))
            self.counters.events += 1

    def _named(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event, under the run's name where it tells of the root agent of a recorded run."""
        if event["data"].get("role") != "orchestrator":
            return event
        # the trace of a run has the run's id
        name = self._name_of_run(event["trace_id"])
        return event if name is None else {**event, "data": {**event["data"], "name": name}}

    def _opened(self, exchange: Exchange, *, emit: bool) -> None:
        request: Request | None = None
        try:
            request = read_request(exchange)
            events = self._inference.opened(exchange, request)
        except Exception:  # noqa: BLE001 - one bad exchange must not stop the others
            self._failed(exchange, "request")
            events = []
        self._open[exchange.span_id] = (exchange, request)
        self._seen(exchange)
        if emit:
            self.emit(events)

    def _passed(self, record: Record) -> None:
        """Tell of calls over a WebSocket while it is open."""
        exchange, _ = self._open[record.span_id]
        try:
            for call, opens in self._tunnels.feed(exchange, record):
                self.emit(self._call_told(call, opens=opens))
        except Exception:  # noqa: BLE001 - as above; its end tells the rest
            self._failed(exchange, "stream")
            self._tunnels.give_up(record.span_id)

    def _call_told(self, call: Exchange, *, opens: bool) -> list[dict[str, Any]]:
        asked = read_request(call)
        if opens:
            return self._inference.opened(_request_side(call), asked)
        if asked is None:
            return []
        return self._inference.ended(call, asked, read_response(call, asked))

    def _ended(self, exchange: Exchange, *, emit: bool) -> None:
        _, request = self._open.pop(exchange.span_id)
        self.counters.exchanges += 1
        try:
            events, trace_id = self._read_end(exchange, request)
        except Exception:  # noqa: BLE001 - as above
            self._failed(exchange, "response")
            events, trace_id = [], self._inference.trace_of(exchange.span_id)
        self._seen(exchange)
        if not emit:
            return
        self.emit(_with_lineage(event, exchange) for event in events)
        self._done(exchange.span_id, trace_id, exchange.client)

    def _read_end(
        self, exchange: Exchange, request: Request | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The events of an exchange that is over, and the trace it belongs to.

        A WebSocket is no call itself; it belongs to the trace of the first call that went over it.
        """
        if request is not None:
            response = read_response(exchange, request)
            events = self._inference.ended(exchange, request, response)
            return events, self._inference.trace_of(exchange.span_id)
        events = self._inference.ended(exchange, None, None)
        calls = calls_within(exchange)
        told = self._tunnels.close(exchange.span_id)
        for call, _, opens in in_order((call, None) for call in calls):
            if (call.span_id, opens) not in told:
                events += self._call_told(call, opens=opens)
        traces = (self._inference.trace_of(call.span_id) for call in calls)
        return events, next((trace for trace in traces if trace), None)

    def _failed(self, exchange: Exchange, side: str) -> None:
        self.counters.failed += 1
        log.exception(  # noqa: LOG004 - both callers are handlers
            "the %s of exchange %s (%s %s) could not be read; its bytes stay in `exchanges`",
            side,
            exchange.span_id,
            exchange.method,
            exchange.path,
        )


def _with_lineage(event: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    """The event of a call that was served in a replay, saying from what."""
    if event["span_id"] != exchange.span_id:
        return event
    found = {
        column: value
        for header, column in LINEAGE_HEADERS.items()
        if (value := exchange.response_header(header)) is not None
    }
    if not found:
        return event
    return {**event, "data": {**event["data"], **found, "source": "replay"}}


def in_order(exchanges: Iterable[tuple[Exchange, Mark]]) -> Iterator[tuple[Exchange, Mark, bool]]:
    """The openings and ends of exchanges as they happened.

    Args:
        exchanges: In order of their start, each with a mark that is passed on.

    Yields:
        Exchange, its mark, and whether this is its opening; an end before an opening at the same
        moment, so that a call sees the answer it was made from.
    """
    ends: list[tuple[datetime, str, Exchange, Mark]] = []
    for exchange, mark in exchanges:
        while ends and ends[0][0] <= exchange.start_time:
            _, _, ended, its_mark = heapq.heappop(ends)
            yield ended, its_mark, False
        yield exchange, mark, True
        if exchange.end_time is not None:
            end = max(exchange.end_time, exchange.start_time)
            heapq.heappush(ends, (end, exchange.span_id, exchange, mark))
    while ends:
        _, _, ended, its_mark = heapq.heappop(ends)
        yield ended, its_mark, False


def _request_side(exchange: Exchange) -> Exchange:
    return replace(
        exchange,
        end_time=None,
        first_byte_time=None,
        status=None,
        response_headers=(),
        response_body=b"",
        outcome="running",
    )
