"""Putting files into a table, in one commit.

    append(store, frame, transactions)                    rows and application offsets together
    rewrite(store, base, removed, frames, transactions)   add the frames' files, remove the others

Invariants:
- The new files are complete on the disk before the commit names them; a crash before it leaves
  unnamed files that the vacuum removes.
- A commit fails as a whole when another process removed one of the files meanwhile, or committed an
  offset of one of the same applications; a commit that only adds meets no other.
- Removed files stay on the disk for readers that began before; the vacuum deletes them.
"""

from __future__ import annotations

import io
import math
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from deltalake import CommitProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from tracelake.storage import files
from tracelake.storage.options import write_object
from tracelake.storage.parquet import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from deltalake import DeltaTable

    from tracelake.storage.table import DeltaStore, File, Snapshot


def append(store: DeltaStore, frame: pl.DataFrame, transactions: Mapping[str, int]) -> None:
    """Commit rows and the offsets they were read up to, together."""
    delta = store.create()
    _commit(delta, _write(store, frame), transactions)


def rewrite(
    store: DeltaStore,
    base: Snapshot,
    removed: Iterable[File],
    frames: Iterable[pl.DataFrame],
    transactions: Mapping[str, int],
) -> int:
    """Commit new files instead of old ones.

    Args:
        store: The table.
        base: The version that was read: the commit fails if what it removes has gone since.
        removed: Live files that go.
        frames: Rows that come, each frame becoming one file per day; consumed one at a time.
        transactions: Application offsets of the same commit.

    Returns:
        Number of files written.

    Raises:
        deltalake.exceptions.CommitFailedError: Another process removed one of the files, or
            committed under one of the applications.
    """
    delta = store.open_at(base)
    added = [action for frame in frames for action in _write(store, frame)]
    now_ms = int(time.time() * 1000)
    gone = [
        RemoveAction(file.path, data_change=True, deletion_timestamp=now_ms) for file in removed
    ]
    _commit(delta, [*added, *gone], transactions)
    return len(added)


def _commit(
    delta: DeltaTable, actions: Sequence[AddAction | RemoveAction], transactions: Mapping[str, int]
) -> None:
    delta.create_write_transaction(
        list(actions),
        "append",
        delta.schema(),
        ["date"],
        commit_properties=CommitProperties(
            app_transactions=[Transaction(app, offset) for app, offset in transactions.items()]
        ),
    )


def _write(store: DeltaStore, frame: pl.DataFrame) -> list[AddAction]:
    names = store.table.names
    rows = frame.select(names).sort("date", *store.table.sort)
    return [
        _write_day(store, part.drop("date"), day[0])
        for day, part in rows.partition_by("date", as_dict=True, maintain_order=True).items()
    ]


def _write_day(store: DeltaStore, rows: pl.DataFrame, day: date) -> AddAction:
    path = f"date={day.isoformat()}/part-{uuid.uuid4()}.zstd.parquet"
    if store.is_local:
        target = Path(store.uri, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_parquet(rows, store.table, target)
            files.sync_file(target)
        except BaseException:
            target.unlink(missing_ok=True)  # half a file on a full disk makes it fuller
            raise
        size_bytes = target.stat().st_size
    else:
        buffer = io.BytesIO()
        write_parquet(rows, store.table, buffer)
        size_bytes = buffer.tell()
        write_object(f"{store.uri}/{path}", buffer.getvalue(), store.options or {})
    return AddAction(
        path=path,
        size=size_bytes,
        partition_values={"date": day.isoformat()},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=orjson.dumps(_statistics(rows)).decode(),
    )


def _statistics(rows: pl.DataFrame) -> dict[str, Any]:
    """What the log says of a file: bounds that let readers pass over it unopened."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in ("trace_id", "start_time", "revision"):
        if name not in rows.columns:
            continue
        column = rows[name]
        nulls[name] = column.null_count()
        if column.null_count() < rows.height:
            least[name] = _bound(column.min(), up=False)
            greatest[name] = _bound(column.max(), up=True)
    return {
        "numRecords": rows.height,
        "minValues": least,
        "maxValues": greatest,
        "nullCount": nulls,
    }


def _bound(value: Any, *, up: bool) -> Any:
    """A bound as the Delta log says it: times in whole milliseconds, rounded outwards."""
    if not hasattr(value, "isoformat"):
        return value
    moment: datetime = value
    exact = moment.timestamp() * 1000
    whole = math.ceil(exact) + 1 if up else math.floor(exact) - 1
    shown = pl.Series([whole]).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return shown[0]
