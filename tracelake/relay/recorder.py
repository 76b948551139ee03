"""Writes exchanges to the exchange log from a thread of its own.

The event loop hands over and goes on; it never waits for the disk. The queue is bounded by bytes.
While the disk refuses, the thread tries again and again and the queue fills; what no longer fits is
dropped and counted, and calls go on being served.

Invariants:
- Memory held for records is bounded, whatever the disk does.
- What was not recorded is counted; nothing is dropped silently.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from tracelake.relay.capture import (
    BODY_MAX_BYTES,
    Capture,
    Piece,
    ended_record,
    note_passed,
    opened_record,
    switched,
)
from tracelake.relay.memory import trimmer
from tracelake.storage.xlog import ExchangeLog, Record

if TYPE_CHECKING:
    from pathlib import Path

    from tracelake.relay.redact import Redaction
    from tracelake.wire.stamps import Side

_log = logging.getLogger(__name__)

QUEUE_BYTES = 128 * 1024 * 1024
HELD_BYTES = 512 * 1024 * 1024
#: Room kept for the ends of exchanges whose bodies no longer fit.
_RESERVE_BYTES = 4 * 1024 * 1024
#: The same, where few records, or one, are what fills the queue.
_RESERVE_RECORDS = 256
#: Fixed costs of a queued record, beside its body.
_RECORD_BYTES = 2048
#: Written at once. The event loop waits while a batch is made, so batches are small, unless much
#: is waiting.
_BATCH_BYTES = 1 << 19
_BIG_BATCH_BYTES = 1 << 21
#: With so much waiting, each further record gives the thread a moment to catch up.
_PRESSING_BYTES = 16 << 20
_MOMENT_S = 0.0005
#: Records of so long are written together; the delay a reader may see.
_NAP_S = 0.010
#: After a pause of so long, memory that a burst needed is given back.
_IDLE_S = 0.15
_TRIMMED_BYTES = 4 << 20
_RETRY_S = (0.25, 0.5, 1.0, 2.0)

_Part = Literal["opened", "passed", "ended"]


class Recorder:
    """The bounded queue and the thread that empties it into the log.

    Attributes:
        exchanges: Exchanges that have ended.
        records_written: Records that the disk took.
        unrecorded_bytes: Bytes forwarded, but not kept in any record.
        spool_errors: Times the disk refused.
        is_failing: It refused the last time.
    """

    def __init__(
        self,
        hot: Path,
        redaction: Redaction,
        *,
        queue_bytes: int = QUEUE_BYTES,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        self._log = ExchangeLog(hot)
        self._redaction = redaction
        self._queue_bytes = queue_bytes
        self._held_bytes = held_bytes
        self._queue: deque[tuple[_Part, Capture, int]] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        # each pair: counted up by the event loop, counted down by the thread, so no lock is needed
        self._queued_in = self._queued_out = 0
        self._held_in = self._held_out = 0
        self._dropped_by_loop = self._dropped_by_thread = 0
        self.exchanges = 0
        self.records_written = 0
        self.unrecorded_bytes = 0
        self.spool_errors = 0
        self.last_error: str | None = None
        self.is_failing = False

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting for the disk."""
        return self._queued_in - self._queued_out

    @property
    def dropped(self) -> int:
        """Exchanges of which a record was not written, or not whole."""
        return self._dropped_by_loop + self._dropped_by_thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Write what is queued, at most for so long, and stop; what is left is counted dropped."""
        self._deadline = time.monotonic() + timeout_s
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s + 1.0)
        self._log.close()

    def keep(self, capture: Capture, pieces: list[Any], data: Piece) -> None:
        """Hold a piece of a body for the record, if there is room."""
        size = len(data)
        if (
            self._held_in - self._held_out + size > self._held_bytes
            or capture.held_bytes + size > 2 * BODY_MAX_BYTES
            or capture.unrecorded_bytes
        ):
            capture.unrecorded_bytes += size
            self.unrecorded_bytes += size
            return
        pieces.append(data)
        capture.held_bytes += size
        self._held_in += size

    def opened(self, capture: Capture) -> None:
        """The request has been read: queue its record. Left to the end if there is no room now."""
        size = _RECORD_BYTES + sum(map(len, capture.request))
        if self._has_room(size):
            capture.opened = True
            self._put("opened", capture, size)

    def switched(self, capture: Capture) -> None:
        """A tunnel is open: what passes is told at once from now on."""
        for side, data in switched(capture):
            self.passed(capture, side, data)

    def passed(self, capture: Capture, side: Side, data: bytes) -> None:
        """A tunnel passed on a piece of one side; kept back where it would have to be redacted."""
        record = None if capture.unrecorded_bytes else note_passed(capture, side, data)
        size = _RECORD_BYTES + len(data)
        if record is not None and not self._redaction.patterns and self._has_room(size):
            capture.passing.append(record)
            self._put("passed", capture, size)

    def ended(self, capture: Capture) -> None:
        """The exchange is over: queue what is still to be written of it."""
        self.exchanges += 1
        size = 2 * _RECORD_BYTES + sum(map(len, capture.response))
        if capture.amended or not capture.opened:
            size += sum(map(len, capture.request))
        if self._has_room(size):
            self._put("ended", capture, size)
            return
        self._dropped_by_loop += 1
        self._held_out_by_loop(capture)
        is_reserved = self.queued_bytes < self._queue_bytes + _RESERVE_BYTES
        if capture.opened and (is_reserved or len(self._queue) < _RESERVE_RECORDS):
            # its end is told even so, or it would look running for ever
            self._put("ended", capture, _RECORD_BYTES)

    def _held_out_by_loop(self, capture: Capture) -> None:
        self._held_in -= capture.held_bytes
        capture.unrecorded_bytes += sum(map(len, capture.response))
        capture.held_bytes = 0
        capture.response = capture.response[:1]
        capture.amended = False

    def _has_room(self, size: int) -> bool:
        queued = self.queued_bytes
        return queued + size <= self._queue_bytes or queued == 0

    def _put(self, part: _Part, capture: Capture, size: int) -> None:
        self._queued_in += size
        self._queue.append((part, capture, size))
        if not self._wake.is_set():
            self._wake.set()
        if self.queued_bytes > _PRESSING_BYTES and not self.is_failing:
            time.sleep(_MOMENT_S)

    def _run(self) -> None:
        give_back, passed_bytes = trimmer(), 0
        while True:
            is_idle = not self._wake.wait(_IDLE_S if self._queued_out > passed_bytes else None)
            if is_idle:
                if self._queued_out - passed_bytes > _TRIMMED_BYTES:
                    give_back()
                passed_bytes = self._queued_out
                continue
            if not self._closing.is_set():
                time.sleep(_NAP_S)
            self._wake.clear()
            while self._queue:
                self._write_batch()
            if self._closing.is_set() and not self._queue:
                return

    def _write_batch(self) -> None:
        records: list[Record] = []
        size = held = exchanges = 0
        limit = _BATCH_BYTES if self.queued_bytes < _PRESSING_BYTES // 4 else _BIG_BATCH_BYTES
        while self._queue and size < limit:
            part, capture, weight = self._queue.popleft()
            size += weight
            if part == "ended":
                held += capture.held_bytes
                exchanges += 1
            try:
                records += self._records(part, capture)
            except Exception:  # noqa: BLE001 - logged and counted, see below
                # a defect of ours must not end the recording of every later call
                _log.exception("cannot make the %s record of %s", part, capture.span_id)
                self.spool_errors += 1
                self._dropped_by_thread += 1
        if not self._write(records):
            self._dropped_by_thread += exchanges
        self._queued_out += size
        self._held_out += held

    def _records(self, part: _Part, capture: Capture) -> list[Record]:
        if part == "opened":
            return [opened_record(capture, self._redaction)]
        if part == "passed":
            return [capture.passing.popleft()]
        ended = ended_record(capture, self._redaction)
        if capture.amended or not capture.opened:
            return [opened_record(capture, self._redaction), ended]
        return [ended]

    def _write(self, records: list[Record]) -> bool:
        """Write records, again and again until the disk takes them or the relay must stop."""
        attempt = 0
        while records:
            try:
                self._log.write(records)
            except OSError as error:
                self._note_failure(error)
                pause = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                attempt += 1
                if self._deadline is not None and time.monotonic() + pause > self._deadline:
                    return False
                self._closing.wait(pause)
                if self._closing.is_set():
                    time.sleep(0.05)
                continue
            self.records_written += len(records)
            if self.is_failing:
                _log.warning("exchanges are recorded again")
                self.is_failing = False
            break
        return True

    def _note_failure(self, error: OSError) -> None:
        self.spool_errors += 1
        self.last_error = str(error)
        if not self.is_failing:
            self.is_failing = True
            _log.error("exchanges cannot be recorded: %s (calls go on being served)", error)

    def health(self) -> dict[str, Any]:
        """Counters for `/health`."""
        return {
            "records": self.records_written,
            "dropped": self.dropped,
            "unrecorded_bytes": self.unrecorded_bytes,
            "queued_bytes": self.queued_bytes,
            "spool_errors": self.spool_errors,
            "spool_error": self.last_error if self.is_failing else None,
        }
