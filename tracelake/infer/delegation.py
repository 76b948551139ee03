"""Who started a new conversation: the tool call or answer whose words its prompt repeats.

A delegating call need not wait for its child (some answer at once and let it work on), so a call
that has its result already is only a weaker candidate, not none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from tracelake.infer.identity import is_generic, is_same_persona
from tracelake.infer.lifecycle import is_busy
from tracelake.infer.names import name_from_arguments, name_from_tool, name_words, says_whom
from tracelake.infer.phrases import embedded_json, words_of
from tracelake.infer.state import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tracelake.infer.identity import Persona
    from tracelake.infer.phrases import Found
    from tracelake.infer.scope import Scope
    from tracelake.infer.state import Agent, Call, ToolCall

#: A relay notes the end of an answer a little after the client has read it.
CLOCK_SLACK = timedelta(milliseconds=50)
_PHRASE_MIN_CHARS = 12
_COUNTED_CHARS = 400
_PART_WEIGHT = 0.5
_IS_MESSAGE = 200
_IS_UNANSWERED = 150
_IS_UNCLAIMED = 50
_IS_NAMED = 100
_IS_STALE = -300
_IS_SENT_AGAIN = -100
_STALE = timedelta(seconds=60)
_SUMMARY_MIN_CHARS = 40
_SUMMARY_MIN_SHARE = 0.5
_CONTEXT_SHARE = 0.8
_TEXT_SHARE = 0.5
#: A spawned agent begins soon after the call that names it.
_CALLS_NAMING = 8


@dataclass(frozen=True, slots=True)
class Link:
    """Where a new conversation comes from.

    Attributes:
        kind: `tool`: a tool call delegated to it; `flow`: it works on a part of an answer;
            `pipeline`: it is given a whole answer as context; `summary`: it goes on from a summary.
        call: The call that asked or answered.
        tool: The delegating tool call.
        origin: Key of the words that started it, of this call alone.
        sources: For a pipeline, every call whose answer it is given.
    """

    kind: Literal["tool", "flow", "pipeline", "summary"]
    call: Call
    tool: ToolCall | None
    evidence: Evidence
    origin: int = 0
    sources: tuple[Call, ...] = ()


def choose_link(found: Sequence[Found], *, persona: Persona, start: datetime) -> Link | None:
    """The most telling of the phrases found in a new prompt, or None.

    Args:
        found: Phrases of earlier calls that stand in the prompt.
        persona: Persona of the new conversation.
        start: When its first call began.
    """
    known = _not_quoted([f for f in found if _is_before(f.phrase.call, start)])
    summary = _summary(known, persona, asked=True)
    if summary is not None:
        return summary
    context = _context(known)
    ranked = [
        (weight, place, f)
        for place, f in enumerate(known)
        if id(f.phrase) not in context and (weight := _weight(f, persona, start)) > 0
    ]
    if ranked:
        best = max(ranked, key=_rank)[2]
        confidence = 0.95 if best.is_message else 0.9 if best.phrase.is_whole else 0.75
        owner = best.phrase.tool.span_id if best.phrase.tool else best.phrase.call.span_id
        origin = hash((owner, best.phrase.words))
        if best.phrase.tool is not None:
            evidence = Evidence("tool_text", confidence)
            return Link("tool", best.phrase.call, best.phrase.tool, evidence, origin)
        return Link("flow", best.phrase.call, None, Evidence("flow", confidence - 0.1), origin)
    rewritten = _summary(known, persona, asked=False)
    if rewritten is not None:
        return rewritten
    handed = (f for f in known if id(f.phrase) in context)
    pipelines = [f for f in handed if f.phrase.characters >= _PHRASE_MIN_CHARS]
    if pipelines:
        latest = max(pipelines, key=lambda f: (f.phrase.call.start, f.phrase.characters))
        sources = tuple(f.phrase.call for f in pipelines)
        return Link("pipeline", latest.phrase.call, None, Evidence("flow", 0.6), 0, sources)
    return None


def _not_quoted(found: Sequence[Found]) -> list[Found]:
    """What stands in the prompt for itself, not only as part of words that a later call said."""
    whole = [f for f in found if f.phrase.is_whole and f.places]

    def is_quoted(quoted: Found) -> bool:
        call = quoted.phrase.call
        around = [f for f in whole if f.phrase.call.start > call.start]
        return all(any(p.holds(place) for f in around for p in f.places) for place in quoted.places)

    return [f for f in found if not f.places or not is_quoted(f)]


def _context(found: Sequence[Found]) -> set[int]:
    """Ids of the phrases that are handed on as context, not as the task.

    A whole answer is, and so are the parts of an answer that stands in the prompt with nearly all
    of them and most of its text; but a part that stands there more often than the others is the
    task. Of an answer that writes a call as text (`Action Input: {…}`) only the arguments do.
    """
    parts: dict[int, list[Found]] = {}
    context: set[int] = set()
    whole: set[int] = set()
    for f in found:
        if f.phrase.tool is None:
            parts.setdefault(id(f.phrase.call), []).append(f)
    for call_id, own in parts.items():
        whole.update(call_id for f in own if f.phrase.is_whole)
        call = own[0].phrase.call
        has_parts = call.answer_parts > 1 and len(own) >= _CONTEXT_SHARE * call.answer_parts
        said = sum(f.phrase.characters for f in own)
        is_all = call_id in whole or (has_parts and said >= _TEXT_SHARE * call.answer_characters)
        fewest = min(len(f.places) for f in own)
        context.update(id(f.phrase) for f in own if is_all and len(f.places) == fewest)
    return context


def _rank(candidate: tuple[float, int, Found]) -> tuple[float, bool, float, int]:
    weight, place, found = candidate
    tool = found.phrase.tool
    # of equal tool calls the first, as programs start what they were asked for in order; of equal
    # answers the latest
    age = found.phrase.call.start.timestamp()
    if tool is None:
        return weight, False, age, place
    return weight, True, -age, -tool_ordinal(tool)


def tool_ordinal(tool: ToolCall) -> int:
    """Place of a tool call among those of its answer."""
    return next((n for n, other in enumerate(tool.call.tools) if other is tool), 0)


def _is_before(call: Call, start: datetime) -> bool:
    return call.end is not None and call.end <= start + CLOCK_SLACK


def _weight(found: Found, persona: Persona, start: datetime) -> float:
    phrase, tool = found.phrase, found.phrase.tool
    if phrase.characters < _PHRASE_MIN_CHARS and not (
        found.is_message and tool is not None and tool.end is None
    ):
        return 0
    weight = min(phrase.characters, _COUNTED_CHARS) * (1 if phrase.is_whole else _PART_WEIGHT)
    weight += _IS_MESSAGE * found.is_message
    if tool is None:
        # an agent that goes on from its own answer in a new conversation stays the same agent
        return 0 if is_same_persona(phrase.call.persona, persona) else weight
    weight += _IS_NAMED * _named_share(tool, persona)
    weight += _IS_UNANSWERED * (tool.end is None)
    weight += _IS_UNCLAIMED * (not tool.children)
    # who asks again is likely to act on the second answer
    weight += _IS_SENT_AGAIN * (tool.call.again is not None)
    if tool.end is not None and start - tool.end > _STALE:
        weight += _IS_STALE
    return weight


def _summary(found: Sequence[Found], persona: Persona, *, asked: bool) -> Link | None:
    """The call whose answer, at least half of it, a conversation of the same agent begins with.

    Args:
        found: Phrases found in the new prompt.
        persona: Persona of the new conversation.
        asked: Only answers to a request for a summary; else only those of delegated agents, since
            top-level conversations of one persona are one agent anyway.
    """
    shares: dict[int, tuple[Call, int]] = {}
    for f in found:
        phrase = f.phrase
        if phrase.tool is not None or not _has_persona(phrase.call.agent, persona):
            continue
        call, characters = shares.get(id(phrase.call), (phrase.call, 0))
        part = phrase.call.answer_characters if phrase.is_whole else phrase.characters
        shares[id(call)] = call, characters + part
    enough = [
        call
        for call, characters in shares.values()
        if characters >= max(_SUMMARY_MIN_CHARS, _SUMMARY_MIN_SHARE * call.answer_characters)
        and (call.is_summary if asked else call.agent.via is not None)
    ]
    if not enough:
        return None
    return Link("summary", max(enough, key=lambda c: c.start), None, Evidence("compaction", 0.85))


def _has_persona(agent: Agent, persona: Persona) -> bool:
    return any(is_same_persona(persona, known) for known in agent.personas.values())


def tool_that_named(parent: Agent, name: str | None) -> ToolCall | None:
    """The tool call that named a new agent so in its arguments, or None.

    The words of a delegation may be encrypted on their way; the name that the caller gives is not.
    """
    if not name:
        return None
    tools = (t for call in reversed(parent.calls[-_CALLS_NAMING:]) for t in call.tools)
    named = [tool for tool in tools if not tool.children and gives_name(tool, name)]
    return next((tool for tool in named if tool.end is None), next(iter(named), None))


def gives_name(tool: ToolCall, name: str) -> bool:
    """Whether an argument of a tool call is a name, alone or at the end of a path of agents."""
    if name not in tool.arguments:
        return False
    fields = embedded_json(tool.arguments)
    values = list(fields.values()) if isinstance(fields, dict) else []
    return any(isinstance(value, str) and value.rsplit("/", 1)[-1] == name for value in values)


def waiting_tool(
    agents: Iterable[Agent], *, persona: Persona, messages: Sequence[str]
) -> ToolCall | None:
    """The tool call that a conversation without any repeated words was probably started by.

    It is one that has no result yet, of the innermost agent that waits, whose like was not seen to
    return without starting an agent, and for which no agent is known to be at work; None when
    several unrelated agents wait, or the one that waits is the same persona.
    """
    waiting = [agent for agent in agents if agent.awaiting]
    innermost = [a for a in waiting if not any(_is_ancestor(a, b) for b in waiting if b is not a)]
    if len(innermost) != 1 or _has_persona(innermost[0], persona):
        return None
    words = {word.lower() for text in messages for word in words_of(text[:20_000])}
    leaves = innermost[0].trace.leaf_tools
    awaiting = [tool for tool in innermost[0].awaiting.values() if tool.name not in leaves]
    tools = [t for t in awaiting if not any(is_busy(c) and not c.is_weak for c in t.children)]
    ranked = (
        (_named_share(t, persona), _shared(t, words), not t.children, -tool_ordinal(t), t)
        for t in tools
    )
    return max(ranked, key=lambda r: r[:4], default=(0, 0, True, 0, None))[4]


def launching_tool(agents: Iterable[Agent], scope: Scope) -> ToolCall | None:
    """The tool call without a result that started the process of a call, by the words of both.

    It is one of a process above, and its arguments name the program; of several the one that has
    most of the program's own arguments too, and rather one that started nothing yet.
    """
    program, *given = scope.command or ("",)
    if not program:  # unknown, code alone, or a folder without a name such as `.`
        return None
    above = {(scope.host, pid) for pid in scope.ancestors}
    named = re.compile(rf"(?<![\w.-]){re.escape(program)}(?![\w-]|\.\w)")
    launching = (
        tool
        for agent in agents
        for tool in agent.awaiting.values()
        if (tool.call.scope.host, tool.call.scope.pid) in above and named.search(tool.arguments)
    )
    ranked = (
        (sum(word in t.arguments for word in given), not t.children, t.start, -tool_ordinal(t), t)
        for t in launching
    )
    best = max(ranked, key=lambda r: r[:4], default=None)
    return best[4] if best else None


def naming_tool(agents: Iterable[Agent], persona: Persona) -> ToolCall | None:
    """The latest tool call without a result and without an agent that names this persona's role."""
    role = name_words(persona.role or "")
    if not role or is_generic(persona.role or ""):
        return None
    waiting = (tool for agent in agents for tool in agent.awaiting.values() if not tool.children)
    named = [tool for tool in waiting if _names(tool) and _names(tool) <= role]
    return max(named, key=lambda tool: (tool.start, -tool_ordinal(tool)), default=None)


def _names(tool: ToolCall) -> set[str]:
    """Words of the name that a delegating call gives an agent."""
    given = name_from_arguments(tool.arguments)
    if given is None and says_whom(tool.name):
        given = name_from_tool(tool.name)
    return name_words(given or "")


def _named_share(tool: ToolCall, persona: Persona) -> float:
    """Share of the words of the name that a call gives an agent which the agent's prompt holds."""
    named = _names(tool)
    return sum(hash(word) in persona.words for word in named) / len(named) if named else 0


def _shared(tool: ToolCall, words: set[str]) -> int:
    own = {word.lower() for word in words_of(tool.arguments[:20_000])}
    return len(own & words)


def _is_ancestor(agent: Agent, other: Agent) -> bool:
    above = other.parent
    while above is not None:
        if above is agent:
            return True
        above = above.parent
    return False
