"""Parents found later than the agent itself: by the result of a tool call, or its late arguments.

A conversation whose prompt repeats no earlier words is hung where it is most probable at once, and
corrected when a result shows who had asked for it: the result tells the agent's id, or repeats the
last answer of a conversation that ran while the tool did. A client may also act on an answer before
the relay has seen its end; then the words that started a conversation are known only afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tracelake.infer import events, tree
from tracelake.infer.delegation import CLOCK_SLACK, choose_link, gives_name
from tracelake.infer.names import FROM_HEADER
from tracelake.infer.phrases import PhraseIndex
from tracelake.infer.state import Evidence, Thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tracelake.infer.events import JsonEvent
    from tracelake.infer.identity import Persona
    from tracelake.infer.placement import Asked
    from tracelake.infer.state import Agent, Call, ToolCall, Trace
    from tracelake.wire.call import Atom

_THREADS_TRIED = 32
#: Results that tell the id of an agent are short; ids have a digit.
_TOLD_ID_CHARS = 1500
_TOLD_IDS = 20
_ID = re.compile(r"(?<![\w-])(?=[\w-]*\d)[\w-]{8,}(?![\w-])")
_UNLINKED_KEPT = 32
_ANY_TIME = timedelta(days=1)


def link_by_told_id(tool: ToolCall, result: str) -> list[JsonEvent]:
    """A result that tells the id of an agent comes from the call that started it."""
    if len(result) > _TOLD_ID_CHARS:
        return []
    told: list[JsonEvent] = []
    trace = tool.call.trace
    for token in _ID.findall(result)[:_TOLD_IDS]:
        agent = trace.by_key.get(token)
        if agent is None:
            trace.told_ids.setdefault(token, tool)
        elif agent.via is not tool and agent.parent is tool.call.agent and _spawned(agent, tool):
            evidence = Evidence("header+result_id", 1.0)
            told += tree.hang_under_tool(agent, tool, evidence, tool.end or tool.start)
    return told


def link_by_name(tool: ToolCall) -> list[JsonEvent]:
    """A child without a known caller was started by the call that names it in its arguments."""
    told: list[JsonEvent] = []
    for child in list(tool.call.agent.children):
        is_named = child.via is None and child.name_rank == FROM_HEADER
        if is_named and child.start >= tool.call.start and gives_name(tool, child.name):
            evidence = Evidence("header+argument", 0.98)
            told += tree.hang_under_tool(child, tool, evidence, tool.end or tool.start)
    return told


def _spawned(agent: Agent, tool: ToolCall) -> bool:
    """Whether a tool call may have started an agent that its result names: it is the first to."""
    via = agent.via
    return agent.start >= tool.start and (via is None or via.call is tool.call)


def link_by_result(tool: ToolCall, result: str) -> list[JsonEvent]:
    """Conversations that ran while a tool did, and ended with its result, were started by it."""
    candidates = [thread for thread in _unclaimed(tool) if _ran_within(thread, tool)]
    if not candidates:
        return []
    lasts = {id(thread.calls[-1]): thread for thread in candidates}
    found = tool.call.trace.phrases.search([result])
    answers = [f.phrase for f in found if f.phrase.tool is None and f.phrase.is_whole]
    threads = [lasts[id(p.call)] for p in answers if id(p.call) in lasts]
    own = [thread for thread in threads if thread.agent.via is tool]
    if not own and any(not child.is_weak for child in tool.children):
        return []
    told: list[JsonEvent] = []
    evidence, at = Evidence("result", 0.9), tool.end or tool.start
    for thread in own or threads[:1]:
        if thread.agent.via is tool:
            thread.agent.evidence, thread.agent.is_weak = evidence, False
            told.append(events.agent_amended(thread.agent, at))
        else:
            told += _claim(thread, tool, evidence)
    return told


def _claim(thread: Thread, tool: ToolCall, evidence: Evidence) -> list[JsonEvent]:
    agent, caller = thread.agent, tool.call.agent
    if any(call.agent is not agent for call in thread.calls):
        return []  # it has been handed over meanwhile
    is_part = len(agent.threads) > 1 or agent is caller
    started = [child for call in thread.calls for own in call.tools for child in own.children]
    if any(tree.is_above(a, caller) for a in (started if is_part else [agent])):
        return []  # nobody was started by an agent of his own
    if is_part:
        return tree.split_thread(thread, evidence, parent=caller, via=tool)
    at = max(tool.end or tool.start, agent.last_activity or agent.start)
    return tree.hang_under_tool(agent, tool, evidence, at)


def link_by_time(tool: ToolCall) -> list[JsonEvent]:
    """A conversation of the caller's own that ran while it waited for one tool was that tool's."""
    call = tool.call
    if tool.children or tool.name in call.trace.leaf_tools or len(call.tools) > 1:
        return []
    told: list[JsonEvent] = []
    for thread in call.agent.threads[-_THREADS_TRIED:]:
        is_beside = thread.calls and call.thread in thread.beside
        if is_beside and thread.is_at_rest and _ran_within(thread, tool):
            told += _claim(thread, tool, Evidence("time", 0.5))
    return told


def separate(thread: Thread) -> list[JsonEvent]:
    """Give the conversations that began in the middle of this one, which goes on, to other agents.

    An agent does one thing at a time: what began while it waited for an answer or a tool, and was
    counted to it because its prompt is the same, is another agent's.
    """
    agent = thread.agent
    told: list[JsonEvent] = []
    for other in agent.threads[-_THREADS_TRIED:]:
        if thread in other.beside and all(call.agent is agent for call in other.calls):
            evidence = Evidence("beside", 0.8)
            told += tree.split_thread(other, evidence, parent=agent.parent, via=agent.via)
    return told


def _unclaimed(tool: ToolCall) -> list[Thread]:
    """Conversations of agents that stand at the top or where they do by time alone."""
    trace = tool.call.trace
    settled = [a for a in trace.loose.values() if a.parent is not None and not a.is_weak]
    for agent in settled:
        del trace.loose[agent.span_id]
    candidates = [agent for agent in trace.loose.values() if agent is not trace.root]
    return [
        thread
        for agent in {id(agent): agent for agent in (*candidates, tool.call.agent)}.values()
        for thread in agent.threads[-_THREADS_TRIED:]
        if thread is not tool.call.thread and thread.calls
    ]


def _ran_within(thread: Thread, tool: ToolCall) -> bool:
    last = thread.calls[-1]
    return (
        thread.calls[0].start >= tool.start
        and last.end is not None
        and (tool.end is None or last.end <= tool.end)
        and all(call.agent is thread.agent for call in thread.calls)
    )


def told_by_forks(previous: Call, new: Sequence[Atom]) -> list[tuple[ToolCall, Atom]]:
    """Tool calls whose results tell what a conversation that went on from their call came to.

    A caller may hand its whole conversation to the agent that it starts, with the task in place of
    the result, and go on from the same call once the agent has answered. What went on first is cut
    off into a conversation of its own.

    Args:
        previous: The call that a request continues.
        new: Core atoms that the request adds to it.
    """
    thread = previous.thread
    if thread is None or thread.calls[-1] is previous or not previous.tools:
        return []
    place = next((n for n, call in enumerate(thread.calls) if call is previous), None)
    if place is None or previous.agent is not thread.agent:
        return []
    results = {atom.id: atom for atom in new if atom.kind == "tool_result" and atom.id}
    pairs = [(tool, results[tool.call_id]) for tool in previous.tools if tool.call_id in results]
    found = [(t, atom, _told_answers(previous.trace, atom.text)) for t, atom in pairs if t.end]
    if any(thread.calls[-1] in answers for _, _, answers in found):
        _cut(thread, place + 1)
    asked = previous.end or previous.start
    return [(t, atom) for t, atom, answers in found if any(_ends(a, asked) for a in answers)]


def _ends(call: Call, since: datetime) -> bool:
    """Whether a call is the last of a conversation that began since a moment."""
    calls = call.thread.calls if call.thread is not None else [call]
    return calls[-1] is call and calls[0].start >= since


def _told_answers(trace: Trace, text: str) -> list[Call]:
    found = trace.phrases.search([text])
    return [f.phrase.call for f in found if f.phrase.tool is None and f.phrase.is_whole]


def _cut(thread: Thread, place: int) -> None:
    """Make the calls of a conversation from a place on one of their own."""
    calls = thread.calls[place:]
    rest = Thread(calls[0].span_id, thread.agent, thread.opening, [thread.agent], calls)
    del thread.calls[place:]
    for call in calls:
        call.thread = rest
    thread.agent.threads.append(rest)


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A conversation that began without anything known to have started it, and its prompt."""

    thread: Thread
    persona: Persona
    start: datetime
    messages: list[str]
    system: str


def remember_unlinked(trace: Trace, thread: Thread, asked: Asked) -> None:
    """Keep the prompt of an unlinked conversation while an earlier call is in flight."""
    if trace.calls_in_flight > 1:
        prompt = asked.messages, asked.request.system
        trace.unlinked.append(Unlinked(thread, asked.persona, asked.start, *prompt))
        del trace.unlinked[:-_UNLINKED_KEPT]


def link_late(call: Call, arguments: Iterable[tuple[ToolCall, object]]) -> list[JsonEvent]:
    """Link the conversations that began before this call was seen to end, and that it started."""
    trace = call.trace
    answered = call.first_byte or call.end or call.start
    later = (u for u in trace.unlinked if u.start >= answered - CLOCK_SLACK)
    waiting = [u for u in later if u.thread is not call.thread]
    if trace.calls_in_flight == 0:
        trace.unlinked.clear()
    if not waiting or not call.tools:
        return []
    index = PhraseIndex()
    for tool, value in arguments:
        index.add([value], call, tool)
    told: list[JsonEvent] = []
    for unlinked in waiting:
        found = index.search(unlinked.messages, [unlinked.system])
        link = choose_link(found, persona=unlinked.persona, start=unlinked.start + _ANY_TIME)
        if link is not None and link.tool is not None and unlinked.thread.agent is not trace.root:
            told += _claim(unlinked.thread, link.tool, link.evidence)
            trace.unlinked = [other for other in trace.unlinked if other is not unlinked]
    return told
