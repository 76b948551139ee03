"""Logs that know calls only: the trees that they were part of.

    events_of(read) -> iterator of (where, event)      a span for each call, then one for each agent

- Calls of one trace, task or session, where the log names it, are one trace. Of others those are
  that follow each other without a long pause, whichever files they stand in: one run of a program.
- Every agent hangs on the one named orchestrator, which is inferred where no call is its own.

- An agent lasts from its first call to its last, and failed if its last call of a model did.

Invariant: ids are derived from what is logged, so that a log that has grown adds to its trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tracelake.model import derived_id, is_valid_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

ROOT = "orchestrator"
#: A program that says nothing for longer has ended; the next call is of another run.
PAUSE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model or a tool.

    Attributes:
        key: Tells it from every other call of the log.
        agent: Whose it is.
        start: When it began.
        end: When it was over.
        failed: Whether it failed.
        kind: `llm` or `tool`.
        trace: Trace that the log names; None where it names none.
        session: Task or session that the log names.
        data: Further columns of the span.
    """

    key: str
    agent: str
    start: datetime
    end: datetime
    failed: bool
    kind: str = "llm"
    trace: str | None = None
    session: str | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def agent_name(self) -> str:
        """The agent's name; the orchestrator's is one, however it is written."""
        return ROOT if self.agent.casefold() == ROOT else self.agent


@dataclass(slots=True)
class _Agent:
    """What the calls so far say of their agent."""

    start: datetime
    end: datetime
    is_recorded: bool
    failed: bool = False

    def take(self, call: Call) -> None:
        if call.end >= self.end and call.kind == "llm":  # a tool's failure is the model's to mend
            self.failed = call.failed
        self.start, self.end = min(self.start, call.start), max(self.end, call.end)


def events_of(
    read: Callable[[], Iterator[tuple[str, Call]]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The spans of a log, each with where it stands there.

    Args:
        read: Reads the log from its start; called twice.
    """
    runs = _runs(call for _, call in read())
    traces: dict[tuple[str, str | None], dict[str, _Agent]] = {}
    for where, call in read():
        trace_id = runs.get(call.key) or _named(call)
        agents = traces.setdefault((trace_id, call.session), {})
        for one in dict.fromkeys((ROOT, call.agent_name)):
            agent = agents.setdefault(one, _Agent(call.start, call.end, is_recorded=False))
            agent.take(call)
            agent.is_recorded |= one == call.agent_name
        yield where, _span(call, trace_id)
    for (trace_id, session), agents in traces.items():
        for name, agent in agents.items():
            yield "the end", _agent_span(trace_id, session, name, agent)


def _runs(calls: Iterator[Call]) -> dict[str, str]:
    """The trace of each call of which the log names none."""
    unnamed = sorted(
        (call.start, call.end, call.key) for call in calls if not (call.trace or call.session)
    )
    found: dict[str, str] = {}
    trace_id, until = "", None
    for start, end, key in unnamed:
        if until is None or start - until > PAUSE:
            trace_id, until = derived_id("interactions", key), end
        found[key] = trace_id
        until = max(until, end)
    return found


def _named(call: Call) -> str:
    if call.trace:
        return call.trace if is_valid_id(call.trace) else derived_id("interactions", call.trace)
    return derived_id("interactions", call.session or "")


def _span(call: Call, trace_id: str) -> dict[str, Any]:
    return {
        "event_type": f"{call.kind}_call",
        "trace_id": trace_id,
        "span_id": derived_id(trace_id, "call", call.key),
        "parent_id": derived_id(trace_id, "agent", call.agent_name),
        "timestamp": call.start,
        "agent_name": call.agent_name,
        "data": {
            "status": "error" if call.failed else "ok",
            "source": "import",
            "session_id": call.session,
            **call.data,
        },
    }


def _agent_span(trace_id: str, session: str | None, name: str, agent: _Agent) -> dict[str, Any]:
    is_root = name == ROOT
    return {
        "event_type": "span",
        "trace_id": trace_id,
        "span_id": derived_id(trace_id, "agent", name),
        "parent_id": None if is_root else derived_id(trace_id, "agent", ROOT),
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
