"""Following the hot tier as it grows: what the live view and the ingest process read.

    Tail(hot, suffix=".jsonl", decode=decode_events, from_end=False)
        .poll() -> records that appeared since the last poll, in order per segment
        .wait(timeout_s) -> True as soon as something may have changed
        .close()

Invariants:
- A record is returned once, whole, and only when its line is complete.
- `wait` returns within 100 ms of a change even where the system tells of none.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tracelake.storage.codec import decode_events
from tracelake.storage.segment import list_segments, read_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

FALLBACK_POLL_S = 0.1

R = TypeVar("R")


def read_events(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Events of a `.jsonl` segment from `offset` on, and the offset after them."""
    lines, after = read_segment(path, offset)
    return decode_events(lines, path.name, offset), after


class Tail(Generic[R]):
    """A cursor over all segments of a hot folder."""

    def __init__(
        self,
        hot: Path,
        suffix: str = ".jsonl",
        read: Callable[[Path, int], tuple[list[R], int]] = read_events,
        *,
        from_end: bool = False,
    ) -> None:
        """Begin at what is there.

        Args:
            hot: The hot folder; it need not exist yet.
            suffix: `.jsonl` for events, `.xlog` for exchanges.
            read: Reads one segment from an offset; for `.xlog` pass `xlog.read_records`.
            from_end: Skip what is already there.
        """
        self.hot = hot
        self.suffix = suffix
        self._read = read
        self._offsets: dict[str, int] = {}
        self._changed = threading.Event()
        self._observer: Any = None
        if from_end:
            for name, path in list_segments(hot, suffix).items():
                self._offsets[name] = read(path, 0)[1]

    def poll(self) -> list[R]:
        """Everything that appeared since the last poll."""
        records: list[R] = []
        segments = list_segments(self.hot, self.suffix)
        for name in self._offsets.keys() - segments.keys():
            del self._offsets[name]
        for name, path in segments.items():
            offset = self._offsets.get(name, 0)
            try:
                if path.stat().st_size > offset:
                    found, self._offsets[name] = self._read(path, offset)
                    records += found
                else:
                    self._offsets[name] = offset
            except FileNotFoundError:  # reaped after listing: all of it is sealed
                continue
        return records

    def wait(self, timeout_s: float) -> bool:
        """Sleep until a segment may have changed, 100 ms at most, or `timeout_s` if that is less.

        Returns:
            Whether the system told of a change; after False a poll may still find something.
        """
        self._watch()
        told = self._changed.wait(min(timeout_s, FALLBACK_POLL_S))
        self._changed.clear()
        return told

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def _watch(self) -> None:
        if self._observer is not None or not self.hot.is_dir():
            return
        from watchdog.events import (
            FileModifiedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        changed = self._changed

        class Told(FileSystemEventHandler):
            def on_modified(self, event: Any) -> None:  # noqa: ARG002
                changed.set()

            def on_moved(self, event: Any) -> None:  # noqa: ARG002
                changed.set()

        observer = Observer()
        observer.daemon = True
        # the system is to tell of nothing else: every look at the folder would wake all who watch
        changes: list[type[FileSystemEvent]] = [FileModifiedEvent, FileMovedEvent]
        observer.schedule(Told(), str(self.hot), event_filter=changes)
        try:
            observer.start()
        except OSError as error:
            log.warning("cannot watch %s (%s): polling every 100 ms", self.hot, error)
            self._observer = _NoObserver()
            return
        self._observer = observer


class _NoObserver:
    """Stands where the system offers no watching."""

    def stop(self) -> None: ...

    def join(self) -> None: ...
