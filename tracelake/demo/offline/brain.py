"""Chooses what to answer: the demo's script where it applies, else a generic answer."""

from __future__ import annotations

from dataclasses import replace

from tracelake.demo.offline.conversation import Answer, Ask, estimate_tokens
from tracelake.demo.offline.generic import answer_generically
from tracelake.demo.offline.scenario import answer_as_team


def think(ask: Ask) -> Answer:
    """The answer to a request; a function of the request alone, ids in it excepted."""
    answer = answer_as_team(ask) or answer_generically(ask)
    if not ask.thinks:
        answer = replace(answer, thinking="")
    if ask.max_tokens is not None and estimate_tokens(answer.text) > ask.max_tokens:
        return Answer(answer.text[: 4 * ask.max_tokens], is_cut=True)
    return answer
