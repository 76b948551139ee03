"""A playground test as a small trace of its own: a root agent and the call under it.

Pure: builds events, appends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tracelake.model import derived_id, to_iso
from tracelake.wire import fingerprint, tools_fingerprint
from tracelake.wire.columns import response_columns

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.playground.draft import Draft
    from tracelake.playground.provider import Target
    from tracelake.playground.trial import Outcome

SOURCE = "playground"


@dataclass(frozen=True, slots=True)
class Origin:
    """The recorded span that a test varies."""

    trace_id: str
    span_id: str
    name: str


class Recorded(Protocol):
    """What a trial tells its recorder."""

    draft: Draft
    target: Target
    origin: Origin | None
    variables: dict[str, str]
    trace_id: str
    span_id: str


def as_span(trial: Recorded, outcome: Outcome) -> dict[str, Any]:
    """A trial as the columns of the span that records it, for showing it before it is read back."""
    response = outcome.response
    return {
        "trace_id": trial.trace_id,
        "span_id": trial.span_id,
        "status": outcome.status,
        "provider": trial.draft.provider,
        **response_columns(response),
        "model": response.model or trial.draft.model,
        "system": trial.draft.system,
        "messages": trial.draft.messages,
        "tools": trial.draft.tools,
        "request": trial.draft.parameters,
        "duration_ms": outcome.duration_ms,
        "ttft_ms": outcome.ttft_ms,
        "attributes": {"api": trial.draft.api, "status_code": outcome.http_status},
    }


def opened_events(trial: Recorded, outcome: Outcome, exchange: Exchange) -> list[dict[str, Any]]:
    """Events of a trial that was sent: an agent that opens, a call that runs."""
    at = to_iso(exchange.start_time)
    draft = trial.draft
    call = {
        **_lineage(trial, call=True),
        "status": outcome.status,
        "source": SOURCE,
        "evidence": "recorded",
        "provider": draft.provider,
        "model": draft.model or None,
        "request": draft.parameters,
        "system": draft.system or None,
        "messages": draft.messages,
        "tools": draft.tools,
        "prompt_fingerprint": fingerprint(draft.system) if draft.system else None,
        "tools_fingerprint": tools_fingerprint(draft.tools) if draft.tools else None,
        "match": "edited" if trial.origin else "live",
        "attributes": {
            "api": draft.api,
            "path": exchange.path,
            "upstream": trial.target.name,
            "base_url": trial.target.base_url,
            **({"headers": dict(trial.target.headers)} if trial.target.headers else {}),
            **({"variables": trial.variables} if trial.variables else {}),
        },
    }
    root = {
        **_lineage(trial, call=False),
        "name": _name(trial),
        "role": "orchestrator",
        "status": "running",
        "source": SOURCE,
        "evidence": "recorded",
    }
    return [
        _root_event("agent_start", trial, at, root),
        _call_event(trial, at, call),
    ]


def ended_events(trial: Recorded, outcome: Outcome, exchange: Exchange) -> list[dict[str, Any]]:
    """Events of a trial that is over: the answer, and the end of its agent."""
    response = outcome.response
    at = to_iso(exchange.end_time or exchange.start_time)
    offline = any(name == "x-tracelake-offline" for name, _ in exchange.response_headers)
    call = {
        **_lineage(trial, call=True),
        "status": outcome.status,
        "source": SOURCE,
        **response_columns(response),
        "model": response.model or trial.draft.model or None,
        "duration_ms": outcome.duration_ms,
        "ttft_ms": outcome.ttft_ms,
        "attributes": {
            "status_code": outcome.http_status,
            "response_id": response.response_id,
            "outcome": exchange.outcome,
            **({"offline": True} if offline else {}),
        },
    }
    root = {**_lineage(trial, call=False), "status": outcome.status, "source": SOURCE}
    return [
        _call_event(trial, at, call),
        _root_event("agent_end", trial, at, root),
    ]


def _root_id(trial: Recorded) -> str:
    return derived_id("playground", trial.span_id)


def _name(trial: Recorded) -> str:
    if trial.origin is None:
        return f"Playground: {trial.draft.model or 'new prompt'}"
    return f"Playground: {trial.origin.name}"


def _lineage(trial: Recorded, *, call: bool) -> dict[str, Any]:
    if trial.origin is None:
        return {}
    lineage = {"forked_from_trace_id": trial.origin.trace_id}
    return {**lineage, "original_span_id": trial.origin.span_id} if call else lineage


def _call_event(trial: Recorded, at: str, data: dict[str, Any]) -> dict[str, Any]:
    envelope = {"span_id": trial.span_id, "parent_id": _root_id(trial)}
    return {"event_type": "llm_call", **envelope, **_rest(trial, at, data)}


def _root_event(kind: str, trial: Recorded, at: str, data: dict[str, Any]) -> dict[str, Any]:
    envelope = {"span_id": _root_id(trial), "parent_id": None}
    return {"event_type": kind, **envelope, **_rest(trial, at, data)}


def _rest(trial: Recorded, at: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": trial.trace_id,
        "timestamp": at,
        "agent_name": SOURCE,
        "data": {name: value for name, value in data.items() if value is not None},
    }
