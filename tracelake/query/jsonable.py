"""Rows as JSON, the same everywhere: JSON columns nested, times ISO with `Z`, bytes as text."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tracelake.model import to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.schema import Table


def jsonable_row(row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """One row of a table as JSON-able values.

    Args:
        row: Column name to value as polars gives it (aware datetimes, dates, bytes, str).
        table: Says which columns hold JSON text.

    Returns:
        The same keys: JSON text parsed (text that is not JSON stays text), times as ISO 8601 with
        microseconds and `Z`, dates as `YYYY-MM-DD`, bytes as UTF-8 text or, where they are not
        UTF-8, as `{"base64": …}`.
    """
    json_columns = {column.name for column in table.columns if column.dtype == "json"}
    return {name: _jsonable(value, name in json_columns) for name, value in row.items()}


def _jsonable(value: Any, is_json: bool) -> Any:
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if is_json and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
