"""Whether the columns of a Parquet file can be those of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.errors import ImportFailed
from tracelake.schema import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pyarrow as pa

    from tracelake.schema import Table


def checked_columns(
    path: Path, found: pa.Schema, table: Table, left_out: Collection[str] = ("date",)
) -> pa.Schema:
    """The columns to read, in the order of the file, with the types that they have in the lake.

    Args:
        path: For messages.
        found: Columns of the file; older versions had fewer.
        table: What they are to be.
        left_out: Columns that storage decides anew.

    Raises:
        ImportFailed: One is unknown, there twice, or of another type.
    """
    import pyarrow as pa

    if len(set(found.names)) < len(found.names):
        raise ImportFailed(f"{path}: two columns have one name")
    wanted = arrow_schema(table)
    fields: list[pa.Field] = []
    for field in found:
        if field.name in left_out:
            continue
        if field.name not in wanted.names:
            raise ImportFailed(f"{path}: {table.name} has no column {field.name}")
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
    if types.is_binary(wanted):
        return types.is_binary(found) or types.is_large_binary(found) or types.is_binary_view(found)
    if types.is_timestamp(wanted):
        return types.is_timestamp(found) and found.tz is not None
    families = (types.is_floating, types.is_integer, types.is_boolean)
    return any(family(found) and family(wanted) for family in families)
