"""Log records that tell of calls: messages of a span, and what Claude Code logs of its calls.

GenAI instrumentations may send messages as log records of the span (`…CAPTURE_MESSAGE_CONTENT=
event_only`); they become events of that span, and the fold puts both together. Claude Code without
traces logs its calls and tools; they become spans. Its records with a trace are left out, because
then the spans tell all of it. Everything else is taken and dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracelake.model import derived_id
from tracelake.otlp import conventions as names
from tracelake.otlp.calls import conversation_columns, event_messages
from tracelake.otlp.mapping import moment
from tracelake.otlp.messages import read_tools, system_text
from tracelake.otlp.spans import OtlpSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.otlp.spans import LogRecord

_CLAUDE_CODE: Final = "com.anthropic.claude_code"
#: Names of Claude Code's records of calls to the kind of span that they stand for.
_CALLS: Final = {"api_request": "llm_request", "api_error": "llm_request", "tool_result": "tool"}


def message_events(
    records: Iterable[LogRecord], *, place: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Events that add the conversation to the spans that records belong to, one a span.

    Args:
        records: Of one request.
        place: The trace that spans of an OpenTelemetry trace are put into.
    """
    by_span: dict[tuple[str, str], list[LogRecord]] = {}
    for record in records:
        name = record_name(record)
        known = name in names.MESSAGE_EVENTS or name in names.DETAIL_EVENTS
        if known and record.trace_id is not None and record.span_id is not None:
            by_span.setdefault((record.trace_id, record.span_id), []).append(record)
    events: list[dict[str, Any]] = []
    for (trace_id, span_id), group in by_span.items():
        asked, given = event_messages((record_name(r), _content(r)) for r in group)
        system = tools = None
        for record in group:
            system = system or record.attributes.get("gen_ai.system_instructions")
            tools = tools or record.attributes.get("gen_ai.tool.definitions")
        columns = conversation_columns(
            asked, given, system=system_text(system), tools=read_tools(tools), finish_reason=None
        )
        if columns:
            events.append(
                {
                    "event_type": "llm_call",
                    "trace_id": place(trace_id),
                    "span_id": span_id,
                    "timestamp": moment(max(record.time_ns for record in group)),
                    "data": {**columns, "source": "otlp", "evidence": "recorded"},
                }
            )
    return events


def call_spans(
    records: Iterable[LogRecord], *, is_recorded: Callable[[str], bool]
) -> list[OtlpSpan]:
    """Calls and tools that Claude Code logged without traces, as spans of one trace a session.

    Args:
        records: Of one request.
        is_recorded: Whether the relay records a session already.
    """
    spans: list[OtlpSpan] = []
    for record in records:
        attributes = record.attributes
        kind = _CALLS.get(record_name(record).removeprefix("claude_code."))
        session = attributes.get("session.id")
        if (
            kind is None
            or record.trace_id is not None
            or not isinstance(session, str)
            or not record.scope.name.startswith(_CLAUDE_CODE)
            or is_recorded(session)
        ):
            continue
        ordinal = str(attributes.get("event.sequence", record.time_ns))
        given = {**attributes, "span.type": kind}
        if record_name(record).endswith("api_error"):
            given["success"] = False
        spans.append(
            OtlpSpan(
                derived_id("claude_code", session),
                derived_id("claude_code", session, ordinal)[:16],
                None,
                f"claude_code.{kind}",
                record.time_ns - int(_milliseconds(attributes.get("duration_ms")) * 1e6),
                record.time_ns,
                record.scope,
                given,
            )
        )
    return [span for span in spans if span.start_ns > 0]


def record_name(record: LogRecord) -> str:
    """What a log record is called."""
    return record.name or str(record.attributes.get("event.name") or "")


def _content(record: LogRecord) -> dict[str, Any]:
    body: dict[str, Any] = record.body if isinstance(record.body, dict) else {}
    return {**record.attributes, **body}


def _milliseconds(value: Any) -> float:
    try:
        return max(float(value), 0.0)
    except (TypeError, ValueError):
        return 0.0
