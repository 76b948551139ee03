"""Spans as Parquet, as `tracelake export *.parquet` and History write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.columns import checked_columns
from tracelake.importers.rows import STORED, check_columns, events_of
from tracelake.schema import SPANS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

MAGIC = b"PAR1"
#: Rows decoded at once: a row may hold a long conversation.
BATCH_ROWS = 64
#: Read ahead of each column; whole row groups never stand in memory.
_BUFFER_BYTES = 256 << 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(paths: Sequence[Path], now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of every row.

    Raises:
        ImportFailed: The file is damaged, cut short, or no table of spans.
        OSError: The file cannot be read.
    """
    (path,) = paths
    for number, row in enumerate(_rows(path), 1):
        try:
            events = events_of(row, now=now)
        except ValueError as error:
            raise ImportFailed(f"{path}: row {number}: {error}") from error
        for event in events:
            yield f"row {number}", event


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as source:
        try:
            file = pq.ParquetFile(
                source, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
            )
            schema = _checked(path, file.schema_arrow)
            times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
            numbers = pa.schema(
                [pa.field(f.name, pa.int64()) if f.name in times else f for f in schema]
            )
            for batch in file.iter_batches(BATCH_ROWS, columns=schema.names):
                # times as numbers: pyarrow would load pandas to make datetimes of them
                for row in batch.cast(schema).cast(numbers).to_pylist():
                    for name in times:
                        if row[name] is not None:
                            row[name] = _EPOCH + timedelta(microseconds=row[name])
                    yield row
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            if isinstance(error, ImportFailed):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ImportFailed(f"{path}: cannot be read as Parquet: {reason}") from error


def _checked(path: Path, found: pa.Schema) -> pa.Schema:
    try:
        check_columns(found.names)
    except ValueError as error:
        raise ImportFailed(f"{path}: {error}") from error
    return checked_columns(path, found, SPANS, STORED)
