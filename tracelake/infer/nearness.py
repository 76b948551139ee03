"""Which of several live traces a new conversation belongs to that nothing explicit places.

Programs ask several agents the same (a guard beside the agent, experts side by side, a router and
whom it chose), or hand them a short name that is no phrase worth recognising. Of one trace alone
that is enough; where several traces agree, none is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.infer.identity import is_same_persona
from tracelake.infer.phrases import embedded_json, words_of
from tracelake.infer.threads import without_reminders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from tracelake.infer.placement import Asked
    from tracelake.infer.state import Trace
    from tracelake.wire.call import Atom

#: A shorter message says too little for two agents to have been asked it by one program.
_QUESTION_MIN_CHARS = 20
_VALUE_MIN_CHARS = 4
_VALUE_MAX_CHARS = 60
_PROMPT_READ_CHARS = 20_000
_PERSONAS_KEPT = 16


def one_agreeing(asked: Asked, traces: Iterable[Trace]) -> Trace | None:
    """The one trace whose words agree with those of a new conversation; None of several."""
    live = list(traces)
    question = _question(asked.core)
    same = [trace for trace in live if question is not None and _asked_another(trace, asked)]
    if len(same) == 1:
        return same[0]
    waiting = [trace for trace in live if any(_open_values(trace))]
    if same or not waiting:
        return None
    prompt = "\n".join((asked.request.system, *asked.messages))[:_PROMPT_READ_CHARS]
    words = {word.lower() for word in words_of(prompt)}
    named = [trace for trace in waiting if any(v <= words for v in _open_values(trace))]
    return named[0] if len(named) == 1 else None


def note_question(trace: Trace, asked: Asked) -> None:
    """Keep what a conversation was asked first, and who was."""
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


def _asked_another(trace: Trace, asked: Asked) -> bool:
    """Whether others were asked the same; the same agent was in another run of the program."""
    personas = trace.asked_first.get(_question(asked.core) or 0, ())
    return bool(personas) and not any(is_same_persona(p, asked.persona) for p in personas)


def _open_values(trace: Trace) -> Iterator[set[str]]:
    """Words of the short arguments of tool calls that have neither a result nor an agent."""
    for agent in trace.agents:
        for tool in agent.awaiting.values():
            if not tool.children and tool.name not in trace.leaf_tools:
                yield from _short_values(embedded_json(tool.arguments))


def _short_values(value: Any) -> Iterator[set[str]]:
    if isinstance(value, str) and _VALUE_MIN_CHARS <= len(value) <= _VALUE_MAX_CHARS:
        words = {word.lower() for word in words_of(value)}
        if words:
            yield words
    elif isinstance(value, dict):
        for item in value.values():
            yield from _short_values(item)
