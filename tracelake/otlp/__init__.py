"""OpenTelemetry in: OTLP requests to span events, no I/O.

decode(body, content_type, content_encoding) -> SpanBatch      raises OtlpRefused
events_of(spans) -> list of span events                        kinds and columns, by table
Assembly().add(events, now_s=…)                                the tree, batch by batch
"""

from tracelake.otlp.assembly import Assembly, Recorded
from tracelake.otlp.decode import (
    BODY_MAX,
    Signal,
    answer,
    check_metrics,
    decode,
    decode_logs,
    failure,
    form_of,
)
from tracelake.otlp.logs import call_spans, message_events
from tracelake.otlp.mapping import event_of, events_of
from tracelake.otlp.spans import LogRecord, OtlpRefused, OtlpSpan, SpanBatch

__all__ = [
    "BODY_MAX",
    "Assembly",
    "LogRecord",
    "OtlpRefused",
    "OtlpSpan",
    "Recorded",
    "Signal",
    "SpanBatch",
    "answer",
    "call_spans",
    "check_metrics",
    "decode",
    "decode_logs",
    "event_of",
    "events_of",
    "failure",
    "form_of",
    "message_events",
]
