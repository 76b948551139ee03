"""Deleting what the hot folder no longer needs.

Invariants:
- A segment goes only when nobody writes it, all of it is committed, and a grace has passed. A
  reader that still meant to read it looks again and finds its rows sealed.
- A segment of exchanges stays until spans were derived from all of them: whoever derives spans
  reads segments, not the carry, and may have been away.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tracelake.storage import files
from tracelake.storage.carry import carry_path, consumed
from tracelake.storage.segment import is_locked, list_segments, read_segment
from tracelake.storage.xlog import SUFFIX, CorruptRecord, read_records

if TYPE_CHECKING:
    from pathlib import Path

    from tracelake.storage.table import Snapshot


def reap(hot: Path, suffix: str, snapshot: Snapshot, key: str, grace_s: float) -> int:
    """Delete consumed segments and carries of earlier commits; the sealer's lock is held.

    Args:
        hot: The hot folder.
        suffix: `.jsonl` or `.xlog`.
        snapshot: Newest version of the table that these segments are sealed into.
        key: Application id of the folder's carry.
        grace_s: Seconds since the last write that a file stays in any case.

    Returns:
        Number of segments deleted.
    """
    reaped = 0
    now = time.time()
    sealed = consumed(hot, snapshot, key, suffix)
    waiting: set[str] = set()
    if suffix == SUFFIX and sealed.number:
        carried, _ = read_records(carry_path(hot, sealed.number, SUFFIX), sealed.body)
        waiting = {record.span_id for record in carried}
    for name, path in list_segments(hot, suffix).items():
        if now - path.stat().st_mtime < grace_s or is_locked(path):
            continue
        if _is_consumed(path, sealed.of(name), suffix, waiting):
            reaped += files.remove(path)
    for path in hot.glob(f"carry-*{suffix}"):
        digits = path.stem.removeprefix("carry-")
        is_old = digits.isdigit() and int(digits) < sealed.number
        if is_old and now - path.stat().st_mtime >= grace_s:
            files.remove(path)
    return reaped


def _is_consumed(path: Path, offset: int, suffix: str, waiting: set[str]) -> bool:
    """Whether only a torn tail, which nobody was told is safe, may stand after the offset."""
    if suffix != SUFFIX:
        return read_segment(path, offset)[1] == offset
    try:
        if read_records(path, offset)[1] != offset:
            return False
        return waiting.isdisjoint(record.span_id for record in read_records(path)[0])
    except CorruptRecord:
        return False
