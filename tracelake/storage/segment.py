"""Hot segments: one append-only file per writer process, held by a lock while it is written.

    SegmentWriter(hot, suffix=".jsonl")  .append(data, durable=False)  .close()
    list_segments(hot, suffix=".jsonl") -> {name: path}, oldest first
    read_segment(path, offset) -> (complete lines, new offset)
    is_locked(path) -> whether a living process still writes the segment

Invariants:
- Only the process that made a segment writes it, and never again once it is closed: a new file
  after a fork, after a restart, after 64 MB, after a write that failed half way, and after somebody
  deleted it.
- A signal handler or a finalizer may append in the middle of an append of its own thread: it gets
  a segment of its own, and neither waits for the other.
- A segment is visible only once it is locked: a visible segment without a lock is finished.
- `append` returned means that the bytes are with the kernel and survive `kill -9` of any process;
  with `durable=True` they are on the disk. Callers that write at once share one fdatasync.
- What follows the last newline is a torn tail that nobody was told is safe; readers cut it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import socket
import threading
import time
import weakref
from pathlib import Path

from tracelake.storage import files

ROLL_BYTES = 64 << 20
#: How often a writer looks whether its segment was deleted; a look takes as long as a short write.
LOOK_EVERY_S = 0.1

#: Linux has fdatasync; elsewhere fsync gives the same promise, more slowly.
_sync = getattr(os, "fdatasync", os.fsync)
_HOST = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:40] or "host"
_numbers = itertools.count()
_writers: weakref.WeakSet[SegmentWriter] = weakref.WeakSet()


class SegmentWriter:
    """Appends whole records to this process's own segment in a hot folder.

    Safe for threads and for forks. The segment is made by the first append.

    Attributes:
        hot: The hot folder, made when it is first needed.
        suffix: `.jsonl` for events, `.xlog` for exchanges.
        path: The segment being written, None before the first append and after `close`.
    """

    def __init__(
        self, hot: Path | str, suffix: str = ".jsonl", *, roll_bytes: int = ROLL_BYTES
    ) -> None:
        self.hot = Path(hot)
        self.suffix = suffix
        self.path: Path | None = None
        self._roll_bytes = roll_bytes
        self._descriptor: int | None = None
        self._size = 0
        self._next_look = 0.0
        self._aside: SegmentWriter | None = None
        self._reset_locks()
        _writers.add(self)

    def _reset_locks(self) -> None:
        self._inside: set[int] = set()
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._generation = 0
        self._synced = (0, 0)
        self._awaiting_sync = 0

    def append(self, data: bytes, *, durable: bool = False) -> None:
        """Write one whole record; returning is the promise that it is kept.

        Raises:
            OSError: The record could not be written (disk full, folder read-only); nothing that
                was acknowledged before is touched, and the next append starts a new segment.
        """
        thread = threading.get_ident()
        inside = self._inside
        if thread in inside:
            self._interrupting().append(data, durable=durable)
            return
        inside.add(thread)
        try:
            with self._lock:
                descriptor = self._descriptor
                if (
                    descriptor is None
                    or self._size >= self._roll_bytes
                    or (time.monotonic() >= self._next_look and self._is_deleted(descriptor))
                ):
                    descriptor = self._open()
                try:
                    written = os.write(descriptor, data)
                    while written < len(data):
                        written += os.write(descriptor, data[written:])
                except BaseException:
                    self._close()  # a torn record may stand at the end: nothing may follow it
                    raise
                self._size += len(data)
                if not durable:
                    return
                self._awaiting_sync += 1
                position = (self._generation, self._size)
            self._sync_to(position)
        finally:
            inside.discard(thread)

    def close(self) -> None:
        """Give the segment up; its lock is free and a sealer may reap it once it is sealed.

        Called in the middle of an append of the same thread it leaves that segment open.
        """
        thread = threading.get_ident()
        if thread not in self._inside:
            self._inside.add(thread)
            try:
                with self._lock:
                    self._close()
            finally:
                self._inside.discard(thread)
        if self._aside is not None:
            self._aside.close()

    def _interrupting(self) -> SegmentWriter:
        if self._aside is None:
            self._aside = SegmentWriter(self.hot, self.suffix, roll_bytes=self._roll_bytes)
        return self._aside

    def _is_deleted(self, descriptor: int) -> bool:
        """Whether the segment, or its folder, was deleted: what is written to it nobody reads."""
        self._next_look = time.monotonic() + LOOK_EVERY_S
        return not os.fstat(descriptor).st_nlink

    def _open(self) -> int:
        self._close()
        self.hot.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{_HOST}-{os.getpid()}-{next(_numbers)}{self.suffix}"
        hidden = self.hot / f".{name}"
        flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY
        descriptor = os.open(hidden, flags, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files.rename(hidden, self.hot / name)
        self._descriptor, self._size, self.path = descriptor, 0, self.hot / name
        self._generation += 1
        return descriptor

    def _close(self) -> None:
        if self._descriptor is None:
            return
        with self._sync_lock:
            if self._awaiting_sync:
                _sync(self._descriptor)
                if os.fstat(self._descriptor).st_nlink:
                    files.sync_folder(self.hot)
                self._synced = (self._generation, self._size)
                self._awaiting_sync = 0
            os.close(self._descriptor)
            self._descriptor, self.path, self._size = None, None, 0

    def _sync_to(self, position: tuple[int, int]) -> None:
        with self._sync_lock:
            if self._synced >= position or self._descriptor is None:
                return
            generation, size, waiting = self._generation, self._size, self._awaiting_sync
            _sync(self._descriptor)
            if self._synced[0] != generation:
                files.sync_folder(self.hot)
            self._synced = (generation, size)
            self._awaiting_sync -= waiting

    def forget(self) -> None:
        """Leave the segment to the parent; called in a forked child."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self.path, self._size = None, None, 0
        self._reset_locks()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)


def list_segments(hot: Path, suffix: str = ".jsonl") -> dict[str, Path]:
    """Visible segments by name, oldest first; carries and names in the making left out."""
    try:
        with os.scandir(hot) as entries:
            names = sorted(e.name for e in entries if is_segment_name(e.name, suffix))
    except FileNotFoundError:
        return {}
    return {name: hot / name for name in names}


def is_segment_name(name: str, suffix: str) -> bool:
    """Whether a file name is a segment's: it begins with the digits of a time."""
    return name.endswith(suffix) and name[:1].isdigit()


def writer_of(name: str) -> str:
    """The process that wrote a segment, `host-pid`, read off the name."""
    parts = name.rsplit("-", 3)
    return "-".join(parts[1:3]) if len(parts) == 4 else name


def read_segment(path: Path, offset: int, limit: int | None = None) -> tuple[bytes, int]:
    """Complete lines from `offset` on, and the offset after them.

    Args:
        path: The segment.
        offset: Where to begin; always the end of a line.
        limit: Read about this many bytes at most (one line is always read whole).

    Raises:
        FileNotFoundError: The segment was reaped.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read() if limit is None else file.read(limit)
        cut = data.rfind(b"\n") + 1
        if limit is not None and not cut and len(data) == limit:
            data += file.readline()
            cut = data.rfind(b"\n") + 1
    return data[:cut], offset + cut


def is_locked(path: Path) -> bool:
    """Whether the process that writes the segment still lives and writes it.

    Raises:
        FileNotFoundError: The segment was reaped.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
