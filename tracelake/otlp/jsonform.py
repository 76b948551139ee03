"""OTLP as JSON, in the dialects that are seen.

Ids in hexadecimal digits or base64, numbers as text or not, enumerations as numbers or names,
fields in camel or snake case, one request or a list of them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from tracelake.otlp.spans import (
    Attributes,
    Link,
    LogRecord,
    OtlpRefused,
    OtlpSpan,
    Scope,
    SpanBatch,
    SpanEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEX: Final = re.compile(r"[0-9a-fA-F]*\Z")
_DEPTH_MAX: Final = 64
_STATUS: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_INT64: Final = 2**63


def read_spans(body: bytes) -> SpanBatch:
    """The spans of an `ExportTraceServiceRequest` in JSON.

    Raises:
        OtlpRefused: The body is no such document.
    """
    batch = SpanBatch()
    for scope, span in _items(body, ("resourceSpans", "scopeSpans", "spans")):
        batch.take(_span(span, scope))
    return batch


def read_logs(body: bytes) -> list[LogRecord]:
    """The records of an `ExportLogsServiceRequest` in JSON.

    Raises:
        OtlpRefused: The body is no such document.
    """
    found = _items(body, ("resourceLogs", "scopeLogs", "logRecords"))
    return [_record(record, scope) for scope, record in found]


def check_metrics(body: bytes) -> None:
    """Make sure that a body can be an `ExportMetricsServiceRequest` in JSON.

    Raises:
        OtlpRefused: It cannot.
    """
    _documents(body)


def write_response(rejected: int, why: str, *, what: str) -> bytes:
    """An `Export…ServiceResponse` in JSON.

    Args:
        rejected: How many items were not taken.
        why: What is wrong with the first of them.
        what: `Spans`, `LogRecords` or `DataPoints`.
    """
    if not rejected and not why:
        return b"{}"
    partial = {f"rejected{what}": str(rejected), "errorMessage": why}
    return orjson.dumps({"partialSuccess": partial})


def write_status(code: int, message: str) -> bytes:
    """A `google.rpc.Status` in JSON."""
    return orjson.dumps({"code": code, "message": message})


def _documents(body: bytes) -> list[dict[str, Any]]:
    try:
        found: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise OtlpRefused(400, f"the body is no JSON: {error}") from error
    documents = found if isinstance(found, list) else [found]
    if not all(isinstance(document, dict) for document in documents):
        raise OtlpRefused(400, "the body is no OTLP request: a JSON object is one")
    return documents


def _items(body: bytes, path: tuple[str, str, str]) -> Iterator[tuple[Scope, dict[str, Any]]]:
    outer, middle, inner = path
    for document in _documents(body):
        for group in _objects(_get(document, outer)):
            resource = _attributes(_object(group.get("resource")).get("attributes"), 0)
            for scoped in _objects(_get(group, middle)):
                about = _object(scoped.get("scope"))
                scope = Scope(
                    resource,
                    _text(about.get("name")),
                    _text(about.get("version")),
                    _attributes(about.get("attributes"), 0),
                )
                for item in _objects(_get(scoped, inner)):
                    yield scope, item


def _span(span: dict[str, Any], scope: Scope) -> OtlpSpan:
    status = _object(span.get("status"))
    code = status.get("code")
    parent = _id(_get(span, "parentSpanId"), 8)
    return OtlpSpan(
        _id(_get(span, "traceId"), 16),
        _id(_get(span, "spanId"), 8),
        parent if parent.strip("0") else None,
        _text(span.get("name")),
        _int(_get(span, "startTimeUnixNano")),
        _int(_get(span, "endTimeUnixNano")),
        scope,
        _attributes(span.get("attributes"), 0),
        _STATUS.get(code, 0) if isinstance(code, str) else _int(code),
        _text(status.get("message")),
        tuple(
            SpanEvent(
                _text(event.get("name")),
                _int(_get(event, "timeUnixNano")),
                _attributes(event.get("attributes"), 0),
            )
            for event in _objects(span.get("events"))
        ),
        tuple(
            Link(
                _id(_get(link, "traceId"), 16),
                _id(_get(link, "spanId"), 8),
                _attributes(link.get("attributes"), 0),
            )
            for link in _objects(span.get("links"))
        ),
        _int(_get(span, "droppedAttributesCount")),
    )


def _record(record: dict[str, Any], scope: Scope) -> LogRecord:
    trace_id, span_id = _id(_get(record, "traceId"), 16), _id(_get(record, "spanId"), 8)
    return LogRecord(
        _int(_get(record, "timeUnixNano")) or _int(_get(record, "observedTimeUnixNano")),
        _text(_get(record, "eventName")),
        _value(record.get("body"), 0),
        scope,
        trace_id if len(trace_id) == 32 and trace_id.strip("0") else None,
        span_id if len(span_id) == 16 and span_id.strip("0") else None,
        _attributes(record.get("attributes"), 0),
    )


def _get(holder: dict[str, Any], name: str) -> Any:
    """A field by its camel-case name, or the same in snake case."""
    found = holder.get(name)
    return holder.get(_snake(name)) if found is None else found


def _snake(name: str) -> str:
    return _SNAKE.get(name) or re.sub(r"(?=[A-Z])", "_", name).lower()


_SNAKE: Final[dict[str, str]] = {
    name: re.sub(r"(?=[A-Z])", "_", name).lower()
    for name in (
        "resourceSpans",
        "scopeSpans",
        "traceId",
        "spanId",
        "parentSpanId",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "timeUnixNano",
        "droppedAttributesCount",
    )
}


def _id(value: Any, size: int) -> str:
    """An id as hexadecimal digits; what is none comes back unusable, never raises."""
    if not isinstance(value, str) or len(value) > 64:
        return ""
    if len(value) == size * 2 and _HEX.match(value):
        return value.lower()
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""


def _attributes(pairs: Any, depth: int) -> Attributes:
    return {
        pair["key"]: value
        for pair in _objects(pairs)
        if isinstance(pair.get("key"), str)
        and (value := _value(pair.get("value"), depth)) is not None
    }


def _value(value: Any, depth: int) -> Any:
    if not isinstance(value, dict) or depth > _DEPTH_MAX:
        return value if isinstance(value, str | int | float | bool) else None
    for name, content in value.items():
        match name:
            case "stringValue" | "string_value":
                return _text(content)
            case "intValue" | "int_value":
                return _int(content)
            case "boolValue" | "bool_value":
                return bool(content)
            case "doubleValue" | "double_value":
                return _float(content)
            case "arrayValue" | "array_value":
                values = _object(content).get("values")
                items: list[Any] = values if isinstance(values, list) else []
                return [_value(item, depth + 1) for item in items]
            case "kvlistValue" | "kvlist_value":
                return _attributes(_object(content).get("values"), depth + 1)
            case "bytesValue" | "bytes_value":
                return _text(content)
            case _:
                continue
    return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _int(value: Any) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else int(float(value or 0))
    except (ValueError, TypeError, OverflowError):
        return 0
    return number if -_INT64 <= number < 2 * _INT64 else 0


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None
