"""Span events of inferred facts, in the envelope that segments hold.

Amendments are events of type `span` without a status: they change the columns they name and leave
the times and the outcome of the span alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.model import Event, to_iso
from tracelake.wire.columns import request_columns, response_columns

if TYPE_CHECKING:
    from datetime import datetime

    from tracelake.infer.state import Agent, Call, ToolCall, Trace
    from tracelake.model import EventType, Exchange, Kind
    from tracelake.wire.call import Request, Response

JsonEvent = dict[str, Any]


def _event(
    event_type: EventType,
    trace: Trace,
    span_id: str,
    at: datetime,
    *,
    parent_id: str | None,
    agent_name: str | None,
    data: dict[str, Any],
) -> JsonEvent:
    kept = {key: value for key, value in data.items() if value is not None}
    return Event(event_type, trace.trace_id, span_id, at, parent_id, agent_name, kept).to_dict()


def _milliseconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - start).total_seconds() * 1000, 3)


def agent_opened(agent: Agent, attributes: dict[str, Any]) -> JsonEvent:
    """An agent appears, running."""
    return _event(
        "agent_start",
        agent.trace,
        agent.span_id,
        agent.start,
        parent_id=agent.parent_id,
        agent_name=agent.name,
        data={
            "status": "running",
            "kind": "agent",
            "role": agent.role,
            "name": agent.name,
            "start_time": to_iso(agent.start),
            "session_id": agent.trace.session_id,
            "run_id": agent.trace.run_id,
            "source": "proxy",
            "evidence": "inferred",
            "evidence_source": agent.evidence.source,
            "confidence": agent.evidence.confidence,
            "prompt_fingerprint": agent.persona.fingerprint or None,
            "attributes": attributes,
        },
    )


def agent_amended(agent: Agent, at: datetime) -> JsonEvent:
    """An agent's name, role, parent or evidence changed."""
    return _event(
        "span",
        agent.trace,
        agent.span_id,
        max(at, agent.start),
        parent_id=agent.parent_id,
        agent_name=agent.name,
        data={
            "kind": "agent",
            "role": agent.role,
            "name": agent.name,
            "evidence_source": agent.evidence.source,
            "confidence": agent.evidence.confidence,
            "prompt_fingerprint": agent.persona.fingerprint or None,
        },
    )


def agent_ended(agent: Agent, end: datetime, status: str) -> JsonEvent:
    """An agent ended; said again with a later end when it worked on."""
    return _event(
        "agent_end",
        agent.trace,
        agent.span_id,
        end,
        parent_id=agent.parent_id,
        agent_name=agent.name,
        data={
            "status": status,
            "end_time": to_iso(end),
            "duration_ms": _milliseconds(agent.start, end),
        },
    )


def llm_opened(
    call: Call,
    exchange: Exchange,
    request: Request,
    *,
    kind: Kind,
    tools_fingerprint: str | None,
    attributes: dict[str, Any],
) -> JsonEvent:
    """A provider call begins, running."""
    return _event(
        "llm_call",
        call.trace,
        call.span_id,
        call.start,
        parent_id=call.agent.span_id,
        agent_name=call.agent.name,
        data={
            "status": "running",
            "kind": kind,
            "start_time": to_iso(call.start),
            "session_id": call.scope.session_id or call.trace.session_id,
            "run_id": exchange.run_id,
            **request_columns(request),
            "source": "proxy",
            "evidence": "recorded",
            "evidence_source": call.evidence.source,
            "confidence": call.evidence.confidence,
            "auxiliary": call.is_auxiliary or None,
            "prompt_fingerprint": call.persona.fingerprint or None,
            "tools_fingerprint": tools_fingerprint or None,
            "attributes": attributes,
        },
    )


def llm_ended(call: Call, exchange: Exchange, response: Response, *, kind: Kind) -> JsonEvent:
    """A provider call ended, well or not."""
    end = call.end or call.start
    first = exchange.first_byte_time
    return _event(
        "llm_call",
        call.trace,
        call.span_id,
        end,
        parent_id=call.agent.span_id,
        agent_name=call.agent.name,
        data={
            "status": call.status,
            "kind": kind,
            "name": response.model,
            "end_time": to_iso(end),
            "duration_ms": _milliseconds(call.start, end),
            "ttft_ms": _milliseconds(call.start, first),
            **response_columns(response),
            "attributes": _response_attributes(exchange),
        },
    )


def _response_attributes(exchange: Exchange) -> dict[str, Any]:
    known: dict[str, Any] = {"status_code": exchange.status, "outcome": exchange.outcome}
    if exchange.response_header("x-tracelake-offline") == "1":
        known["offline"] = True
    return {key: value for key, value in known.items() if value is not None}


def parent_amended(trace: Trace, span_id: str, agent: Agent, at: datetime) -> JsonEvent:
    """A call or tool belongs to another agent, or its agent has another name."""
    return _event(
        "span",
        trace,
        span_id,
        at,
        parent_id=agent.span_id,
        agent_name=agent.name,
        data={},
    )


def tool_opened(tool: ToolCall, ordinal: int, parameters: Any) -> JsonEvent:
    """A tool call was asked for and is taken to run."""
    call = tool.call
    return _event(
        "tool_call",
        call.trace,
        tool.span_id,
        tool.start,
        parent_id=call.agent.span_id,
        agent_name=call.agent.name,
        data={
            "status": "running",
            "kind": "tool",
            "name": tool.name,
            "start_time": to_iso(tool.start),
            "session_id": call.trace.session_id,
            "run_id": call.trace.run_id,
            "tool_name": tool.name,
            "tool_call_id": tool.call_id,
            "parameters": parameters,
            "source": "proxy",
            "evidence": "inferred",
            "evidence_source": tool.evidence.source,
            "confidence": tool.evidence.confidence,
            "attributes": {"llm_span_id": call.span_id, "ordinal": ordinal},
        },
    )


def tool_ended(tool: ToolCall, result: str | None, attributes: dict[str, Any]) -> JsonEvent:
    """A tool's result was seen, or it is known that none will come."""
    call, end = tool.call, tool.end or tool.start
    return _event(
        "tool_call",
        call.trace,
        tool.span_id,
        end,
        parent_id=call.agent.span_id,
        agent_name=call.agent.name,
        data={
            "status": tool.status,
            "kind": "tool",
            "end_time": to_iso(end),
            "duration_ms": _milliseconds(tool.start, end),
            "result": result,
            "error": result if tool.status == "error" else None,
            "evidence_source": tool.evidence.source,
            "confidence": tool.evidence.confidence,
            "attributes": attributes,
        },
    )
