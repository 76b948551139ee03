"""Agents that stand near each other in the tree: who brings answers together, and who goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.infer.identity import is_same_persona
from tracelake.infer.lifecycle import is_busy
from tracelake.infer.tree import depth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracelake.infer.identity import Persona
    from tracelake.infer.state import Agent, Trace


def beside(sources: Sequence[Agent]) -> Agent | None:
    """The agent beside which one works that is given the answers of others.

    It is the uppermost of them; where several are the parts of one plan, or of several tool calls,
    whoever brings them together stands where the plan was made.
    """
    if not sources:
        return None
    depths = [(depth_of(agent), agent) for agent in sources]
    least = min(depth for depth, _ in depths)
    upper = {agent.span_id: agent for depth, agent in depths if depth == least}
    first = next(iter(upper.values()))
    if len({id(agent.via) for agent in upper.values()}) > 1 or (len(upper) > 1 and not first.via):
        return first.parent or first
    return first


def neighbours(agent: Agent) -> list[Agent]:
    """The agents that hang where an agent does, itself among them."""
    others = agent.parent.children if agent.parent is not None else agent.trace.agents
    return [a for a in others if a.parent is agent.parent and a.via is agent.via]


def resting(agents: Iterable[Agent], persona: Persona) -> Agent | None:
    """The agent of a persona that has nothing in flight and awaits nothing; None of several."""
    found = [a for a in agents if speaks_as(a, persona) and not a.awaiting and not is_busy(a)]
    return found[0] if len(found) == 1 else None


def speaks_as(agent: Agent, persona: Persona) -> bool:
    """Whether an agent has spoken under a prompt of the persona."""
    return any(is_same_persona(persona, known) for known in agent.personas.values())


def at_work_under_tools(trace: Trace, persona: Persona) -> Agent | None:
    """The one agent of a persona that a tool call without a result has started, or None.

    It rests; but the plain calls of a program, without a system prompt, may be made side by side,
    unless another tool call may have started them.
    """
    tools = [tool for agent in trace.agents for tool in agent.awaiting.values()]
    children = [child for tool in tools for child in tool.children]
    if persona.fingerprint or not all(tool.children for tool in tools):
        return resting(children, persona)
    plain = [child for child in children if speaks_as(child, persona)]
    return plain[0] if len(plain) == 1 else None
