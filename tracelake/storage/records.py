"""The small tables (`runs`, `annotations`, `checkpoints`, `views`): a few rows, written at once.

Each write is one Delta commit; a later row of the same key replaces the earlier one. They need no
hot tier: a person or a program start writes them, not every event.

Invariants:
- A row written is never changed; taking something back is a later row with `deleted`.
- What speaks of a deleted trace is hidden with it, and removed by the seal that follows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from tracelake import schema
from tracelake.errors import LakeError
from tracelake.storage import tombstones
from tracelake.storage.options import storage_options
from tracelake.storage.rewrite import append
from tracelake.storage.table import DeltaStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracelake.config import Location

#: Table to the column that identifies a row.
KEYS = {
    "runs": "run_id",
    "annotations": "annotation_id",
    "checkpoints": "checkpoint_id",
    "views": "view_id",
}
#: Table to the column that names the trace of a row; a recorded run gives its trace its own id.
TRACE_OF = {"runs": "run_id", "annotations": "trace_id", "checkpoints": "trace_id"}


def write_records(location: Location, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Commit rows of a small table.

    Args:
        location: The lake.
        name: One of `KEYS`.
        rows: Columns by name; values of JSON columns as values, `date` is derived from
            `start_time`.

    Raises:
        LakeError: There is no such table.
    """
    table = _table(name)
    json_columns = {column.name for column in table.columns if column.dtype == "json"}
    prepared = [
        {
            column: json.dumps(value) if column in json_columns and value is not None else value
            for column, value in {**dict.fromkeys(table.names), **row}.items()
        }
        | {"date": row["start_time"].date()}
        for row in rows
    ]
    frame = pl.DataFrame(prepared, schema=schema.polars_schema(table))
    append(store_of(location, name), frame, {})


def store_of(location: Location, name: str) -> DeltaStore:
    """The files and the log of a small table.

    Raises:
        LakeError: There is no such table.
    """
    return DeltaStore(location.tables, _table(name), storage_options(location))


def scan_records(store: DeltaStore, marks: DeltaStore) -> pl.LazyFrame:
    """The rows of a small table that count: the last of each key, without those taken back.

    Args:
        store: The table.
        marks: The table of what is deleted.
    """
    table = store.table
    name = table.name
    rows = store.snapshot().scan()
    if name in TRACE_OF:
        rows = tombstones.read(marks.snapshot()).visible(rows, TRACE_OF[name])
    order = ["start_time", *(["end_time"] if "end_time" in table.names else [])]
    latest = rows.sort(order, nulls_last=False, maintain_order=True).unique(
        KEYS[name], keep="last", maintain_order=True
    )
    if "deleted" not in table.names:
        return latest
    return latest.filter(~pl.col("deleted").fill_null(value=False))


def _table(name: str) -> schema.Table:
    if name not in KEYS:
        raise no_table_of_records(name)
    return schema.TABLES[name]


def no_table_of_records(name: str) -> LakeError:
    """What to raise where a table is none of these."""
    return LakeError(f"{name!r} is not a table of records: use one of {', '.join(KEYS)}")
