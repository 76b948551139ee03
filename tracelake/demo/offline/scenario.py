"""The demo program's team: which agent asks, and what it is told.

Every step follows from what the conversation holds so far, not from a count of steps, so that the
script also goes on sensibly after an answer, a tool result or an assignment was edited.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tracelake.demo.offline.coder import answer_as_coder
from tracelake.demo.offline.orchestrator import answer_as_orchestrator
from tracelake.demo.offline.tester import answer_as_tester
from tracelake.demo.offline.work import Work

if TYPE_CHECKING:
    from tracelake.demo.offline.conversation import Answer, Ask

AGENTS = {
    "orchestrator": answer_as_orchestrator,
    "coder": answer_as_coder,
    "tester": answer_as_tester,
}
_ROLE = re.compile(r"You are the (\w+) of a small maintenance team")


def answer_as_team(ask: Ask) -> Answer | None:
    """The answer to one of the demo program's agents; None when the prompt is not of them."""
    role = _ROLE.search(ask.system)
    agent = AGENTS.get(role[1]) if role else None
    if role is None or agent is None or not ask.turns:
        return None
    answer = agent(ask)
    if answer.calls:
        return replace(answer, text=Work(ask, role[1]).voice(answer.text))
    return answer
