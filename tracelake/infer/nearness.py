"""Which of several live traces a new conversation belongs to that nothing explicit places.

Programs ask several agents the same (a guard beside the agent, experts side by side, a router and
whom it chose), hand them a short name that is no phrase worth recognising, start several of a kind
at once, or ask an agent again. Of one trace alone that is enough; where several traces agree, none
is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.infer.identity import is_same_persona
from tracelake.infer.neighbours import speaks_as
from tracelake.infer.phrases import embedded_json, words_of
from tracelake.infer.threads import without_reminders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from tracelake.infer.identity import Persona
    from tracelake.infer.placement import Asked
    from tracelake.infer.state import ToolCall, Trace
    from tracelake.wire.call import Atom

#: A shorter message says too little for two agents to have been asked it by one program.
_QUESTION_MIN_CHARS = 20
#: Among more runs at once than this nothing is guessed.
_LIVE_MAX = 16
_VALUE_MIN_CHARS = 4
_VALUE_MAX_CHARS = 60
_PROMPT_READ_CHARS = 20_000
_PERSONAS_KEPT = 16


def one_agreeing(asked: Asked, traces: Iterable[Trace]) -> Trace | None:
    """The one trace whose words agree with those of a new conversation; None of several."""
    live = list(traces)
    if len(live) > _LIVE_MAX:
        return None
    question = _question(asked.core)
    asking = [t for t in live if question in t.asked_first] if question is not None else []
    agreeing = [t for t in asking if _is_another(t.asked_first[question or 0], asked.persona)]
    waiting = [] if agreeing else [(t, tools) for t in live if (tools := _unclaimed(t))]
    if waiting:
        prompt = "\n".join((asked.request.system, *asked.messages))[:_PROMPT_READ_CHARS]
        words = {word.lower() for word in words_of(prompt)}
        agreeing = [t for t, tools in waiting if any(_names(tool, words) for tool in tools)]
        agreeing = agreeing or [t for t, tools in waiting if any(_is_next(x, asked) for x in tools)]
    agreeing = agreeing or [trace for trace in live if _knows(trace, asked.persona)]
    return agreeing[0] if len(agreeing) == 1 else None


def note_question(trace: Trace, asked: Asked) -> None:
    """Keep who speaks in a trace, and what the conversation was asked first."""
    if asked.persona.fingerprint:
        trace.personas.setdefault(asked.persona.fingerprint)
    question = _question(asked.core)
    if question is None:
        return
    personas = trace.asked_first.setdefault(question, [])
    if all(known.fingerprint != asked.persona.fingerprint for known in personas):
        personas.append(asked.persona)
        del personas[:-_PERSONAS_KEPT]


def _question(core: Sequence[Atom]) -> int | None:
    """A hash of the first message, None where it is too short to tell anything."""
    first = core[0] if core else None
    if first is None or first.role != "user" or first.kind != "text":
        return None
    text = without_reminders(first.text)
    return hash(text) if len(text) >= _QUESTION_MIN_CHARS else None


def _is_another(asked: Sequence[Persona], persona: Persona) -> bool:
    """Whether others were asked the same; the same agent was in another run of the program."""
    return not any(is_same_persona(known, persona) for known in asked)


def _knows(trace: Trace, persona: Persona) -> bool:
    """Whether a persona has spoken in a trace, but not as its first: that begins new runs."""
    known = trace.personas
    return persona.fingerprint in known and next(iter(known)) != persona.fingerprint


def _unclaimed(trace: Trace) -> list[ToolCall]:
    """Tool calls that have neither a result nor an agent, and may have started one."""
    waiting = [agent.awaiting for agent in trace.agents if agent.awaiting]
    tools = (tool for awaiting in waiting for tool in awaiting.values())
    return [tool for tool in tools if not tool.children and tool.name not in trace.leaf_tools]


def _names(tool: ToolCall, words: set[str]) -> bool:
    """Whether a short argument of a tool call stands in a prompt of these words."""
    return any(value <= words for value in _short_values(embedded_json(tool.arguments)))


def _is_next(tool: ToolCall, asked: Asked) -> bool:
    """Whether a call of the same tool, in the same answer, has started an agent of the persona."""
    beside = (other for other in tool.call.tools if other.name == tool.name)
    started = [child for other in beside for child in other.children]
    is_told = bool(asked.persona.fingerprint)
    return is_told and any(speaks_as(child, asked.persona) for child in started)


def _short_values(value: Any) -> Iterator[set[str]]:
    if isinstance(value, str) and _VALUE_MIN_CHARS <= len(value) <= _VALUE_MAX_CHARS:
        words = {word.lower() for word in words_of(value)}
        if words:
            yield words
    elif isinstance(value, dict):
        for item in value.values():
            yield from _short_values(item)
