"""What a bundle holds besides its spans: exchanges, recorded runs, notes and checkpoints.

    check(path, traces) -> None      read all of it and find it good
    load(lake, path, …) -> rows      write what the lake does not have yet
    rows(path, table) -> int         how many it holds

The exchanges of a lake with patterns to redact stay out: they are bytes, compressed as they came.

Invariants:
- Rows speak of traces of the same file; every value is what its column holds.
- Importing again changes nothing: exchanges are known by their id, the others by key and time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tracelake.errors import ImportFailed
from tracelake.importers.columns import checked_columns
from tracelake.model import is_valid_id
from tracelake.schema import EXCHANGES, TABLES
from tracelake.storage.bundle import BadBundle, read_manifest, read_part
from tracelake.storage.records import KEYS, TRACE_OF

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import polars as pl

    from tracelake.lake import Lake
    from tracelake.schema import Table

#: Rows decoded at once: a row may hold the bodies of a long conversation.
_BATCH_ROWS = 64
_OUTCOMES = frozenset(
    {"ok", "client_disconnected", "upstream_unreachable", "upstream_died", "refused", "lost"}
)
#: What a JSON column must hold for those who read it; others hold any object.
_PAIRS = frozenset({"request_headers", "response_headers"})
_TABLES = ("exchanges", "runs", "annotations", "checkpoints")


def check(path: Path, traces: Collection[str]) -> None:
    """Read every further table of a Parquet file to its end.

    Args:
        path: The file; one that is no bundle holds none.
        traces: The traces of its spans.

    Raises:
        ImportFailed: One is damaged, or holds what cannot be.
    """
    for name in _TABLES:
        for frame in _frames(path, name):
            _check_rows(path, TABLES[name], frame, traces)


def rows(path: Path, name: str) -> int:
    """How many rows of a further table a file that was found good holds."""
    manifest = read_manifest(path)
    return manifest.rows(name) if manifest else 0


def load(
    lake: Lake, path: Path, *, deleted: Collection[str], without: Collection[str] = ()
) -> dict[str, int]:
    """Write the further tables of a Parquet file that was found good.

    Args:
        lake: Where to.
        path: The file.
        deleted: Traces that stay away.
        without: Tables that stay away.

    Returns:
        New rows of each table that got any.
    """
    import polars as pl

    written: dict[str, int] = {}
    for name in _TABLES:
        if name in without:
            continue
        owner = TRACE_OF.get(name, "trace_id")
        for frame in _frames(path, name):
            kept = frame.filter(~pl.col(owner).is_in(list(deleted)))
            fresh = _new_exchanges(lake, kept) if name == EXCHANGES.name else _new(lake, name, kept)
            if fresh.height:
                _write(lake, name, fresh)
                written[name] = written.get(name, 0) + fresh.height
    return written


def _frames(path: Path, name: str) -> Iterator[pl.DataFrame]:
    """The rows of a table in small frames, with the columns of the schema.

    Raises:
        ImportFailed: The file is damaged.
    """
    import polars as pl
    import pyarrow as pa

    try:
        manifest = read_manifest(path)
        for part in manifest.parts.get(name, ()) if manifest else ():
            file = read_part(path, part)
            columns = checked_columns(path, file.schema_arrow, TABLES[name])
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns.names):
                frame = pl.DataFrame(batch.cast(columns))
                absent = [c for c in TABLES[name].names if c not in frame.columns and c != "date"]
                frame = frame.with_columns(pl.lit(None).alias(column) for column in absent)
                day = pl.col("start_time").dt.date().alias("date")
                yield frame.with_columns(day).select(TABLES[name].names)
    except (BadBundle, pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImportFailed(f"{path}: table {name}: {reason}") from error


def _check_rows(path: Path, table: Table, frame: pl.DataFrame, traces: Collection[str]) -> None:
    for row in frame.iter_rows(named=True):
        try:
            _check_row(table, row, traces)
        except ValueError as error:
            raise ImportFailed(f"{path}: table {table.name}: {error}") from error


def _check_row(table: Table, row: dict[str, Any], traces: Collection[str]) -> None:
    key = KEYS.get(table.name, "span_id")
    if not is_valid_id(row[key]):
        raise ValueError(f"{key} is no id: {str(row[key])[:60]!r}")
    if row["start_time"] is None:
        raise ValueError(f"start_time of {row[key]} is null")
    if "trace_id" in row and row["trace_id"] not in traces:
        raise ValueError(f"{row[key]} speaks of a trace that the file does not hold")
    for column in table.columns:
        if column.dtype == "json" and row[column.name] is not None:
            _check_json(column.name, row[column.name])
    if table is EXCHANGES and not (
        row["method"] and row["path"] and row["upstream"] and row["outcome"] in _OUTCOMES
    ):
        raise ValueError(f"{row[key]} is no exchange that ended")
    if table.name == "runs" and not row["command"]:
        raise ValueError(f"{row[key]} has no command")


def _check_json(name: str, text: str) -> None:
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not JSON") from error
    if name in _PAIRS:
        fits = isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
            for pair in value
        )
    elif name == "command":
        fits = isinstance(value, list) and all(isinstance(word, str) for word in value)
    else:
        fits = isinstance(value, dict) or value is None
    if not fits:
        raise ValueError(f"{name} does not hold what belongs there: {text[:60]}")


def _new_exchanges(lake: Lake, frame: pl.DataFrame) -> pl.DataFrame:
    """Those that the lake has not, each once."""
    import polars as pl

    frame = frame.unique("span_id", keep="first", maintain_order=True)
    days, ids = frame["date"].unique().to_list(), frame["span_id"].to_list()
    known = lake.answer(
        lambda: (
            lake.exchanges()
            .filter(pl.col("date").is_in(days), pl.col("span_id").is_in(ids))
            .select("span_id")
            .collect()
        )
    )
    return frame.join(known, on="span_id", how="anti")


def _new(lake: Lake, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Those of which the lake has no row as late: written later, or with an end."""
    import polars as pl

    key = KEYS[name]
    said = [column for column in ("start_time", "end_time") if column in frame.columns]
    known = lake.answer(lambda: lake.records(name).select(key, *said).collect())
    both = frame.join(known, on=key, how="left", suffix="_known", maintain_order="left")
    later = pl.col("start_time_known").is_null() | (
        pl.col("start_time") > pl.col("start_time_known")
    )
    if "end_time" in said:
        later |= pl.col("end_time_known").is_null() & pl.col("end_time").is_not_null()
    return both.filter(later).select(frame.columns)


def _write(lake: Lake, name: str, frame: pl.DataFrame) -> None:
    from tracelake.storage.options import storage_options
    from tracelake.storage.rewrite import append
    from tracelake.storage.table import DeltaStore

    store = DeltaStore(lake.location.tables, TABLES[name], storage_options(lake.location))
    append(store, frame.sort(TABLES[name].sort), {})
