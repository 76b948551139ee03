"""The small tables (`runs`, `annotations`, `checkpoints`, `views`): a few rows, written at once.

Each write is one Delta commit; a later row of the same key replaces the earlier one. They need no
hot tier: a person or a program start writes them, not every event.

Invariant: a row written is never changed; taking something back is a later row with `deleted`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from tracelake import schema
from tracelake.errors import LakeError
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
    append(DeltaStore(location.tables, table, storage_options(location)), frame, {})


def scan_records(location: Location, name: str) -> pl.LazyFrame:
    """The rows that count: the last of each key, without those taken back.

    Raises:
        LakeError: There is no such table.
    """
    table = _table(name)
    rows = DeltaStore(location.tables, table, storage_options(location)).snapshot().scan()
    order = ["start_time", *(["end_time"] if "end_time" in table.names else [])]
    latest = rows.sort(order, nulls_last=False, maintain_order=True).unique(
        KEYS[name], keep="last", maintain_order=True
    )
    return (
        latest.filter(~pl.col("deleted").fill_null(value=False)) if _retractable(name) else latest
    )


def _retractable(name: str) -> bool:
    return "deleted" in schema.TABLES[name].names


def _table(name: str) -> schema.Table:
    if name not in KEYS:
        raise LakeError(f"{name!r} is not a table of records: use one of {', '.join(KEYS)}")
    return schema.TABLES[name]
