"""OTLP requests written by hand, as JSON and as protobuf."""

from __future__ import annotations

import json
from typing import Any

from tracelake.otlp import protobuf

TRACE = "0af7651916cd43dd8448eb211c80319c"
START_NS = 1_795_320_000_000_000_000


def span_id(number: int) -> str:
    """A span id, the same for the same number."""
    return f"{number:016x}"


def span(
    number: int,
    name: str = "span",
    parent: int | None = None,
    *,
    trace: str = TRACE,
    start_ms: float = 0,
    end_ms: float = 100,
    **more: Any,
) -> dict[str, Any]:
    """One span; `attributes` by name, `status`, `events` as in the JSON form."""
    attributes = more.pop("attributes", {})
    return {
        "traceId": trace,
        "spanId": span_id(number),
        "parentSpanId": "" if parent is None else span_id(parent),
        "name": name,
        "startTimeUnixNano": str(START_NS + int(start_ms * 1e6)),
        "endTimeUnixNano": str(START_NS + int(end_ms * 1e6)),
        "attributes": pairs(attributes),
        **more,
    }


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP writes them."""
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def any_value(value: Any) -> dict[str, Any]:
    """A value as OTLP writes it in JSON."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": pairs(value)}}
        case _:
            return {"stringValue": str(value)}


def request(
    *spans: dict[str, Any], scope: str = "tests", service: str = "checkout"
) -> dict[str, Any]:
    """An `ExportTraceServiceRequest` as JSON."""
    resource = {"attributes": pairs({"service.name": service})}
    scoped = {"scope": {"name": scope, "version": "1.2"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}


def as_json(*spans: dict[str, Any], **about: str) -> bytes:
    """A request in JSON."""
    return json.dumps(request(*spans, **about)).encode()


def as_protobuf(*spans: dict[str, Any], **about: str) -> bytes:
    """The same request in protobuf."""
    return to_protobuf("TraceRequest", request(*spans, **about))


def to_protobuf(name: str, document: dict[str, Any]) -> bytes:
    """A document of the JSON form as a protobuf message."""
    message = protobuf._CLASSES[name]()
    _fill(message, document)
    return message.SerializeToString()


def _fill(message: Any, document: dict[str, Any]) -> None:
    fields = {field.json_name: field for field in message.DESCRIPTOR.fields}
    for key, value in document.items():
        field = fields[key]
        many = value if isinstance(value, list) else [value]
        for item in many:
            if field.message_type is None:
                setattr(message, field.name, _scalar(field, item))
            elif isinstance(value, list):
                _fill(getattr(message, field.name).add(), item)
            else:
                getattr(message, field.name).SetInParent()
                _fill(getattr(message, field.name), item)


def _scalar(field: Any, value: Any) -> Any:
    if field.type == field.TYPE_BYTES:
        return bytes.fromhex(value)
    is_number = field.type in {field.TYPE_INT64, field.TYPE_FIXED64}
    return int(value) if is_number else value
