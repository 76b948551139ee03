"""From hot to cold: fold, sort, commit rows and consumed offsets together, then reap.

    Sealer(location, …).seal() -> SealReport     everything that is there now
                       .due(now) -> bool          by age or size
                       .run(stop)                 seal again and again until told to stop

Invariants:
- One sealer at a time per hot folder, by a lock that the kernel frees when its holder dies; any
  process may be it.
- One commit of `spans` holds the rows and the offsets they were read up to; the carry of unfinished
  spans is on the disk before. Dying anywhere leaves either all of it or nothing.
- A segment is deleted only when nobody writes it, all of it is committed, and a grace has passed.
- Spans of dead processes become `lost` after `lost_after_s` without a word; a late end amends them.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tracelake.errors import LakeLocked
from tracelake.model import new_id
from tracelake.schema import EXCHANGES, SPANS, TRACES
from tracelake.storage import cold, tombstones
from tracelake.storage.carry import carry_path, consumed, missing, write_carry
from tracelake.storage.claim import carry_key, claim_hot
from tracelake.storage.codec import decode_carry, decode_events, encode
from tracelake.storage.damage import answer, foreign_errors
from tracelake.storage.derive import derive_traces, lagging_traces
from tracelake.storage.exchange_sealer import seal_exchanges
from tracelake.storage.fold import FoldedSpan, amend, differs, fold_event
from tracelake.storage.lock import LOCK_TIMEOUT_S, sealer_lock
from tracelake.storage.options import storage_options
from tracelake.storage.purge import purge
from tracelake.storage.reader import to_frame
from tracelake.storage.reap import reap
from tracelake.storage.records import TRACE_OF, store_of
from tracelake.storage.rewrite import append
from tracelake.storage.segment import is_locked, list_segments, read_segment, writer_of
from tracelake.storage.table import DeltaStore, Snapshot
from tracelake.storage.tombstones import TOMBSTONES, Tombstones
from tracelake.storage.xlog import SUFFIX

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    import polars as pl

    from tracelake.config import Location
    from tracelake.storage.carry import Consumed
    from tracelake.storage.cold import Days
    from tracelake.storage.fold import Key

log = logging.getLogger(__name__)

SEAL_EVERY_S = 60.0
SEAL_BYTES = 64 << 20
LOST_AFTER_S = 600.0
REAP_GRACE_S = 60.0
#: Raw bytes folded at once: bounds the memory of a seal after a long pause.
BATCH_BYTES = 32 << 20
_STEP_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class SealReport:
    """What one seal did.

    Attributes:
        events: Events read.
        spans: Rows committed to `spans`, amendments included.
        amended: Of these, later facts about spans that were sealed before.
        lost: Of these, spans of dead processes.
        carried: Spans that wait in the carry.
        traces: Roll-ups written.
        exchanges: Exchanges committed.
        lost_exchanges: Exchanges of dead relays that were ended as lost.
        reaped: Segments deleted.
        purged: Rows of deleted traces that were removed from the tables.
        seconds: Time taken.
    """

    events: int = 0
    spans: int = 0
    amended: int = 0
    lost: int = 0
    carried: int = 0
    traces: int = 0
    exchanges: int = 0
    lost_exchanges: int = 0
    reaped: int = 0
    purged: int = 0
    seconds: float = 0.0

    def plus(self, other: SealReport) -> SealReport:
        """Both, one after the other."""
        return SealReport(
            self.events + other.events,
            self.spans + other.spans,
            self.amended + other.amended,
            self.lost + other.lost,
            other.carried,
            self.traces + other.traces,
            self.exchanges + other.exchanges,
            self.lost_exchanges + other.lost_exchanges,
            self.reaped + other.reaped,
            self.purged + other.purged,
            self.seconds + other.seconds,
        )


@dataclass(slots=True)
class _Batch:
    """Events of one commit, folded."""

    spans: dict[Key, FoldedSpan] = field(default_factory=dict[Any, Any])
    events: dict[Key, list[dict[str, Any]]] = field(default_factory=dict[Any, Any])
    carried: set[Key] = field(default_factory=set[Any])
    offsets: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0
    is_last: bool = True

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            key = (event["trace_id"], event["span_id"])
            span = self.spans[key] = fold_event(self.spans.get(key), event)
            if span.is_finished and span.status_at is not None:  # an end that was stated stays
                self.events.pop(key, None)
            else:
                self.events.setdefault(key, []).append(event)

    def drop(self, deleted: Tombstones) -> int:
        """Forget what was deleted."""
        gone = [k for k, s in self.spans.items() if deleted.hides(k[0], s["start_time"])]
        for key in gone:
            del self.spans[key]
            self.events.pop(key, None)
        return len(gone)


class Sealer:
    """Seals one lake."""

    def __init__(
        self,
        location: Location,
        *,
        lost_after_s: float = LOST_AFTER_S,
        reap_grace_s: float = REAP_GRACE_S,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self._location = location
        self._hot = location.hot
        options = storage_options(location)
        self._spans = DeltaStore(location.tables, SPANS, options)
        self._traces = DeltaStore(location.tables, TRACES, options)
        self._exchanges = DeltaStore(location.tables, EXCHANGES, options)
        self._records = {name: store_of(location, name) for name in TRACE_OF}
        self._marks = DeltaStore(location.tables, TOMBSTONES, options)
        self._deleted = Tombstones()
        self._lost_after_s = lost_after_s
        self._reap_grace_s = reap_grace_s
        self._batch_bytes = batch_bytes
        self._last_seal = time.monotonic()

    def seal(self, *, timeout_s: float = LOCK_TIMEOUT_S) -> SealReport:
        """Seal everything that is there now.

        Raises:
            LakeLocked: Another process is sealing and did not finish in time.
            SchemaTooNew: The tables were written by a newer Trace Lake.
            LakeError: The tables could not be written; nothing is lost, a later seal goes on.
            OSError: The same, as the system says it: disk full, folder read-only.
        """
        began = time.monotonic()
        with sealer_lock(self._hot, timeout_s):
            stores = (self._spans, self._traces, self._exchanges, *self._records.values())
            with foreign_errors(f"could not seal {self._hot}, which keeps everything"):
                # a damaged file must not keep what is whole from being sealed
                report = answer(stores, self._seal)
        self._last_seal = time.monotonic()
        return replace(report, seconds=time.monotonic() - began)

    def _seal(self) -> SealReport:
        report = SealReport()
        stores = (self._spans, self._traces, self._exchanges)
        for store in stores:
            store.bring_forward()
        key = claim_hot(self._location, *stores, new_id())
        for store, suffix in ((self._spans, ".jsonl"), (self._exchanges, SUFFIX)):
            number = store.snapshot().offset(key)
            if number and not (path := carry_path(self._hot, number, suffix)).exists():
                raise missing(path)
        self._deleted = tombstones.read(self._marks.snapshot())
        while True:
            batch, part = self._seal_spans(key)
            report = report.plus(part)
            if batch.is_last:
                break
        purged = sum(purge(store, self._deleted) for store in stores)
        purged += sum(
            purge(store, self._deleted, TRACE_OF[name]) for name, store in self._records.items()
        )
        sealed, given_up = seal_exchanges(
            self._location, self._exchanges, self._deleted, self._lost_after_s
        )
        grace_s = self._reap_grace_s
        reaped = reap(self._hot, ".jsonl", self._spans.snapshot(), key, grace_s)
        reaped += reap(self._hot, SUFFIX, self._exchanges.snapshot(), key, grace_s)
        return report.plus(
            SealReport(
                purged=purged,
                carried=report.carried,
                exchanges=sealed,
                lost_exchanges=given_up,
                reaped=reaped,
            )
        )

    def due(self) -> bool:
        """Whether enough is hot, or it is hot long enough, that sealing pays."""
        waited_s = time.monotonic() - self._last_seal
        return waited_s >= SEAL_EVERY_S or self.unsealed_bytes() >= SEAL_BYTES

    def unsealed_bytes(self) -> int:
        """Bytes of the segments that are not sealed yet: when it grows, nobody seals."""
        total = 0
        for suffix, store in ((".jsonl", self._spans), (SUFFIX, self._exchanges)):
            segments = list_segments(self._hot, suffix)
            with suppress(FileNotFoundError):  # another process seals right now
                sealed = consumed(self._hot, store.snapshot(), carry_key(self._location), suffix)
                total += sum(
                    max(path.stat().st_size - sealed.of(name), 0) for name, path in segments.items()
                )
        return total

    def run(self, stop: threading.Event, *, every_s: float = 1.0) -> None:
        """Seal when due, until told to stop; errors are logged and tried again."""
        while not stop.wait(every_s):
            if not self.due():
                continue
            try:
                self.seal(timeout_s=0.0)
            except LakeLocked:
                self._last_seal = time.monotonic()  # another process does the work
            except Exception:
                log.exception("could not seal %s, trying again in a minute", self._hot)
                self._last_seal = time.monotonic()

    def _seal_spans(self, key: str) -> tuple[_Batch, SealReport]:
        segments = list_segments(self._hot)
        alive = {writer_of(name) for name, path in segments.items() if is_locked(path)}
        spans, traces = self._spans.snapshot(), self._traces.snapshot()
        lagging = lagging_traces(self._spans, spans, traces, key)
        sealed = consumed(self._hot, spans, key)
        batch = self._read(segments, sealed)
        dropped = batch.drop(self._deleted)
        lost = self._give_up_lost(batch, alive)
        if not batch.offsets and not lost and not dropped:
            written = self._derive_traces(key, spans, lagging, to_frame(()))
            return batch, SealReport(carried=len(batch.spans), traces=written)
        rows, amended = self._finished(batch, spans, traces, lagging)
        unfinished = [k for k, span in batch.spans.items() if not span.is_finished]
        lines = (encode(event) for k in unfinished for event in batch.events[k])
        offsets = {name: at for name in segments if (at := sealed.of(name))} | batch.offsets
        write_carry(self._hot, sealed.number + 1, ".jsonl", offsets, b"".join(lines))
        frame = to_frame(rows)
        append(self._spans, frame, {key: sealed.number + 1})
        self._spans.sync(spans)
        written = self._derive_traces(key, self._spans.snapshot(), lagging, frame)
        report = SealReport(batch.count, len(rows), amended, lost, len(unfinished), written)
        return batch, report

    def _read(self, segments: dict[str, Path], sealed: Consumed) -> _Batch:
        batch = _Batch()
        if sealed.number:
            carried = carry_path(self._hot, sealed.number).read_bytes()
            batch.take(decode_carry(carried[sealed.body :]))
            batch.carried = set(batch.spans)
        budget = self._batch_bytes
        for name, path in segments.items():
            offset = sealed.of(name)
            while path.stat().st_size > offset:
                if budget <= 0:
                    batch.is_last = False
                    return batch
                # in small steps: decoded events take several times the room of their lines
                lines, after = read_segment(path, offset, min(budget, _STEP_BYTES))
                if not lines:  # a torn tail
                    break
                events = decode_events(lines, name, offset)
                batch.take(events)
                batch.count += len(events)
                batch.offsets[name] = offset = after
                budget -= len(lines)
        return batch

    def _give_up_lost(self, batch: _Batch, alive: set[str]) -> int:
        now = datetime.now(UTC)
        lost = 0
        for key, span in batch.spans.items():
            if span.is_finished or (now - span.last).total_seconds() < self._lost_after_s:
                continue
            if any(writer_of(segment) in alive for segment in span.places):
                continue
            fold_event(
                span,
                {
                    "event_type": "span",
                    "trace_id": key[0],
                    "span_id": key[1],
                    "timestamp": span.last,
                    "data": {"status": "lost"},
                },
            )
            lost += 1
        return lost

    def _finished(
        self, batch: _Batch, spans: Snapshot, traces: Snapshot, lagging: set[str]
    ) -> tuple[list[FoldedSpan], int]:
        """Rows to commit: what has ended, and later facts on top of what is sealed."""
        fresh = batch.spans.keys() - batch.carried
        days: dict[str, Days | None] = {}
        if spans.files:
            trace_ids = {key[0] for key in fresh}
            days = dict(cold.read_trace_days(traces, trace_ids))
            days.update(dict.fromkeys(trace_ids & lagging))
        sealed = cold.read_spans(spans, fresh, days)
        rows: list[FoldedSpan] = []
        amended = 0
        for key, span in batch.spans.items():
            row = sealed.get(key)
            if row is None:
                if span.is_finished:
                    rows.append(span)
                continue
            later = amend(row, span)
            batch.spans[key] = later  # it is finished: it does not go to the carry
            if differs(later, row):
                later["revision"] = row["revision"] + 1
                rows.append(later)
                amended += 1
        return rows, amended

    def _derive_traces(
        self, key: str, spans: Snapshot, lagging: set[str], added: pl.DataFrame
    ) -> int:
        return derive_traces(self._traces, key, spans, lagging, added)
