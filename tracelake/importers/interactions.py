"""Calls of models as lines of JSON, as Anton logs them (`LLMInteraction`).

A line has `timestamp`, `agent_name`, `provider`, `model`, `system_prompt`, `messages`, `response`,
`duration_ms`, `error` and `metadata`. The log knows calls only: agents are inferred from them.

- Calls of one task or session, where `metadata` names it, are one trace; else all of a file are.
- Every agent hangs on the one named orchestrator, which is inferred where no call is its own.
- An agent lasts from its first call to its last, and failed if its last call did.

Invariant: ids are derived from what is logged, so that a log that has grown adds to its trace.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.lines import read_objects
from tracelake.model import derived_id, from_iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ROOT = "orchestrator"
#: Where a line may name what it belongs to.
_TOLD_BY = ("task_id", "session_id", "trace_id", "run_id")
_TOKENS = {
    "input_tokens": "tokens_input",
    "prompt_tokens": "tokens_input",
    "output_tokens": "tokens_output",
    "completion_tokens": "tokens_output",
}
_EXPECTED: dict[str, tuple[Any, str]] = {
    "timestamp": (str, "text"),
    "agent_name": (str, "text"),
    **dict.fromkeys(("provider", "model", "system_prompt", "error"), (str | None, "text")),
    "messages": ((list, type(None)), "list"),
    "metadata": ((dict, type(None)), "object"),
}


@dataclass(slots=True)
class _Agent:
    """What the calls so far say of their agent."""

    start: datetime
    end: datetime
    is_recorded: bool
    failed: bool = False

    def take(self, start: datetime, end: datetime, *, failed: bool) -> None:
        if end >= self.end:
            self.failed = failed
        self.start, self.end = min(self.start, start), max(self.end, end)


def recognises(first: Mapping[str, Any]) -> bool:
    """Whether the first object of a file is an interaction."""
    return {"timestamp", "agent_name", "messages"} <= first.keys() and "trace_id" not in first


def read(path: Path, _now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """A span for every call, then one for every agent.

    Raises:
        ImportFailed: A line is no interaction.
        OSError: The file cannot be read.
    """
    traces: dict[tuple[str, str | None], dict[str, _Agent]] = {}
    whole = ""
    for where, line in read_objects(path):
        try:
            _check(line)
            start = from_iso(line["timestamp"])
            end = start + timedelta(milliseconds=line.get("duration_ms") or 0)
        except (ValueError, TypeError, OverflowError) as error:
            raise ImportFailed(f"{path}: {where}: {error}") from error
        digest = hashlib.blake2b(json.dumps(line, sort_keys=True).encode()).hexdigest()
        whole = whole or digest
        session = _session(line)
        trace_id = derived_id("interactions", session or whole)
        agents = traces.setdefault((trace_id, session), {})
        name = _agent_name(line)
        for one in dict.fromkeys((_ROOT, name)):
            agent = agents.setdefault(one, _Agent(start, end, is_recorded=False))
            agent.take(start, end, failed=bool(line.get("error")))
            agent.is_recorded |= one == name
        yield where, _call(line, trace_id, digest, session, start)
    for (trace_id, session), agents in traces.items():
        for name, agent in agents.items():
            yield "the end", _agent(trace_id, session, name, agent)


def _check(line: Mapping[str, Any]) -> None:
    for name, (kinds, meant) in _EXPECTED.items():
        if not isinstance(line.get(name), kinds):
            raise ValueError(f"{name} is no {meant}")  # noqa: TRY004 - a wrong file, not a wrong call
    duration = line.get("duration_ms")
    if duration is not None and not _is_length(duration):
        raise ValueError(f"duration_ms is no length of time: {duration!r}"[:100])
    if not line["agent_name"]:
        raise ValueError("agent_name is empty")


def _is_length(duration_ms: Any) -> bool:
    return type(duration_ms) in {int, float} and 0 <= duration_ms < math.inf


def _agent_name(line: Mapping[str, Any]) -> str:
    """The agent's name; the orchestrator's is one, however it is written."""
    name: str = line["agent_name"]
    return _ROOT if name.casefold() == _ROOT else name


def _session(line: Mapping[str, Any]) -> str | None:
    places = ({**line}, line.get("metadata") or {})
    told = (place.get(name) for place in places for name in _TOLD_BY)
    return next((one for one in told if isinstance(one, str) and one), None)


def _call(
    line: Mapping[str, Any], trace_id: str, digest: str, session: str | None, start: datetime
) -> dict[str, Any]:
    agent_name = _agent_name(line)
    metadata: dict[str, Any] = line.get("metadata") or {}
    tokens = {_TOKENS[name]: count for name, count in metadata.items() if name in _TOKENS}
    data = {
        "status": "error" if line.get("error") else "ok",
        "source": "import",
        "session_id": session,
        "provider": line.get("provider"),
        "model": line.get("model"),
        "system": line.get("system_prompt"),
        "messages": line.get("messages"),
        "response": line.get("response"),
        "error": line.get("error") or None,
        "duration_ms": line.get("duration_ms"),
        **({"start_time": start} if line.get("duration_ms") is not None else {}),
        **tokens,
        "attributes": metadata,
    }
    return {
        "event_type": "llm_call",
        "trace_id": trace_id,
        "span_id": derived_id(trace_id, "call", digest),
        "parent_id": derived_id(trace_id, "agent", agent_name),
        "timestamp": start,
        "agent_name": agent_name,
        "data": data,
    }


def _agent(trace_id: str, session: str | None, name: str, agent: _Agent) -> dict[str, Any]:
    is_root = name == _ROOT
    return {
        "event_type": "span",
        "trace_id": trace_id,
        "span_id": derived_id(trace_id, "agent", name),
        "parent_id": None if is_root else derived_id(trace_id, "agent", _ROOT),
        "timestamp": agent.end,
        "agent_name": name,
        "data": {
            "kind": "agent",
            "role": "orchestrator" if is_root else "agent",
            "status": "error" if agent.failed else "ok",
            "source": "import",
            "session_id": session,
            "start_time": agent.start,
            "end_time": agent.end,
            "evidence": "inferred",
            "evidence_source": "agent_name of the calls" if agent.is_recorded else "import",
            "confidence": 0.9 if agent.is_recorded else 0.5,
        },
    }
