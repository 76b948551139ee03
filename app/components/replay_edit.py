"""The edit of a step that is to be rerun: what can be edited, how other pages fill it in.

What is filled in opens with its own kind of edit, whatever was looked at before at that step.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from app import state
from tracelake.model import new_id
from tracelake.replay.session import Edit

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER, BODY, REQUEST, RESULT = "Answer", "Answer as JSON", "Request", "Result"


class Opened(NamedTuple):
    """What was filled in for a step.

    Attributes:
        what: The kind of edit that is shown.
        is_whole: Whether an answer is all of it: it calls no tools.
        name: Of this filling in: controls named by it know nothing of an earlier one.
    """

    what: str | None = None
    is_whole: bool = False
    name: str = ""


def fill_in(span_id: str, texts: Mapping[str, str], *, is_whole: bool) -> None:
    """Let Replay open a step with an edit.

    Args:
        span_id: The step.
        texts: For each kind of edit its text; the last is shown.
        is_whole: Whether an answer is all of it: it calls no tools.
    """
    for what, text in texts.items():
        state.put(text_key(span_id, what), text)
    state.put(_opened_key(span_id), Opened([*texts][-1], is_whole, new_id()))


def opened(span_id: str) -> Opened:
    """What was filled in last for a step; nothing unless something was."""
    return state.get(_opened_key(span_id), Opened())


def text_key(span_id: str, what: str) -> str:
    """Key of the control that holds the text of one kind of edit."""
    return f"replay-edit-{span_id}-{what}"


def keep(span_id: str, edited: tuple[str, str] | None) -> None:
    """Note the edit of a step for a checkpoint: its kind and its text, None while it has none."""
    state.put(_typed_key(span_id), edited)


def kept(span_id: str) -> tuple[str, str] | None:
    """The edit of a step as it was typed last: its kind and its text, None without one."""
    return state.get(_typed_key(span_id))


def as_edit(what: str, typed: str) -> Edit:
    """The edit that a text stands for.

    Raises:
        ValueError: It is no JSON object where one is needed; says so in a sentence.
    """
    if what in {ANSWER, RESULT}:
        return Edit(response_text=typed)
    try:
        body = json.loads(typed)
    except ValueError as error:
        message = f"This is not JSON: {error}."
        raise ValueError(message) from None
    if not isinstance(body, dict):
        message = "The body must be a JSON object."
        raise ValueError(message)  # noqa: TRY004 - what was typed is wrong, not our use of it
    return Edit(response_body=body) if what == BODY else Edit(request_body=body)


def _opened_key(span_id: str) -> str:
    return f"_replay_opened {span_id}"


def _typed_key(span_id: str) -> str:
    return f"_replay_edit {span_id}"
