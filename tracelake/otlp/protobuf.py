"""OTLP as protobuf: the messages as a table, requests in, answers out.

The messages are built at import from the table below, in a pool of their own: no generated code
that has to fit the version of the runtime, and no clash with a program that has loaded the official
ones. Field numbers: github.com/open-telemetry/opentelemetry-proto, which never reuses one.
Fields that nothing here reads are left out of the table and skipped while parsing.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

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

#: Message to (field, number, type, mark): `*` for repeated, `?` for a member of the one-of `value`.
#: A type with a capital letter is another message.
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str, str], ...]]] = {
    "AnyValue": (
        ("string_value", 1, "string", "?"),
        ("bool_value", 2, "bool", "?"),
        ("int_value", 3, "int64", "?"),
        ("double_value", 4, "double", "?"),
        ("array_value", 5, "ArrayValue", "?"),
        ("kvlist_value", 6, "KeyValueList", "?"),
        ("bytes_value", 7, "bytes", "?"),
    ),
    "ArrayValue": (("values", 1, "AnyValue", "*"),),
    "KeyValueList": (("values", 1, "KeyValue", "*"),),
    "KeyValue": (("key", 1, "string", ""), ("value", 2, "AnyValue", "")),
    "Resource": (("attributes", 1, "KeyValue", "*"),),
    "InstrumentationScope": (
        ("name", 1, "string", ""),
        ("version", 2, "string", ""),
        ("attributes", 3, "KeyValue", "*"),
    ),
    "Event": (
        ("time_unix_nano", 1, "fixed64", ""),
        ("name", 2, "string", ""),
        ("attributes", 3, "KeyValue", "*"),
    ),
    "Link": (
        ("trace_id", 1, "bytes", ""),
        ("span_id", 2, "bytes", ""),
        ("attributes", 4, "KeyValue", "*"),
    ),
    "SpanStatus": (("message", 2, "string", ""), ("code", 3, "int32", "")),
    "Span": (
        ("trace_id", 1, "bytes", ""),
        ("span_id", 2, "bytes", ""),
        ("parent_span_id", 4, "bytes", ""),
        ("name", 5, "string", ""),
        ("start_time_unix_nano", 7, "fixed64", ""),
        ("end_time_unix_nano", 8, "fixed64", ""),
        ("attributes", 9, "KeyValue", "*"),
        ("dropped_attributes_count", 10, "uint32", ""),
        ("events", 11, "Event", "*"),
        ("links", 13, "Link", "*"),
        ("status", 15, "SpanStatus", ""),
    ),
    "ScopeSpans": (("scope", 1, "InstrumentationScope", ""), ("spans", 2, "Span", "*")),
    "ResourceSpans": (("resource", 1, "Resource", ""), ("scope_spans", 2, "ScopeSpans", "*")),
    "TraceRequest": (("resource_spans", 1, "ResourceSpans", "*"),),
    "Record": (
        ("time_unix_nano", 1, "fixed64", ""),
        ("body", 5, "AnyValue", ""),
        ("attributes", 6, "KeyValue", "*"),
        ("trace_id", 9, "bytes", ""),
        ("span_id", 10, "bytes", ""),
        ("observed_time_unix_nano", 11, "fixed64", ""),
        ("event_name", 12, "string", ""),
    ),
    "ScopeLogs": (("scope", 1, "InstrumentationScope", ""), ("log_records", 2, "Record", "*")),
    "ResourceLogs": (("resource", 1, "Resource", ""), ("scope_logs", 2, "ScopeLogs", "*")),
    "LogsRequest": (("resource_logs", 1, "ResourceLogs", "*"),),
    "Unread": (),
    "MetricsRequest": (("resource_metrics", 1, "Unread", "*"),),
    "PartialSuccess": (("rejected", 1, "int64", ""), ("error_message", 2, "string", "")),
    "ExportResponse": (("partial_success", 1, "PartialSuccess", ""),),
    "RpcStatus": (("code", 1, "int32", ""), ("message", 2, "string", "")),
}
_FIELD: Any = descriptor_pb2.FieldDescriptorProto


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tracelake/otlp.proto", package="tracelake.otlp", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(mark == "?" for *_, mark in fields):
            message.oneof_decl.add(name="value")
        for field_name, number, kind, mark in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = _FIELD.LABEL_REPEATED if mark == "*" else _FIELD.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".tracelake.otlp.{kind}"
            else:
                field.type = getattr(_FIELD, f"TYPE_{kind.upper()}")
            if mark == "?":
                field.oneof_index = 0
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tracelake.otlp.{name}"))
        for name in _MESSAGES
    }


_CLASSES: Final = _message_classes()


def read_spans(body: bytes) -> SpanBatch:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        OtlpRefused: The bytes are no such message.
    """
    batch = SpanBatch()
    for group in _parse("TraceRequest", body).resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = _scope(resource, scoped.scope)
            for span in scoped.spans:
                batch.take(_span(span, scope))
    return batch


def read_logs(body: bytes) -> list[LogRecord]:
    """The records of an `ExportLogsServiceRequest`.

    Raises:
        OtlpRefused: The bytes are no such message.
    """
    records: list[LogRecord] = []
    for group in _parse("LogsRequest", body).resource_logs:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            scope = _scope(resource, scoped.scope)
            records += [_record(record, scope) for record in scoped.log_records]
    return records


def check_metrics(body: bytes) -> None:
    """Make sure that a body can be an `ExportMetricsServiceRequest`.

    Raises:
        OtlpRefused: It cannot.
    """
    _parse("MetricsRequest", body)


def write_response(rejected: int, why: str) -> bytes:
    """An `Export…ServiceResponse`; empty when everything was taken."""
    answer = _CLASSES["ExportResponse"]()
    if rejected or why:
        answer.partial_success.rejected = rejected
        answer.partial_success.error_message = why
    return answer.SerializeToString()


def write_status(code: int, message: str) -> bytes:
    """A `google.rpc.Status`."""
    return _CLASSES["RpcStatus"](code=code, message=message).SerializeToString()


def _parse(name: str, body: bytes) -> Any:
    try:
        return _CLASSES[name].FromString(body)
    except (DecodeError, ValueError) as error:
        raise OtlpRefused(400, f"the body is no OTLP protobuf message: {error}") from error


def _scope(resource: Attributes, scope: Any) -> Scope:
    return Scope(resource, scope.name, scope.version, _attributes(scope.attributes))


def _span(span: Any, scope: Scope) -> OtlpSpan:
    parent = span.parent_span_id.hex()
    made = OtlpSpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        parent if parent.strip("0") else None,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        scope,
        _attributes(span.attributes),
    )
    if span.HasField("status"):
        made.status, made.status_message = span.status.code, span.status.message
    if span.events:
        made.events = tuple(
            SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        )
    if span.links:
        made.links = tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
            for link in span.links
        )
    made.dropped_attributes = span.dropped_attributes_count
    return made


def _record(record: Any, scope: Scope) -> LogRecord:
    trace_id, span_id = record.trace_id.hex(), record.span_id.hex()
    return LogRecord(
        record.time_unix_nano or record.observed_time_unix_nano,
        record.event_name,
        _value(record.body),
        scope,
        trace_id if len(trace_id) == 32 and trace_id.strip("0") else None,
        span_id if len(span_id) == 16 and span_id.strip("0") else None,
        _attributes(record.attributes),
    )


def _attributes(pairs: Any) -> Attributes:
    found: Attributes = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":  # nearly all of them
            found[pair.key] = value.string_value
        elif kind is not None:
            found[pair.key] = _of_kind(value, kind)
    return found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else _of_kind(value, kind)


def _of_kind(value: Any, kind: str) -> Any:
    plain = getattr(value, kind)
    if kind == "array_value":
        return [_value(item) for item in plain.values]
    if kind == "kvlist_value":
        return _attributes(plain.values)
    return plain.decode("utf-8", "replace") if kind == "bytes_value" else plain
