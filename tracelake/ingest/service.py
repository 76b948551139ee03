"""The ingest process: follows the exchange logs, derives spans, seals the lake.

Prints one JSON line once it follows (`{"hot": …, "pid": …}`). Killing it loses nothing: what it
had not finished stands in the hot folder and is read again by the next one.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tracelake.errors import LakeLocked
from tracelake.infer import Inference, process_key
from tracelake.ingest.client import ClientWatch
from tracelake.ingest.joins import RelayCalls
from tracelake.ingest.otlp import Intake, Receiver
from tracelake.ingest.pipeline import Pipeline
from tracelake.ingest.recover import name_of_run, read_recent
from tracelake.ingest.settings import read_settings
from tracelake.ingest.state import STATE_NAME
from tracelake.lake import Lake
from tracelake.model import to_iso, utc_now
from tracelake.redaction import VARIABLE, parse_patterns
from tracelake.relay.access import Access
from tracelake.storage.files import atomic_write
from tracelake.storage.tail import Tail
from tracelake.storage.xlog import SUFFIX, CorruptRecord, ExchangeLog, Record, read_records

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tracelake.config import Location

log = logging.getLogger("tracelake.ingest")

SEAL_CHECK_EVERY_S = 2.0
COMPACT_EVERY_S = 600.0
RETAIN_EVERY_S = 3600.0
RETRY_EVERY_S = 60.0
TICK_EVERY_S = 0.5
STATE_EVERY_S = 2.0


class Service:
    """One ingest process over one lake.

    Args:
        location: The lake.
        relay_port: Port of the relay on this machine, to find the programs behind its connections.
        otlp: Where OpenTelemetry is received, listening already; None receives none.
    """

    def __init__(
        self, location: Location, *, relay_port: int, otlp: socket.socket | None = None
    ) -> None:
        self._lake = Lake(location)
        self._hot = location.hot
        self._clients = ClientWatch(relay_port)
        self._inference = Inference()
        self._log = ExchangeLog(location.hot)
        recorded = RelayCalls(self._inference)
        self._intake = Intake(
            append=self._lake.append,
            recorded=recorded,
            redaction=parse_patterns(os.environ.get(VARIABLE)),
        )
        access = Access(os.environ.get("TRACELAKE_TOKEN") or None)
        self._receiver = Receiver(self._intake, otlp, access=access) if otlp is not None else None
        self._pipeline = Pipeline(
            inference=self._inference,
            append=self._lake.append,
            done=self._log.done,
            identify=lambda exchange: self._clients.identify(exchange.client),
            name_of_run=functools.partial(name_of_run, self._lake),
            seen=recorded.note,
        )
        self._tail: Tail[Record] = Tail(location.hot, SUFFIX, _read_undamaged)
        self._sealer = self._lake.sealer()
        self._problems: dict[str, str] = {}
        self._unsealed_bytes = 0

    def run(self, stopping: threading.Event) -> None:
        """Follow until told to stop; then read what is there once more."""
        recent = read_recent(self._lake, utc_now())
        for exchange, _ in recent:
            self._clients.watch(exchange.client)
        self._pipeline.recover(recent)
        if self._receiver is not None:
            self._receiver.start()
        sealer = threading.Thread(target=self._seal_loop, args=(stopping,), name="sealer")
        sealer.start()
        try:
            self._follow(stopping)
        finally:
            # What could not be written (a full disk) stands in the exchange logs still: the process
            # ends, its sealer too, and the next one reads it again.
            stopping.set()
            if self._receiver is not None:
                self._receiver.stop()
            sealer.join()
            self._tail.close()
            self._log.close()
            self._lake.close()

    def _follow(self, stopping: threading.Event) -> None:
        next_tick = next_state = 0.0
        while not stopping.is_set():
            self._tail.wait(TICK_EVERY_S)
            self._drain()
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK_EVERY_S
                self._tick()
            if now >= next_state:
                next_state = now + STATE_EVERY_S
                self._write_state()
        self._drain()

    def _drain(self) -> None:
        records = self._tail.poll()
        for record in records:
            # before anything else: a short-lived connection is gone in milliseconds
            if record.kind == "opened":
                self._clients.identify(record.meta.get("client") or {})
        for record in records:
            self._pipeline.handle(record)

    def _tick(self) -> None:
        now = utc_now()
        for client in self._clients.ended():
            ended = self._inference.program_ended(pid_key=process_key(client), at=now)
            self._pipeline.emit(ended)
        self._pipeline.emit(self._inference.idle(now))
        self._intake.settle()

    def _seal_loop(self, stopping: threading.Event) -> None:
        next_compact = time.monotonic() + COMPACT_EVERY_S
        next_retention = 0.0
        while not stopping.wait(SEAL_CHECK_EVERY_S):
            if time.monotonic() >= next_retention:
                # a failure is tried again soon: what was wrong may have been mended
                is_done = self._attempt("retention", self._retain)
                next_retention = time.monotonic() + (RETAIN_EVERY_S if is_done else RETRY_EVERY_S)
            self._attempt("sealing", self._seal)
            if time.monotonic() >= next_compact:
                is_done = self._attempt("compaction", self._lake.compact)
                next_compact = time.monotonic() + (COMPACT_EVERY_S if is_done else RETRY_EVERY_S)

    def _attempt(self, work: str, do: Callable[[], object]) -> bool:
        """Do some work of the lake; what went wrong is told until that very work succeeds."""
        try:
            do()
        except LakeLocked:
            return True  # another process does the same work now
        except Exception as error:
            self._problems[work] = str(error) or type(error).__name__
            log.exception("%s failed; everything stays readable", work)
            return False
        self._problems.pop(work, None)
        return True

    def _seal(self) -> None:
        if self._sealer.due():
            self._sealer.seal(timeout_s=0.0)
        self._unsealed_bytes = self._sealer.unsealed_bytes()

    def _retain(self) -> None:
        """Delete what is older than the lake's settings keep; the next seal takes it away."""
        before = read_settings(self._lake.location).delete_before(utc_now())
        if before is None:
            return
        lake = self._lake
        starts = lake.answer(lambda: lake.traces().select("start_time").collect())["start_time"]
        if (starts < before).any():  # a mark without need would have the tables rewritten
            count = self._lake.delete(before=before)
            log.info("deleted %d traces that started before %s", count, before.date())

    def _write_state(self) -> None:
        counters = self._pipeline.counters
        state: dict[str, Any] = {
            "pid": os.getpid(),
            "at": to_iso(utc_now()),
            "exchanges": counters.exchanges,
            "events": counters.events,
            "failed": counters.failed,
            "in_flight": self._pipeline.in_flight,
            "unsealed_bytes": self._unsealed_bytes,
            "otlp": asdict(self._intake.counters),
            "problems": dict(self._problems),
        }
        try:
            atomic_write(self._hot / STATE_NAME, json.dumps(state).encode())
        except OSError as error:
            log.warning("cannot write %s: %s", STATE_NAME, error)


def _read_undamaged(path: Path, offset: int) -> tuple[list[Record], int]:
    try:
        return read_records(path, offset)
    except CorruptRecord as error:
        log.error("%s; what follows in it is skipped", error)  # noqa: TRY400 - the text says it all
        return [], path.stat().st_size
