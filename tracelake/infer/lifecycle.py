"""When agents end.

A delegated agent ends when the result of its tool call arrives and it has nothing left to do. The
others end with their program, or after a stated idle time where the end of the program cannot be
seen. An agent that works on after its end keeps its span: its end is told again, later.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tracelake.infer import events
from tracelake.infer.phrases import embedded_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from tracelake.infer.events import JsonEvent
    from tracelake.infer.state import Agent, ToolCall, Trace
    from tracelake.model import Status

#: An agent that gave an answer without tool calls ends when nothing follows for this long.
IDLE_AFTER_ANSWER = timedelta(seconds=60)
#: The same while its process is known to live: it may be busy with something else.
IDLE_WHILE_ALIVE = timedelta(minutes=10)
#: An agent whose tool calls are unanswered may be running a long tool: it is given this long.
IDLE_AFTER_TOOL_CALL = timedelta(minutes=30)
#: A call that has been in flight for so long without any other is not waited for.
IN_FLIGHT_MAX = timedelta(hours=1)
#: A trace without any call for this long is dropped from memory.
FORGET_AFTER = timedelta(hours=6)

_ARGUMENT_MIN_CHARS = 3


def end_agent(agent: Agent, end: datetime, status: Status) -> list[JsonEvent]:
    """End an agent and the tool calls it leaves unanswered; nothing when that was told already."""
    told: list[JsonEvent] = []
    for tool in list(agent.awaiting.values()):
        told += end_unanswered(tool)
    end = max(end, agent.start)
    if agent.end is not None and agent.end >= end:
        return told
    agent.status, agent.end = status, end
    told.append(events.agent_ended(agent, end, status))
    return told


def end_unanswered(tool: ToolCall, *, is_dropped: bool = False) -> list[JsonEvent]:
    """End a tool call without a result.

    The last calls of a conversation are how a program is told its final answer: ok. A call that
    the conversation went on without was dropped: cancelled.
    """
    is_last = not (is_dropped or tool.call.is_continued)
    tool.status = "ok" if is_last else "cancelled"
    tool.is_unanswered = True
    tool.end = tool.start
    tool.call.agent.awaiting.pop(tool.span_id, None)
    note = {"unanswered": True, "terminal": is_last}
    return [events.tool_ended(tool, None, note)]


def outcome(agent: Agent) -> Status:
    """How an agent ended: as its last call did."""
    return agent.last_status if agent.last_status in ("error", "cancelled") else "ok"


def settle_children(tool: ToolCall, result: str) -> tuple[list[JsonEvent], list[Agent]]:
    """End the agents of a tool call whose result has come.

    Returns:
        The events, and the children that contradict a parent that rests on time alone, because
        they are at work when their supposed caller has its result.
    """
    told: list[JsonEvent] = []
    contradicting: list[Agent] = []
    for child in tool.children:
        if is_busy(child):
            contradicting += [child] if child.is_weak else []
            continue
        if child.awaiting and not _tells(child, result):
            continue
        if child.last_activity is not None and child.last_activity > tool.start:
            status = "error" if tool.status == "error" else outcome(child)
            told += end_agent(child, latest_activity(child), status)
    return told, contradicting


def is_busy(agent: Agent) -> bool:
    """Whether a call of the agent, or of one below it, is in flight."""
    return agent.in_flight > 0 or any(is_busy(child) for child in agent.children)


def latest_activity(agent: Agent) -> datetime:
    """The end of the last thing that the agent, or one below it, is known to have done."""
    own = agent.last_activity or agent.start
    return max([own, *(latest_activity(child) for child in agent.children)])


def _tells(child: Agent, result: str) -> bool:
    """Whether a result gives an argument of the child's open calls: they were its answer."""
    return all(
        any(text in result for text in _strings(embedded_json(tool.arguments)))
        for tool in child.awaiting.values()
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= _ARGUMENT_MIN_CHARS:
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)


def end_trace(trace: Trace, seen_at: datetime | None = None) -> list[JsonEvent]:
    """End every agent of a trace whose program has ended; later when calls are in flight.

    An agent ends with the last thing it did, at the latest when the end of its program was seen.
    """
    trace.is_over = True
    return [] if trace.calls_in_flight else _end_all(trace, seen_at)


def _end_all(trace: Trace, seen_at: datetime | None = None) -> list[JsonEvent]:
    trace.is_over = True
    told: list[JsonEvent] = []
    made_up = trace.root if trace.has_inferred_root else None
    for agent in reversed(trace.agents):
        if agent is made_up:
            continue
        told += end_agent(agent, _no_later(latest_activity(agent), seen_at), outcome(agent))
    if made_up is not None:
        told += end_agent(made_up, _no_later(trace.last_activity, seen_at), _worst(trace))
    return told


def _no_later(moment: datetime, limit: datetime | None) -> datetime:
    return moment if limit is None else min(moment, limit)


def _worst(trace: Trace) -> Status:
    top = [outcome(agent) for agent in trace.agents if agent.parent is None]
    return "error" if "error" in top else "cancelled" if "cancelled" in top else "ok"


def end_idle(trace: Trace, now: datetime) -> list[JsonEvent]:
    """End the agents of a trace in which nothing has happened for the stated time."""
    if trace.is_over and not trace.calls_in_flight:
        return []
    waits = any(agent.awaiting for agent in trace.agents)
    limit = IDLE_WHILE_ALIVE if trace.processes else IDLE_AFTER_ANSWER
    limit = IDLE_AFTER_TOOL_CALL if waits else limit
    if now - trace.last_activity < (IN_FLIGHT_MAX if trace.calls_in_flight else limit):
        return []
    return _end_all(trace)
