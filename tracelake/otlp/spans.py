"""What an OTLP request holds, whatever it was written in: spans and log records as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tracelake.errors import TraceLakeError

Attributes = dict[str, Any]

STATUS_ERROR: Final = 2
#: Nanoseconds since 1970 of the last moment that a timestamp column can hold (year 9999).
_LATEST_NS: Final = 253_402_300_799 * 10**9


class OtlpRefused(TraceLakeError):  # noqa: N818 - reads as a sentence at the raise site
    """A request that cannot be taken in.

    Attributes:
        status: HTTP status that says so: 400, 413, 415.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Scope:
    """Who wrote the telemetry, shared by all that came in one group.

    Attributes:
        resource: Attributes of the program: `service.name` and the like.
        name: Instrumentation scope, for example `openinference.instrumentation.openai`.
        attributes: Of the instrumentation scope.
    """

    resource: Attributes = field(default_factory=Attributes)
    name: str = ""
    version: str = ""
    attributes: Attributes = field(default_factory=Attributes)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened while a span was open."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that a span names."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(slots=True)
class OtlpSpan:
    """A span as it was sent; ids in lower-case hexadecimal digits, times in nanoseconds.

    Attributes:
        parent_id: Span it says it hangs on, perhaps of another program; None for none.
        end_ns: At least `start_ns`.
        status: 0 unset, 1 ok, 2 error.
        dropped_attributes: How many attributes its sender left out.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    scope: Scope
    attributes: Attributes = field(default_factory=Attributes)
    status: int = 0
    status_message: str = ""
    events: tuple[SpanEvent, ...] = ()
    links: tuple[Link, ...] = ()
    dropped_attributes: int = 0


@dataclass(slots=True)
class LogRecord:
    """A log record as it was sent; its ids are None where it stands in no span."""

    time_ns: int
    name: str
    body: Any
    scope: Scope
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Attributes = field(default_factory=Attributes)


@dataclass(slots=True)
class SpanBatch:
    """The spans of one request.

    Attributes:
        rejected: How many of its spans cannot be placed in any trace.
        why: What is wrong with the first of those.
    """

    spans: list[OtlpSpan] = field(default_factory=list[OtlpSpan])
    rejected: int = 0
    why: str = ""

    def take(self, span: OtlpSpan) -> None:
        """Take a span in, or count it as rejected."""
        why = _fault(span)
        if not why:
            self.spans.append(span)
            return
        self.rejected += 1
        self.why = self.why or f"span {span.name[:100]!r}: {why}"


def _fault(span: OtlpSpan) -> str:
    """What makes a span unusable, empty for nothing; mends what can be mended."""
    if len(span.trace_id) != 32 or not span.trace_id.strip("0"):
        return "the trace id is not 16 bytes"
    if len(span.span_id) != 16 or not span.span_id.strip("0"):
        return "the span id is not 8 bytes"
    if span.parent_id == span.span_id:
        span.parent_id = None
    span.start_ns = span.start_ns or span.end_ns
    span.end_ns = max(span.end_ns, span.start_ns)
    if not 0 < span.start_ns <= span.end_ns <= _LATEST_NS:
        return "it has no usable time"
    return ""
