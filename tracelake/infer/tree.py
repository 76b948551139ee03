"""The tree of a trace: agents, their places in it, and the one root.

Every function changes the trace's records and returns the events that tell of the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.infer import events
from tracelake.infer.identity import NOBODY, is_same_persona
from tracelake.infer.names import (
    FROM_ACTION,
    FROM_ARGUMENT,
    FROM_HEADER,
    FROM_PROGRAM,
    FROM_PROMPT,
    FROM_RESULT,
    FROM_TOOL,
    UNNAMED,
    called_agent,
    name_from_arguments,
    says_whom,
    tidy,
)
from tracelake.infer.state import Agent, Evidence, Thread
from tracelake.model import derived_id

if TYPE_CHECKING:
    from datetime import datetime

    from tracelake.infer.events import JsonEvent
    from tracelake.infer.identity import Persona
    from tracelake.infer.scope import Scope
    from tracelake.infer.state import Call, ToolCall, Trace

ORCHESTRATOR = "orchestrator"


def best_name(
    scope: Scope, via: ToolCall | None, persona: Persona, program: str | None
) -> tuple[str, int]:
    """The most telling name of an agent and the rank of its origin."""
    tool_name = called_agent(via.name) if via else None
    names_agent = via is not None and says_whom(via.name)
    ranked = (
        (scope.agent_name, FROM_HEADER),
        (via.given_name if via else None, FROM_RESULT),
        (name_from_arguments(via.arguments) if via else None, FROM_ARGUMENT),
        (persona.name, FROM_TOOL),
        (tool_name if names_agent else None, FROM_TOOL),
        (persona.role, FROM_PROMPT),
        (tool_name, FROM_ACTION),
        (program, FROM_PROGRAM),
        ("agent", UNNAMED),
    )
    return next((tidy(name), rank) for name, rank in ranked if name)


def add_agent(
    trace: Trace,
    *,
    span_id: str,
    start: datetime,
    scope: Scope,
    persona: Persona,
    parent: Agent | None,
    via: ToolCall | None,
    evidence: Evidence,
) -> tuple[Agent, list[JsonEvent]]:
    """A new agent: under a tool call, under another agent, or at the top of the trace.

    Args:
        trace: Trace it belongs to.
        span_id: Its first exchange, of which its own id is derived.
        start: Start of that exchange.
        scope: What the exchange says of itself.
        persona: Persona of its system prompt.
        parent: Agent that delegated to it; None for a top-level agent.
        via: Tool call of `parent` that delegated to it.
        evidence: What the parent rests on.
    """
    name, rank = best_name(scope, via, persona, trace.program)
    agent = Agent(
        span_id=derived_id(span_id, "agent"),
        trace=trace,
        name=name,
        name_rank=rank,
        persona=persona,
        start=start,
        evidence=evidence,
        key=scope.agent_key,
        parent=parent,
        via=via,
        personas={persona.fingerprint: persona},
        last_activity=start,
    )
    told: list[JsonEvent] = []
    if parent is None:
        told += _place_at_top(trace, agent, start)
    else:
        agent.parent_id = via.span_id if via is not None else parent.span_id
        parent.children.append(agent)
    if via is not None:
        via.children.append(agent)
    trace.agents.append(agent)
    if scope.agent_key is not None:
        trace.by_key.setdefault(scope.agent_key, agent)
    told.append(events.agent_opened(agent, _agent_attributes(trace, scope)))
    return agent, told


def _agent_attributes(trace: Trace, scope: Scope) -> dict[str, Any]:
    known = {"program": trace.program, "agent_key": scope.agent_key, **trace.attributes}
    return {key: value for key, value in known.items() if value is not None}


def _place_at_top(trace: Trace, agent: Agent, at: datetime) -> list[JsonEvent]:
    """Make an agent the root, or put it beside the others under the one inferred root."""
    if trace.root is None:
        trace.root, agent.role = agent, ORCHESTRATOR
        return []
    told = [] if trace.has_inferred_root else _infer_root(trace, at)
    agent.parent_id, agent.role = trace.root.span_id, "agent"
    return told


def _infer_root(trace: Trace, at: datetime) -> list[JsonEvent]:
    """Several agents stand at the top: one root, named after the run, holds them."""
    first = trace.root
    assert first is not None  # noqa: S101 - callers ask only once a root is there
    root = Agent(
        span_id=derived_id(trace.trace_id, "root"),
        trace=trace,
        name=trace.program or _run_name(trace),
        name_rank=FROM_PROGRAM,
        persona=NOBODY,
        start=trace.start,
        evidence=Evidence("several_top_level_agents", 0.8),
        role=ORCHESTRATOR,
        last_activity=at,
    )
    trace.root, trace.has_inferred_root = root, True
    trace.agents.append(root)
    first.parent_id, first.role = root.span_id, "agent"
    opened = events.agent_opened(root, {"inferred_root": True, **trace.attributes})
    return [opened, events.agent_amended(first, at)]


def _run_name(trace: Trace) -> str:
    for label, value in (("run", trace.run_id), ("session", trace.session_id)):
        if value:
            return tidy(f"{label} {value}")
    return f"trace {trace.trace_id[:8]}"


def top_level_agents(trace: Trace, persona: Persona) -> list[Agent]:
    """The top-level agents with that persona, or the provisional one that any persona may take."""
    top = [agent for agent in trace.agents if agent.parent is None and not _is_made_up(agent)]
    provisional = [agent for agent in top if agent.is_provisional]
    if provisional:
        return provisional
    return [a for a in top if any(is_same_persona(persona, p) for p in a.personas.values())]


def depth_of(agent: Agent) -> int:
    """How many agents stand above an agent."""
    depth = 0
    while agent.parent is not None:
        agent, depth = agent.parent, depth + 1
    return depth


def is_above(agent: Agent, other: Agent) -> bool:
    """Whether an agent is another one, or stands somewhere above it."""
    above: Agent | None = other
    while above is not None and above is not agent:
        above = above.parent
    return above is agent


def _is_made_up(agent: Agent) -> bool:
    return agent.trace.has_inferred_root and agent is agent.trace.root


def take_over(agent: Agent, scope: Scope, persona: Persona, at: datetime) -> list[JsonEvent]:
    """The first real agent of a trace takes the place that auxiliary calls had made."""
    agent.is_provisional = False
    agent.persona, agent.personas = persona, {persona.fingerprint: persona}
    agent.key = scope.agent_key
    if scope.agent_key is not None:
        agent.trace.by_key.setdefault(scope.agent_key, agent)
    name, rank = best_name(scope, None, persona, agent.trace.program)
    told = rename(agent, name, rank, at)
    return told or [events.agent_amended(agent, at)]


def rename(agent: Agent, name: str, rank: int, at: datetime) -> list[JsonEvent]:
    """Give an agent a better name; nothing when it has as good a one."""
    if rank <= agent.name_rank or name == agent.name:
        agent.name_rank = max(rank, agent.name_rank)
        return []
    agent.name, agent.name_rank = name, rank
    return [events.agent_amended(agent, at), *_spans_amended(agent, at)]


def _spans_amended(agent: Agent, at: datetime) -> list[JsonEvent]:
    told: list[JsonEvent] = []
    for call in agent.calls:
        told.append(events.parent_amended(agent.trace, call.span_id, agent, at))
        told += (events.parent_amended(agent.trace, tool.span_id, agent, at) for tool in call.tools)
    return told


def hang_under_tool(
    agent: Agent, tool: ToolCall, evidence: Evidence, at: datetime
) -> list[JsonEvent]:
    """Correct the parent of an agent: this tool call delegated to it."""
    _detach(agent)
    agent.via, agent.parent = tool, tool.call.agent
    agent.parent.children.append(agent)
    agent.parent_id, agent.role = tool.span_id, "agent"
    agent.evidence, agent.is_weak = evidence, False
    tool.children.append(agent)
    told = [events.agent_amended(agent, at)]
    name = name_from_arguments(tool.arguments)
    if name is not None:
        told += rename(agent, name, FROM_ARGUMENT, at)
    return told


def hang_at_top(agent: Agent, evidence: Evidence, at: datetime) -> list[JsonEvent]:
    """Correct the parent of an agent: nobody delegated to it."""
    _detach(agent)
    agent.evidence, agent.is_weak = evidence, False
    agent.trace.loose[agent.span_id] = agent
    told = _place_at_top(agent.trace, agent, at)
    return [*told, events.agent_amended(agent, at)]


def release_guesses(tool: ToolCall, child: Agent, at: datetime) -> list[JsonEvent]:
    """Let go of those that only time had linked to a tool call, now that its agent is known.

    One that is not in flight may have been asked something before the agent was.
    """
    guesses = [a for a in tool.children if a is not child and a.is_weak and a.in_flight]
    evidence = Evidence("overlap", 0.5)
    return [event for agent in guesses for event in hang_at_top(agent, evidence, at)]


def _detach(agent: Agent) -> None:
    if agent.via is not None:
        agent.via.children.remove(agent)
    if agent.parent is not None:
        agent.parent.children.remove(agent)
    agent.via = agent.parent = None


def split_thread(
    thread: Thread, evidence: Evidence, *, parent: Agent | None, via: ToolCall | None
) -> list[JsonEvent]:
    """A conversation counted to an agent of the same persona turns out to be another agent's."""
    first = thread.calls[0]
    old = thread.agent
    agent, told = add_agent(
        old.trace,
        span_id=first.span_id,
        start=first.start,
        scope=first.scope,
        persona=first.persona,
        parent=parent,
        via=via,
        evidence=evidence,
    )
    old.threads.remove(thread)
    thread.agent = agent
    thread.speakers[:] = [agent if speaker is old else speaker for speaker in thread.speakers]
    agent.threads.append(thread)
    last = thread.calls[-1]
    at = last.end or last.start
    agent.last_activity, agent.last_status = at, last.status
    for call in thread.calls:
        move_call(call, old, agent)
    return [*told, *_spans_amended(agent, at)]


def move_call(call: Call, old: Agent, new: Agent) -> None:
    """Count a call and its open tool calls to another agent."""
    call.agent = new
    old.calls.remove(call)
    new.calls.append(call)
    if call.end is None:
        old.in_flight -= 1
        new.in_flight += 1
    for tool in call.tools:
        if old.awaiting.pop(tool.span_id, None) is not None:
            new.awaiting[tool.span_id] = tool
        for child in tool.children:
            child.parent = new
            old.children.remove(child)
            new.children.append(child)
