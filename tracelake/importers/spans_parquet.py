"""Spans as Parquet, as `tracelake export *.parquet` and History write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.rows import STORED, check_columns, events_of
from tracelake.schema import SPANS, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

MAGIC = b"PAR1"
#: Rows decoded at once: a row may hold a long conversation.
BATCH_ROWS = 64
#: Read ahead of each column; whole row groups never stand in memory.
_BUFFER_BYTES = 256 << 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(path: Path, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of every row.

    Raises:
        ImportFailed: The file is damaged, cut short, or no table of spans.
        OSError: The file cannot be read.
    """
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
    """The columns to read, in the order of the file, with the types that they have in the lake."""
    import pyarrow as pa

    if len(set(found.names)) < len(found.names):
        raise ImportFailed(f"{path}: two columns have one name")
    try:
        check_columns(found.names)
    except ValueError as error:
        raise ImportFailed(f"{path}: {error}") from error
    wanted = arrow_schema(SPANS)
    fields: list[pa.Field] = []
    for field in found:
        if field.name in STORED:
            continue
        target = wanted.field(field.name)
        if not _is_kin(field.type, target.type):
            raise ImportFailed(f"{path}: column {field.name} holds {field.type}, not {target.type}")
        fields.append(target)
    return pa.schema(fields)


def _is_kin(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a type differs in width or encoding only."""
    from pyarrow import types

    if types.is_null(found):
        return True
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_string(wanted):
        return types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    if types.is_timestamp(wanted):
        return types.is_timestamp(found) and found.tz is not None
    families = (types.is_floating, types.is_integer, types.is_boolean)
    return any(family(found) and family(wanted) for family in families)
