"""One span as the events that fold to it: how a row of `spans` goes back into a lake.

    check_columns(names)                raises ValueError when they cannot be those of spans
    events_of(row, now=…) -> events     raises ValueError when a value cannot be its column's

Invariants:
- Folding the events gives the row again, in every column but `revision`, which storage decides.
- A fact that the lake learned after the span had ended outlives an import of the older row.
- A span that was running is still running when it is imported; nobody will tell of its end, so that
  it is given up as lost as late as any other from then on.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tracelake.model import ENDED, KINDS, STATUSES, is_valid_id
from tracelake.schema import SPANS
from tracelake.storage.columns import is_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracelake.schema import DType

#: Columns that storage decides anew.
STORED = frozenset({"revision", "date"})
NEEDED = ("trace_id", "span_id", "start_time", "status")
_IDS = ("parent_id", "duplicate_of", "original_span_id", "forked_from_trace_id")
_ENVELOPE = frozenset({"trace_id", "span_id", "parent_id", "agent_name"})
_DTYPES: dict[str, DType] = {column.name: column.dtype for column in SPANS.columns}
_MEANT: dict[DType, str] = {
    "string": "text",
    "json": "JSON",
    "timestamp": "a time",
    "float": "a finite number",
    "int": "a whole number",
    "bool": "true or false",
}


def check_columns(names: Iterable[str]) -> None:
    """Whether these may be the columns of spans; older versions had fewer.

    Raises:
        ValueError: One is unknown, or one is missing that every span has.
    """
    given = set(names)
    if missing := [name for name in NEEDED if name not in given]:
        raise ValueError(f"is no span: {' and '.join(missing)} missing")
    if unknown := sorted(given - set(SPANS.names)):
        raise ValueError(
            f"has unknown columns ({', '.join(unknown[:5])}): upgrade tracelake if a newer one "
            "wrote it"
        )


def events_of(row: Mapping[str, Any], *, now: datetime) -> list[dict[str, Any]]:
    """The events of one row, one for a span that has ended.

    Args:
        row: Columns of `spans`: aware datetimes, JSON columns as text; absent ones are null.
        now: When the import takes place.

    Raises:
        ValueError: A value is not what its column holds.
    """
    _check(row)
    start, end, status = row["start_time"], row.get("end_time"), row["status"]
    data = {
        name: value
        for name, value in row.items()
        if value is not None and name not in _ENVELOPE and name not in STORED
    }
    if status in ENDED and end == start and row.get("duration_ms") is None:
        # it ended, nobody knows after how long: the fold says so of an end without a start
        del data["start_time"], data["end_time"]
    event = {
        "event_type": "span",
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "parent_id": row.get("parent_id"),
        "timestamp": end or start,
        "agent_name": row.get("agent_name"),
        "data": data,
    }
    if status != "running":
        return [event]
    return [event, {**event, "agent_name": None, "timestamp": now, "data": {"status": "running"}}]


def _check(row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if value is not None and name not in STORED and not _fits(_DTYPES[name], value):
            raise ValueError(f"{name} is not {_MEANT[_DTYPES[name]]}: {_shown(value)}")
    for name in NEEDED:
        if row[name] is None:
            raise ValueError(f"{name} is null")
    for name in ("trace_id", "span_id"):
        if not is_valid_id(row[name]):
            raise ValueError(f"{name} is no id: {_shown(row[name])}")
    for name in _IDS:
        if row.get(name) is not None and not is_valid_id(row[name]):
            raise ValueError(f"{name} is no id: {_shown(row[name])}")
    if row["status"] not in STATUSES:
        raise ValueError(f"status is unknown: {_shown(row['status'])}")
    if row.get("kind") is not None and row["kind"] not in KINDS:
        raise ValueError(f"kind is unknown: {_shown(row['kind'])}")
    if row.get("attributes") is not None and not row["attributes"].lstrip().startswith("{"):
        raise ValueError("attributes is no JSON object")


def _fits(dtype: DType, value: Any) -> bool:
    match dtype:
        case "string":
            return isinstance(value, str)
        case "json":
            return isinstance(value, str) and is_json(value)
        case "timestamp":
            return isinstance(value, datetime) and value.tzinfo is not None
        case "float":
            return type(value) in {int, float} and math.isfinite(value)
        case "int":
            return type(value) is int and -(2**63) <= value < 2**63
        case "bool":
            return isinstance(value, bool)
        case _:
            return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
