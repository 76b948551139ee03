"""Carrying out a compaction plan, and deleting what no reader can need any more.

    Compactor(location, …).compact() -> CompactReport    merge, sort, drop superseded rows
                          .vacuum() -> int                delete files removed before the grace

Invariants:
- Rows are only rewritten: a reader sees the same spans before, during and after.
- Memory is bounded by `target_bytes` of raw rows, whatever a day holds.
- A file that was live within the grace stays on the disk: a LazyFrame made then is readable.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError
from pyarrow.fs import FileSelector

from tracelake.schema import EXCHANGES, SPANS, TRACES
from tracelake.storage import cold
from tracelake.storage.compaction import Block, Merge, plan_merges, plan_ranges
from tracelake.storage.damage import answer, foreign_errors
from tracelake.storage.lock import LOCK_TIMEOUT_S, sealer_lock
from tracelake.storage.log import removed_since
from tracelake.storage.options import file_system, storage_options
from tracelake.storage.records import TRACE_OF, store_of
from tracelake.storage.rewrite import rewrite
from tracelake.storage.table import DeltaStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from tracelake.config import Location
    from tracelake.storage.table import File, Snapshot

log = logging.getLogger(__name__)

#: Raw bytes of one compacted file, and so of the rows held in memory while it is written.
TARGET_BYTES = 256 << 20
VACUUM_GRACE_S = 900.0


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What one compaction did.

    Attributes:
        merges: Merges carried out.
        files_before: Files that were merged.
        files_after: Files that came of them.
        vacuumed: Files deleted from the disk.
        seconds: Time taken.
    """

    merges: int
    files_before: int
    files_after: int
    vacuumed: int
    seconds: float


class Compactor:
    """Compacts one lake; holds the sealer's lock for one merge at a time, so seals go on."""

    def __init__(
        self,
        location: Location,
        *,
        target_bytes: int = TARGET_BYTES,
        vacuum_grace_s: float = VACUUM_GRACE_S,
    ) -> None:
        options = storage_options(location)
        self._hot = location.hot
        self._stores = [DeltaStore(location.tables, table, options) for table in (SPANS, EXCHANGES)]
        self._traces = DeltaStore(location.tables, TRACES, options)
        self._records = [store_of(location, name) for name in TRACE_OF]
        self._target_bytes = target_bytes
        self._vacuum_grace_s = vacuum_grace_s

    def compact(
        self, *, today: date | None = None, timeout_s: float = LOCK_TIMEOUT_S
    ) -> CompactReport:
        """Merge what is due, then vacuum.

        Args:
            today: UTC day that still grows; a later day closes it and merges it fully.
            timeout_s: How long to wait for a seal to finish.

        Raises:
            LakeLocked: Another process held the sealer's lock all the time.
            LakeError: The tables could not be written; they are as they were.
            OSError: The same, as the system says it.
        """
        began = time.monotonic()
        day = today or datetime.now(UTC).date()
        merges = before = after = 0
        for store in self._stores:
            snapshot = store.snapshot()
            for merge in plan_merges(_blocks(snapshot), day):
                with (
                    sealer_lock(self._hot, timeout_s),
                    foreign_errors(f"could not merge files of {merge.date}"),
                ):
                    written = answer([store], partial(self._merge, store, merge))
                if written is not None:
                    merges, before, after = merges + 1, before + len(merge.paths), after + written
        vacuumed = self.vacuum()
        return CompactReport(merges, before, after, vacuumed, time.monotonic() - began)

    def vacuum(self) -> int:
        """Delete files that were removed from their table before the grace.

        Returns:
            Number of files deleted.
        """
        stores = (*self._stores, self._traces, *self._records)
        return sum(self._vacuum(store) for store in stores)

    def _merge(self, store: DeltaStore, merge: Merge) -> int | None:
        snapshot = store.snapshot()
        chosen = [file for file in snapshot.files if file.path in set(merge.paths)]
        if len(chosen) != len(merge.paths):  # merged or deleted since it was planned
            return None
        try:
            return rewrite(store, snapshot, chosen, self._sorted_parts(snapshot, chosen), {})
        except CommitFailedError as error:
            log.info("a merge of %s met another writer, left for later: %s", merge.date, error)
            return None

    def _sorted_parts(self, snapshot: Snapshot, chosen: list[File]) -> Iterator[pl.DataFrame]:
        rows = cold.current(snapshot, chosen)
        counts = rows.group_by("trace_id").len().collect()
        total = sum(_raw_bytes(file) for file in chosen)
        each = total / max(counts["len"].sum(), 1)
        sizes = [(trace or "", int(number * each)) for trace, number in counts.iter_rows()]
        for first, last in plan_ranges(sorted(sizes), self._target_bytes):
            here = pl.col("trace_id").fill_null("").is_between(pl.lit(first), pl.lit(last))
            part = rows.filter(here).collect()
            if part.height:
                yield part

    def _vacuum(self, store: DeltaStore) -> int:
        system, root = file_system(store.uri, store.options)
        since = time.time() - self._vacuum_grace_s
        # The folders first: a file that is written after this is not looked at.
        found = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
        present = {info.path[len(root) + 1 :]: info for info in found if info.is_file}
        snapshot = store.snapshot()
        live = {file.path for file in (*snapshot.files, *snapshot.damaged)}
        commits = [info for path, info in present.items() if path.startswith("_delta_log/")]
        kept = live | removed_since(commits, system, since)
        deleted = 0
        for path, info in present.items():
            is_data = path.startswith("date=") and info.mtime.timestamp() < since
            if is_data and path not in kept:
                with suppress(FileNotFoundError):
                    system.delete_file(info.path)
                    deleted += 1
        return deleted


def _blocks(snapshot: Snapshot) -> list[Block]:
    return [
        Block(file.path, file.date, *(file.trace_ids or ("", "\x7f")), _raw_bytes(file))
        for file in snapshot.files
    ]


def _raw_bytes(file: File) -> int:
    """Size before compression, from the footer; of an object elsewhere, a guess from its size."""
    if "://" in file.uri:
        return file.size_bytes * 12
    metadata = pq.read_metadata(file.uri)
    return sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
