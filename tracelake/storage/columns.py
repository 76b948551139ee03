"""What one event says about its span, as column values: the pure reading half of the fold.

    read_event(event) -> Reading(values, attributes, status, opens, closes, …)

Invariant: nothing an event holds raises or is lost; a value its column cannot take goes to
`attributes` under the same name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from tracelake.model import KINDS, STATUSES, TERMINAL, from_iso, is_valid_id
from tracelake.schema import SPANS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.schema import DType

#: Columns that `data` does not set: the key, and what the fold itself decides.
_DECIDED = frozenset({"trace_id", "span_id", "status", "attributes", "revision", "date"})
_DTYPES: dict[str, DType] = {
    column.name: column.dtype for column in SPANS.columns if column.name not in _DECIDED
}
_ENVELOPE = frozenset(
    {"event_type", "trace_id", "span_id", "timestamp", "data", "parent_id", "agent_name", "_at"}
)
_TOKENS = {
    "input": "tokens_input",
    "output": "tokens_output",
    "cache_read": "tokens_cache_read",
    "cache_write": "tokens_cache_write",
    "reasoning": "tokens_reasoning",
}
_KIND = {
    "agent_start": "agent",
    "agent_end": "agent",
    "llm_call": "llm",
    "tool_call": "tool",
}
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Reading:
    """What one event says.

    Attributes:
        values: Column values, of the column's type, none of them None.
        attributes: Keys without a column, or with a value that their column cannot take.
        status: Status it states, None when it states none.
        opens: It opens the span: `timestamp` is the start.
        closes: It closes the span: `timestamp` is the end if something else opened it.
        call: It is an `llm_call` or `tool_call`, which alone and without status is finished.
    """

    values: dict[str, Any]
    attributes: dict[str, Any]
    status: str | None
    opens: bool
    closes: bool
    call: bool


def read_event(event: Mapping[str, Any]) -> Reading:
    """Read a decoded event (`timestamp` a datetime, `data` a dict)."""
    values: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    event_type: str = event["event_type"]
    kind = _KIND.get(event_type)
    if kind is not None:
        values["kind"] = kind
    for key in event:
        if key not in _ENVELOPE:
            _take(key, event[key], values, attributes)
    for key in ("parent_id", "agent_name"):
        _take(key, event.get(key), values, attributes)
    data: Mapping[str, Any] = event["data"]
    for key, value in data.items():
        _take(key, value, values, attributes)
    status = _status(data.get("status"), attributes)
    if status is None and event_type == "agent_start":
        status = "running"
    elif status is None and event_type == "agent_end":
        status = "error" if values.get("error") or values.get("error_type") else "ok"
    return Reading(
        values,
        attributes,
        status,
        opens=event_type == "agent_start" or (status == "running" and event_type != "agent_end"),
        closes=event_type == "agent_end" or status in TERMINAL,
        call=event_type in {"llm_call", "tool_call"},
    )


def _status(value: Any, attributes: dict[str, Any]) -> str | None:
    if value is None or (isinstance(value, str) and value in STATUSES):
        return value
    attributes["status"] = value
    return None


def _take(key: str, value: Any, values: dict[str, Any], attributes: dict[str, Any]) -> None:
    if value is None or key == "status":
        return
    if key == "tokens" and isinstance(value, dict):
        for name, count in value.items():
            column = _TOKENS.get(name)
            _take(column or f"tokens.{name}", count, values, attributes)
        return
    if key == "attributes":
        attributes.update(_object(value))
        return
    dtype = _DTYPES.get(key)
    typed = None if dtype is None else coerce(key, dtype, value)
    if typed is None:
        attributes[key] = value
    else:
        values[key] = typed


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {"attributes": value}
    return value if isinstance(value, dict) else {"attributes": value}


def coerce(name: str, dtype: DType, value: Any) -> Any:
    """A value as its column's type, None when it cannot be one."""
    if name == "kind":
        return value if isinstance(value, str) and value in KINDS else None
    if name in {"parent_id", "duplicate_of", "original_span_id", "forked_from_trace_id"}:
        return value if is_valid_id(value) else None
    match dtype:
        case "string":
            return value if isinstance(value, str) else _json(value)
        case "json":
            return value if isinstance(value, str) and is_json(value) else _json(value)
        case "float":
            return _number(value)
        case "int":
            number = _number(value) if not isinstance(value, int) else value
            if number is None or isinstance(value, bool) or number != int(number):
                return None
            return int(number) if -_INT64 <= number < _INT64 else None
        case "bool":
            return value if isinstance(value, bool) else {0: False, 1: True}.get(_small(value))
        case "timestamp":
            return _moment(value)
        case _:
            return None


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def is_json(text: str) -> bool:
    """Whether a text is JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _small(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        return None
    try:
        return from_iso(value)
    except (ValueError, OverflowError):
        return None
