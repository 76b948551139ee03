"""Whose conversation a call sums up that quotes it instead of continuing it.

Programs that shorten their history may ask for the summary in a new conversation, under a prompt of
its own that gives no role: the whole history is told in one message. Such a call is the agent's own
work, as a request to sum up inside its conversation is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.infer.auxiliary import asks_for_summary
from tracelake.infer.threads import without_reminders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracelake.infer.placement import Asked
    from tracelake.infer.state import Agent, Trace
    from tracelake.wire.call import Atom

_OPENING_CHARS = 200
#: A shorter message says too little to recognise a conversation by.
_OPENING_MIN_CHARS = 20
_AGENTS_TRIED = 32
_THREADS_TRIED = 4


def opening_of(core: Sequence[Atom]) -> str:
    """The beginning of the first message of a conversation, its spaces and quotes made even."""
    first = core[0] if core and core[0].role == "user" and core[0].kind == "text" else None
    return _even(without_reminders(first.text)[:_OPENING_CHARS]) if first is not None else ""


def retold_agent(asked: Asked, trace: Trace) -> Agent | None:
    """The agent whose conversation a request retells and asks to sum up, or None.

    The agent has made more than one call in it: what one answer is made into is another's work.
    Of several it is the one whose task is told first: those of its own agents stand further on.
    """
    core, persona = asked.core, asked.persona
    if len(core) != 1 or persona.role is not None or persona.tools or not asks_for_summary(core):
        return None
    text = _even(core[0].text)
    first: tuple[int, Agent | None] = len(text), None
    for agent in reversed(trace.agents[-_AGENTS_TRIED:]):
        for thread in reversed(agent.threads[-_THREADS_TRIED:]):
            is_long = len(thread.calls) > 1 and len(thread.opening) >= _OPENING_MIN_CHARS
            place = text.find(thread.opening, 0, first[0]) if is_long else -1
            if place > 0:
                first = place, agent
    return first[1]


def _even(text: str) -> str:
    return " ".join(text.replace("\\n", " ").replace("\\", "").split())
