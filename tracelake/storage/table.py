"""The Delta tables of a lake: the only module that scans Parquet or talks to deltalake.

    DeltaStore(root, table, options)
        .snapshot() -> Snapshot           the newest committed version; cheap when nothing changed
        .sync(since)                      make commits survive a power loss
    Snapshot: .version .files .offset(app_id) .scan(files)
    scan_files(table, files, options) -> LazyFrame with the table's full schema

Invariants:
- A snapshot never changes; files it names stay on disk for the vacuum grace after their removal.
- The table's configuration carries the schema version; a newer one is refused, an older one has
  its missing columns read as null.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from tracelake import schema
from tracelake.errors import LakeError, SchemaTooNew
from tracelake.storage.files import sync_file, sync_folder
from tracelake.storage.log import offsets_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from tracelake.schema import Table

log = logging.getLogger(__name__)

VERSION_KEY = "tracelake.schemaVersion"
_CONFIGURATION = {
    "delta.dataSkippingStatsColumns": "trace_id,start_time,revision",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    VERSION_KEY: str(schema.VERSION),
}
#: What is read of what the log says of each file.
_SAID_OF_FILES = frozenset(
    {
        "path",
        "size_bytes",
        "num_records",
        "partition.date",
        "min.trace_id",
        "max.trace_id",
        "max.revision",
    }
)
_MAGIC = b"PAR1"
#: Damaged files that this process met, by table: path to reason.
_damaged: dict[str, dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class File:
    """One live Parquet file of a table.

    Attributes:
        path: Relative to the table.
        uri: Absolute path or URI.
        trace_ids: Least and greatest trace id, None where the log does not say.
        revision: Greatest revision; 0 where the table has none.
    """

    path: str
    uri: str
    date: date
    size_bytes: int
    rows: int
    trace_ids: tuple[str, str] | None = None
    revision: int = 0

    def may_hold(self, trace_ids: Iterable[str]) -> bool:
        """Whether the statistics allow one of the traces in this file."""
        if self.trace_ids is None:
            return True
        least, greatest = self.trace_ids
        return any(least <= trace_id <= greatest for trace_id in trace_ids)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed version of a table; version -1 is the table that does not exist yet."""

    table: Table
    version: int
    files: tuple[File, ...]
    damaged: tuple[File, ...] = ()
    root: str = ""
    options: dict[str, str] | None = None
    delta: DeltaTable | None = field(default=None, repr=False, compare=False)
    offsets: dict[str, int] = field(default_factory=dict[str, int], repr=False, compare=False)

    def offset(self, app_id: str) -> int:
        """The offset that the application committed with the rows, 0 before the first."""
        if self.delta is None:
            return 0
        if app_id not in self.offsets:  # the log is searched once, milliseconds each time
            self.offsets[app_id] = self.delta.transaction_version(app_id) or 0
        return self.offsets[app_id]

    def scan(self, files: Iterable[File] | None = None) -> pl.LazyFrame:
        """Rows of some or all live files."""
        return scan_files(self.table, self.files if files is None else files, self.options)


class DeltaStore:
    """One table under the root of a lake."""

    def __init__(self, root: str, table: Table, options: dict[str, str] | None = None) -> None:
        self.table = table
        self.uri = f"{root}/{table.name}"
        self.is_local = "://" not in root
        self.options = options
        self._lock = threading.Lock()
        self._latest = Snapshot(table, -1, (), root=self.uri, options=options)
        self._checked: dict[str, int] = {}
        self._bad = _damaged.setdefault(self.uri, {})

    def snapshot(self) -> Snapshot:
        """The newest committed version.

        Raises:
            SchemaTooNew: A newer Trace Lake wrote the table.
            LakeError: Its log is damaged.
        """
        with self._lock:
            if not self._is_stale():
                return self._latest
            try:
                delta = self._open()
            except TableNotFoundError:
                self._latest = Snapshot(self.table, -1, (), root=self.uri, options=self.options)
                return self._latest
            check_version(delta)
            files = list_files(delta, self.uri)
            good = tuple(file for file in files if self._is_whole(file))
            damaged = tuple(file for file in files if file.path in self._bad)
            version = delta.version()
            self._latest = Snapshot(
                self.table,
                version,
                good,
                damaged,
                self.uri,
                self.options,
                delta,
                self._offsets_at(version),
            )
            return self._latest

    def at(self, version: int) -> Snapshot:
        """An earlier version, as far as the log reaches back."""
        delta = DeltaTable(self.uri, version=version, storage_options=self.options)
        files = tuple(list_files(delta, self.uri))
        return Snapshot(self.table, version, files, (), self.uri, self.options, delta)

    def leave_out(self, bad: Mapping[str, str]) -> None:
        """Leave files out of every later snapshot of this process: relative path to reason."""
        with self._lock:
            self._bad.update(bad)
            self._latest = Snapshot(self.table, -1, (), root=self.uri, options=self.options)

    def sync(self, since: Snapshot) -> None:
        """Make what was committed after a snapshot survive a power loss; local tables only."""
        if not self.is_local:
            return
        before = {file.path for file in since.files}
        latest = self.snapshot()
        new = [Path(file.uri) for file in latest.files if file.path not in before]
        log_folder = Path(self.uri, "_delta_log")
        new += [log_folder / f"{v:020d}.json" for v in range(since.version + 1, latest.version + 1)]
        for path in new:
            sync_file(path)
        for folder in {path.parent for path in new}:
            sync_folder(folder)

    def create(self) -> DeltaTable:
        """Open the table for writing, making it when it does not exist.

        Raises:
            SchemaTooNew: A newer Trace Lake wrote the table.
        """
        try:
            delta = self._open()
        except TableNotFoundError:
            if self.is_local:
                Path(self.uri).mkdir(parents=True, exist_ok=True)
            delta = DeltaTable.create(
                self.uri,
                schema=schema.arrow_schema(self.table),
                mode="ignore",
                partition_by=["date"],
                configuration=_CONFIGURATION,
                storage_options=self.options,
                raise_if_key_not_exists=False,
            )
        check_version(delta)
        return self._upgraded(delta)

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(self.uri, storage_options=self.options)
        except TableNotFoundError:
            raise
        except DeltaError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise LakeError(
                f"the log of {self.uri} cannot be read, tracelake verify names its damage: {reason}"
            ) from error

    def bring_forward(self) -> None:
        """Give a table of an older version, if it is one, our columns and our version."""
        delta = self.snapshot().delta
        if delta is not None and version_of(delta) < schema.VERSION:
            self.create()

    def _upgraded(self, delta: DeltaTable) -> DeltaTable:
        """The table with every column of ours and our version: an older one is brought forward."""
        there = {column.name for column in delta.schema().fields}
        wanted = Schema.from_arrow(schema.arrow_schema(self.table)).fields
        if missing := [column for column in wanted if column.name not in there]:
            delta.alter.add_columns(missing)
        if version_of(delta) < schema.VERSION:
            delta.alter.set_table_properties(
                {VERSION_KEY: str(schema.VERSION)}, raise_if_not_exists=False
            )
        return delta

    def open_at(self, snapshot: Snapshot) -> DeltaTable:
        """A handle for a commit that rests on what a snapshot showed."""
        if snapshot.version < 0:
            self.create()  # empty, as the snapshot was; by now others may have put rows into it
        version = max(snapshot.version, 0)
        return DeltaTable(self.uri, version=version, storage_options=self.options)

    def _offsets_at(self, version: int) -> dict[str, int]:
        """Offsets that are known of a newer version without searching its whole log."""
        before = self._latest
        if before.version < 0 or not self.is_local:
            return {}
        came = offsets_between(Path(self.uri, "_delta_log"), before.version, version)
        return {} if came is None else {**before.offsets, **came}

    def _is_stale(self) -> bool:
        """Whether a newer version may exist; on a local disk two look-ups of a name."""
        version = self._latest.version
        if not self.is_local:
            return True
        log_folder = Path(self.uri, "_delta_log")
        if version < 0:
            return log_folder.exists()
        return (log_folder / f"{version + 1:020d}.json").exists() or not (
            log_folder / f"{version:020d}.json"
        ).exists()

    def _is_whole(self, file: File) -> bool:
        """Whether a file is as long as its commit says and ends as Parquet does; asked once."""
        if file.path in self._bad:
            return False
        if not self.is_local or file.path in self._checked:
            return True
        reason = why_broken(Path(file.uri), file.size_bytes)
        if reason is None:
            self._checked[file.path] = file.size_bytes
            return True
        self._bad[file.path] = reason
        log.error("left out a damaged file of %s: %s: %s", self.table.name, file.path, reason)
        return False


def why_broken(path: Path, size_bytes: int) -> str | None:
    """What a look at a local file's length and ends finds wrong, None when nothing."""
    try:
        with path.open("rb") as file:
            found = file.seek(0, 2)
            if found != size_bytes:
                return f"{found} bytes long, {size_bytes} were committed"
            file.seek(0)
            head = file.read(4)
            file.seek(-4, 2)
            ends = head + file.read(4)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error}"
    return None if ends == _MAGIC * 2 else "not a Parquet file"


def version_of(delta: DeltaTable) -> int:
    """The schema version that a table was written with."""
    return int(delta.metadata().configuration.get(VERSION_KEY) or 1)


def check_version(delta: DeltaTable) -> None:
    """Refuse a table that a newer Trace Lake wrote.

    Raises:
        SchemaTooNew: Its version is above `schema.VERSION`.
    """
    if (found := version_of(delta)) > schema.VERSION:
        raise SchemaTooNew(found=found, supported=schema.VERSION)


def list_files(delta: DeltaTable, root: str) -> list[File]:
    """Live files of a version, newest day first.

    Args:
        delta: The version.
        root: Path or URI of the table as we write it; its own is an encoded URL.
    """
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    if actions.is_empty():
        return []
    # the log says more, least times among it that are a second early: of year 1 Python has no word
    actions = actions.select(pl.col(name) for name in actions.columns if name in _SAID_OF_FILES)
    files: list[File] = []
    for row in actions.iter_rows(named=True):
        least, greatest = row.get("min.trace_id"), row.get("max.trace_id")
        files.append(
            File(
                path=row["path"],
                uri=f"{root}/{row['path']}",
                date=row["partition.date"],
                size_bytes=row["size_bytes"],
                rows=row["num_records"] or 0,
                trace_ids=None if least is None or greatest is None else (least, greatest),
                revision=row.get("max.revision") or 0,
            )
        )
    return sorted(files, key=lambda file: (file.date, file.path), reverse=True)


def scan_files(
    table: Table, files: Iterable[File], options: dict[str, str] | None = None
) -> pl.LazyFrame:
    """Rows of Parquet files with the full schema of the table, `date` from the folder's name."""
    return scan_uris(table, [file.uri for file in files], options)


def scan_uris(table: Table, uris: list[str], options: dict[str, str] | None = None) -> pl.LazyFrame:
    """As `scan_files`, of files by their paths or URIs."""
    columns = schema.polars_schema(table)
    if not uris:
        return pl.LazyFrame(schema=columns)
    inside = {name: dtype for name, dtype in columns.items() if name != "date"}
    return pl.scan_parquet(
        uris,
        schema=inside,
        hive_partitioning=True,
        hive_schema={"date": pl.Date},
        missing_columns="insert",
        extra_columns="ignore",
        storage_options=options,
        glob=False,
    ).select(table.names)
