"""Where a call belongs: which conversation it continues, or who started a new one.

First what is explicit, then what the content shows, then time:
the agent named by a header; the continued conversation (and whether another agent took it over);
a repeated request; a summary that a conversation goes on from; the tool call or answer whose words
the prompt repeats; an agent of the same persona; the tool call that is being waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracelake.infer.auxiliary import asks_for_summary
from tracelake.infer.delegation import (
    Link,
    choose_link,
    launching_tool,
    naming_tool,
    tool_that_named,
    waiting_tool,
)
from tracelake.infer.identity import is_same_persona, is_same_speaker
from tracelake.infer.lifecycle import is_busy
from tracelake.infer.names import name_from_tool, says_whom
from tracelake.infer.neighbours import at_work_under_tools, beside, neighbours, resting, speaks_as
from tracelake.infer.retelling import retold_agent
from tracelake.infer.state import Evidence
from tracelake.infer.tree import top_level_agents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tracelake.infer.identity import Persona
    from tracelake.infer.phrases import PhraseIndex
    from tracelake.infer.scope import Scope
    from tracelake.infer.state import Agent, Call, Thread, ToolCall, Trace
    from tracelake.infer.threads import Match, MatchKind, ThreadIndex
    from tracelake.wire.call import Atom, Request

_MATCH_CONFIDENCE: dict[MatchKind, float] = {
    "response_id": 1.0,
    "prefix": 0.99,
    "echo": 0.9,
    "joined": 0.85,
    "ids": 0.9,
    "answer": 0.8,
}
_FAILED = frozenset({"error", "cancelled"})
_THREADS_TRIED = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the placement sees it."""

    request: Request
    scope: Scope
    persona: Persona
    core: Sequence[Atom]
    start: datetime

    @property
    def previous_response(self) -> str | None:
        """Id of the answer that the provider is to go on from."""
        found = self.request.parameters.get("previous_response_id")
        return found if isinstance(found, str) else None

    @property
    def conversation(self) -> str | None:
        """Id of the conversation that the provider keeps."""
        found = self.request.parameters.get("conversation")
        found = found.get("id") if isinstance(found, dict) else found
        return found if isinstance(found, str) else None

    @property
    def messages(self) -> list[str]:
        """Texts that the program wrote: user messages, and system messages among them."""
        return [
            atom.text
            for atom in self.request.atoms
            if atom.kind == "text" and atom.role != "assistant"
        ]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the content of a request shows of earlier calls; at most one of the three is set.

    Attributes:
        match: The call it continues.
        same: A call with the same request.
        link: What started the conversation.
    """

    match: Match | None = None
    same: Call | None = None
    link: Link | None = None

    @property
    def is_started(self) -> bool:
        """Whether an earlier call is seen to have started the conversation, for the first time."""
        return self.same is None and self.link is not None and self.link.kind in ("tool", "flow")

    @property
    def trace(self) -> Trace | None:
        """The trace that the content points to."""
        if self.match is not None:
            return self.match.call.trace
        if self.link is not None:
            return self.link.call.trace
        if self.same is not None and self.same.status in _FAILED:
            return self.same.trace
        return None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a call goes.

    Attributes:
        evidence: What it rests on.
        agent: The agent that made it; None for a new agent.
        thread: The conversation it continues; None for a new one.
        previous: The call that it continues.
        added: What it adds to the last message of that call, where it joins the two.
        parent: Agent that delegated to the new agent; None for a top-level one.
        via: Tool call that delegated to the new agent.
        is_weak: The parent rests on time alone.
        origin: Key of the words that started the new agent.
        retry_of: The failed call that it repeats; resample_of: the call that it repeats otherwise.
    """

    evidence: Evidence
    agent: Agent | None = None
    thread: Thread | None = None
    previous: Call | None = None
    added: str = ""
    parent: Agent | None = None
    via: ToolCall | None = None
    is_weak: bool = False
    origin: int = 0
    retry_of: Call | None = None
    resample_of: Call | None = None


def look(
    asked: Asked, threads: ThreadIndex, phrases: PhraseIndex, above: Trace | None = None
) -> Sight:
    """Compare a request with the earlier calls of an index.

    Args:
        asked: The request.
        threads: Conversations it may continue or repeat.
        phrases: Words that may have started it.
        above: For the first call of a process, the trace of a process above it: one of its tool
            calls may have started this one.
    """

    def may_link(call: Call) -> bool:
        return call.scope.agent_key == asked.scope.agent_key and call.start <= asked.start

    match = threads.find(
        asked.core,
        may_link=may_link,
        is_alike=lambda call: (
            is_same_persona(call.persona, asked.persona) or _closes(asked.persona, call)
        ),
        stored=asked.previous_response or asked.conversation,
    )
    if match is not None:
        return Sight(match=match)
    same = threads.find_same(
        asked.core, may_link=lambda call: may_link(call) and repeats(asked, call)
    )
    found = phrases.search(asked.messages, [asked.request.system])
    link = choose_link(found, persona=asked.persona, start=asked.start)
    if above is not None and same is None and (link is None or link.kind != "tool"):
        tool = launching_tool(above.agents, asked.scope)
        if tool is not None:
            link = Link("tool", tool.call, tool, Evidence("command", 0.9), hash(tool.span_id))
    return Sight(same=same, link=link)


def repeats(asked: Asked, call: Call) -> bool:
    """Whether a request with the same messages is the same in its model and persona too.

    A failed call may be tried again with another model.
    """
    is_model = call.model == asked.request.model or call.status in _FAILED
    return is_model and is_same_persona(call.persona, asked.persona)


def place(asked: Asked, trace: Trace, sight: Sight) -> Placement:
    """Decide where a call goes in its trace."""
    if sight.match is not None and sight.match.call.trace is trace:
        return _continue(asked, sight.match)
    same = sight.same if sight.same is not None and sight.same.trace is trace else None
    link = sight.link if sight.link is not None and sight.link.call.trace is trace else None
    if link is not None and link.kind == "summary" and (not same or same.start < link.call.start):
        return _go_on(link)
    if same is not None and not _is_fresh_delegation(link, same):
        return _repeat(same)
    retold = retold_agent(asked, trace)
    if retold is not None:
        return Placement(Evidence("retelling", 0.7), retold)
    return _by_header(asked, trace, link) or _start(asked, trace, link)


def _continue(asked: Asked, match: Match) -> Placement:
    call = match.call
    evidence = Evidence(match.kind, _MATCH_CONFIDENCE[match.kind])
    thread = call.thread
    # a conversation that goes on twice at the same time is a branch
    if thread is not None and call.is_continued and thread.calls[-1].end is None:
        thread = None
    agent = call.agent
    persona = asked.persona
    if asked.scope.agent_key is not None or speaks_as(agent, persona):
        return Placement(evidence, agent, thread, call, match.added)
    speakers = call.thread.speakers if call.thread is not None else []
    back = next((known for known in speakers if speaks_as(known, persona)), None)
    if back is not None:
        return Placement(evidence, back, thread, call, match.added)
    via = _handoff_tool(asked, match)
    is_told = via is not None and says_whom(via.name)
    is_same = persona.fingerprint in agent.personas and bool(persona.fingerprint)
    is_like = not persona.fingerprint or _is_changed_prompt(persona, agent)
    is_own = is_same or asks_for_summary(asked.core) or (via is None and _closes(persona, call))
    if is_own or (is_like and not is_told):
        return Placement(evidence, agent, thread, call, match.added)
    if via is None:
        # nobody asked for the other agent: the program lets one speak after the other
        evidence = Evidence("handoff", 0.8)
        known = resting(neighbours(agent), persona)
        if known is not None:
            return Placement(evidence, known, thread, call, match.added)
        return Placement(evidence, None, thread, call, parent=agent.parent, via=agent.via)
    return Placement(Evidence("handoff", 0.9), None, thread, call, parent=agent, via=via)


def _closes(persona: Persona, call: Call) -> bool:
    """Whether a prompt is a program's wish for a last answer: no role and no tools any more.

    Programs that have run out of steps ask the model to answer with what the conversation holds.
    """
    return persona.role is None and not persona.tools and bool(call.persona.tools)


def _is_changed_prompt(persona: Persona, agent: Agent) -> bool:
    """Whether a conversation goes on under the prompt of its agent with another changing part."""
    return any(is_same_speaker(persona, known) for known in agent.personas.values())


def _handoff_tool(asked: Asked, match: Match) -> ToolCall | None:
    """The tool call of the previous answer that handed the conversation over."""
    call = match.call
    answered = {a.id for a in asked.core[call.position :] if a.kind == "tool_result" and a.id}
    tools = [t for t in call.tools if match.kind == "joined" or t.call_id in answered]
    if not tools:
        return None
    role = (asked.persona.role or "").lower()

    def names_agent(tool: ToolCall) -> bool:
        name = name_from_tool(tool.name)
        return bool(name) and any(word in role for word in name.lower().split())

    named = next((tool for tool in tools if names_agent(tool)), None)
    if named is None and match.kind == "joined":
        # plain words may be anything: only a tool for handing over tells more
        return next((tool for tool in tools if says_whom(tool.name)), None)
    return named or tools[-1]


def _is_fresh_delegation(link: Link | None, same: Call) -> bool:
    """Whether a repeated prompt is another child of an equal tool call, not a repetition."""
    tool = link.tool if link is not None else None
    return tool is not None and not tool.children and tool is not same.agent.via


def _repeat(same: Call) -> Placement:
    if same.status in _FAILED:
        return Placement(Evidence("retry", 0.95), same.agent, same.thread, None, retry_of=same)
    return Placement(Evidence("resample", 0.8), same.agent, None, None, resample_of=same)


def _go_on(link: Link) -> Placement:
    call = link.call
    return Placement(link.evidence, call.agent, call.thread, call)


def _by_header(asked: Asked, trace: Trace, link: Link | None) -> Placement | None:
    """An agent that a header names: known, or new under the agent that a header or link names."""
    key = asked.scope.agent_key
    if key is None:
        return None
    known = trace.by_key.get(key)
    if known is not None and link is not None and not speaks_as(known, asked.persona):
        return None  # the header stands for a deployment, not for one agent
    if known is not None:
        thread = known.threads[-1] if known.threads else None
        return Placement(Evidence("header", 1.0), known, thread)
    parent = trace.by_key.get(asked.scope.parent_key or "")
    spawning = trace.told_ids.get(key)
    if spawning is not None:
        return Placement(
            Evidence("header+result_id", 1.0), parent=spawning.call.agent, via=spawning
        )
    named = tool_that_named(parent, asked.scope.agent_name) if parent is not None else None
    if named is not None:
        return Placement(Evidence("header+argument", 0.98), parent=parent, via=named)
    tool = link.tool if link is not None else None
    if tool is not None and (parent is None or tool.call.agent is parent):
        return Placement(Evidence("header+tool_text", 0.98), parent=tool.call.agent, via=tool)
    if parent is None and (trace.root is None or trace.root.is_provisional):
        return None
    if parent is None:
        parent = trace.root
    assert parent is not None  # noqa: S101 - decided above
    waiting = waiting_tool([parent], persona=asked.persona, messages=asked.messages)
    return Placement(Evidence("header", 0.8 if waiting else 0.7), parent=parent, via=waiting)


def _start(asked: Asked, trace: Trace, link: Link | None) -> Placement:
    again = _tried_again(link, asked.persona) if link is not None else None
    if again is not None:
        return Placement(Evidence("same_task", 0.8), again)
    if link is not None and link.kind == "tool":
        return Placement(link.evidence, parent=link.call.agent, via=link.tool, origin=link.origin)
    same = top_level_agents(trace, asked.persona)
    free = next((agent for agent in same if not _is_speaking(agent)), None)
    if free is not None:
        return Placement(Evidence("identity", 0.8), free)
    if same:
        # an agent does one thing at a time
        return Placement(Evidence("beside", 0.7))
    named = naming_tool(trace.agents, asked.persona)
    if named is not None:
        return Placement(Evidence("named", 0.85), parent=named.call.agent, via=named)
    if link is not None and link.kind == "flow":
        return Placement(link.evidence, parent=link.call.agent, origin=link.origin)
    near = beside([call.agent for call in link.sources]) if link is not None else None
    if link is not None and near is not None and near.parent is not None:
        again = resting(neighbours(near), asked.persona)
        if again is not None:
            return Placement(Evidence("identity", 0.7), again)
        return Placement(link.evidence, parent=near.parent, via=near.via)
    again = at_work_under_tools(trace, asked.persona)
    if again is not None:
        # its tool call has no result yet, and it is the only one like it
        return Placement(Evidence("identity", 0.6), again)
    waiting = waiting_tool(trace.agents, persona=asked.persona, messages=asked.messages)
    if waiting is not None:
        return Placement(
            Evidence("time", 0.5), parent=waiting.call.agent, via=waiting, is_weak=True
        )
    return Placement(Evidence("first_seen", 0.7 if trace.root else 0.9))


def _is_speaking(agent: Agent) -> bool:
    """Whether a call of one of an agent's conversations is in flight.

    Without a system prompt nothing tells an agent from a program's plain calls, which may be made
    side by side.
    """
    if not agent.persona.fingerprint:
        return False
    return any(thread.calls[-1].end is None for thread in agent.threads[-_THREADS_TRIED:])


def _tried_again(link: Link, persona: Persona) -> Agent | None:
    """The agent that was given the same task by the same call before, and is done with it.

    A program that is not content with an answer starts the agent's conversation anew; another
    agent would work beside the first one, or have been asked for by another call.
    """
    agent = link.call.agent.started.get(link.origin)
    if agent is None or agent.awaiting or is_busy(agent):
        return None
    return agent if speaks_as(agent, persona) else None
