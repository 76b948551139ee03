"""How rows become a Parquet file: the layout that lets one trace be read without its neighbours.

    write_parquet(rows, table, target)     one file, rows already sorted
    plan_row_groups(units) / plan_pages(units, page_bytes)   where to cut: pure

Wide columns (`Table.wide`: prompts, answers, bodies) are cut into pages where one trace ends and
the next begins, as soon as a page holds `PAGE_BYTES`. A reader that wants one trace skips the other
pages without decompressing them, and the history that a trace's calls repeat still stands in one
page, where zstd makes it almost free.

Invariants:
- A trace of up to `UNIT_ROWS` spans stands in one row group, and a row group holds no more than
  `Table.row_group_rows` rows and about `ROW_GROUP_BYTES` before compression.
- A page of a wide column that holds `PAGE_BYTES` or more of one trace holds nothing else of weight.
- Every page carries a checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from tracelake.schema import Table

COMPRESSION_LEVEL = 3
ROW_GROUP_BYTES = 64 << 20
PAGE_BYTES = 512 << 10
#: A longer trace is cut here: even one endless trace is read and written in bounded pieces.
UNIT_ROWS = 1024
#: Columns whose bounds stand in the footer and let readers pass over row groups.
_BOUNDED = frozenset({"trace_id", "start_time", "end_time", "revision"})
_UNIT = "unit"


@dataclass(frozen=True, slots=True)
class Unit:
    """Neighbouring rows of one trace, which stay together.

    Attributes:
        rows: How many.
        sizes: Bytes of each wide column, in the table's order, before compression.
    """

    rows: int
    sizes: tuple[int, ...]


def plan_row_groups(
    units: Sequence[Unit], rows_max: int, bytes_max: int = ROW_GROUP_BYTES
) -> list[list[Unit]]:
    """Units by row group, in order; a unit is never split."""
    groups: list[list[Unit]] = []
    rows = held = 0
    for unit in units:
        size = sum(unit.sizes)
        if groups and rows + unit.rows <= rows_max and held + size <= bytes_max:
            groups[-1].append(unit)
            rows, held = rows + unit.rows, held + size
        else:
            groups.append([unit])
            rows, held = unit.rows, size
    return groups


def plan_pages(sizes: Sequence[tuple[int, int]], page_bytes: int = PAGE_BYTES) -> list[int]:
    """Rows of each page of one column.

    Args:
        sizes: (rows, bytes) of each unit.
        page_bytes: A page ends with the unit that fills it; a unit of this size begins a page of
            its own.
    """
    pages: list[int] = []
    rows = held = 0
    for unit_rows, size in sizes:
        if rows and (held >= page_bytes or (size >= page_bytes and held)):
            pages.append(rows)
            rows = held = 0
        rows, held = rows + unit_rows, held + size
    return [*pages, rows] if rows else pages


def write_parquet(
    rows: pl.DataFrame,
    table: Table,
    target: Path | IO[bytes] | pa.NativeFile,
    before_footer: Callable[[], Mapping[bytes, bytes]] | None = None,
) -> None:
    """Write one file.

    Args:
        rows: Columns of the table, sorted by `table.sort`; `date` stands in the path of a file of
            the lake, not in it.
        table: Says which columns are wide.
        target: A path, or a file open for writing, at its start.
        before_footer: Called when every row is written; may write more to the target, which no
            reader of the rows looks at, and gives meta data for the footer.
    """
    wide = [name for name in table.wide if name in rows.columns]
    times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    arrow = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": COMPRESSION_LEVEL,
        # a page ends where a piece of its column ends, see _in_pages
        "data_page_size": 1,
        "write_batch_size": 1 << 30,
        "use_dictionary": [name for name in rows.columns if name not in {*wide, *times}],
        # hardly one is like another: as differences they take a tenth, and are read twice as fast
        "column_encoding": dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        "write_statistics": [name for name in rows.columns if name in _BOUNDED],
        "write_page_index": True,
        "write_page_checksum": True,
        "store_schema": False,
    }
    with pq.ParquetWriter(target, arrow.schema, **options) as writer:
        start = 0
        for group in plan_row_groups(_units(rows, wide), table.row_group_rows):
            length = sum(unit.rows for unit in group)
            part = _in_pages(arrow.slice(start, length), wide, group)
            writer.write_table(part, row_group_size=length)
            start += length
        if before_footer is not None:
            writer.add_key_value_metadata(before_footer())


def _units(rows: pl.DataFrame, wide: Sequence[str]) -> list[Unit]:
    number = pl.int_range(pl.len())
    unit = pl.col("trace_id").rle_id() if "trace_id" in rows.columns else number
    sizes = [_length(name, dtype) for name, dtype in rows.select(wide).schema.items()]
    found = (
        rows.lazy()
        .select(unit.alias(_UNIT), *sizes)
        .with_columns(piece=number.over(_UNIT) // UNIT_ROWS)
        .group_by(_UNIT, "piece", maintain_order=True)
        .agg(pl.len().alias("rows"), pl.col(wide).sum())
        .collect()
    )
    return [Unit(row[2], row[3:]) for row in found.iter_rows()]


def _length(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    length = column.bin.size() if dtype == pl.Binary else column.str.len_bytes()
    return length.fill_null(0).cast(pl.Int64)


def _in_pages(part: pa.Table, wide: Sequence[str], units: Sequence[Unit]) -> pa.Table:
    """The same rows, each wide column in the pieces that become its pages."""
    columns: list[pa.ChunkedArray] = []
    for name in part.column_names:
        column = part[name]
        if name in wide:
            place = wide.index(name)
            pages = plan_pages([(unit.rows, unit.sizes[place]) for unit in units])
            column = pa.chunked_array(list(_cut(column, pages)), type=column.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=part.schema)


def _cut(column: pa.ChunkedArray, pages: Sequence[int]) -> Iterator[pa.Array]:
    whole = column.combine_chunks()
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    start = 0
    for rows in pages:
        yield whole.slice(start, rows)
        start += rows
