"""Rewriting a table without what was deleted.

    purge(store, tombstones, trace) -> rows gone; the sealer's lock is held

Invariant: the mark "purged up to here" is in the same commit as the rows' removal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracelake.storage.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.storage.table import DeltaStore, File, Snapshot
    from tracelake.storage.tombstones import Tombstones

#: Application id under which a table says which version of the marks it was purged by.
PURGED = "tombstones"


def purge(store: DeltaStore, tombstones: Tombstones, trace: str = "trace_id") -> int:
    """Remove deleted rows from a table, once for each version of the marks.

    Days that are deleted as a whole are only unnamed, nothing of them is read.

    Args:
        store: The table.
        tombstones: The marks in force.
        trace: The column that names the trace of a row.

    Returns:
        Number of rows removed.
    """
    if not tombstones:
        return 0
    snapshot = store.snapshot()
    done = {PURGED: tombstones.version + 1}
    if snapshot.version < 0 or snapshot.offset(PURGED) >= done[PURGED]:
        return 0
    before = tombstones.before
    whole = [f for f in snapshot.files if before is not None and f.date < before.date()]
    partly = [
        file
        for file in snapshot.files
        if file not in whole
        and (
            (before is not None and file.date == before.date())
            or file.date in tombstones.days
            or file.may_hold(tombstones.trace_ids)
        )
        and _kept(snapshot, file, tombstones, trace) < file.rows
    ]
    gone = sum(file.rows for file in whole)
    gone += sum(file.rows - _kept(snapshot, file, tombstones, trace) for file in partly)
    if whole or partly:
        remaining = _remaining(snapshot, partly, tombstones, trace)
        rewrite(store, snapshot, [*whole, *partly], remaining, done)
    return gone


def _kept(snapshot: Snapshot, file: File, tombstones: Tombstones, trace: str) -> int:
    rows = snapshot.scan([file]).select(trace, "start_time")
    return tombstones.visible(rows, trace).select(pl.len()).collect().item()


def _remaining(
    snapshot: Snapshot, files: list[File], tombstones: Tombstones, trace: str
) -> Iterator[pl.DataFrame]:
    for file in files:
        rows = tombstones.visible(snapshot.scan([file]), trace).collect()
        if rows.height:
            yield rows
