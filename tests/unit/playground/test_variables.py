"""Variables of a prompt."""

from __future__ import annotations

from tracelake.playground.draft import scratch
from tracelake.playground.variables import filled, names_of

_BLOCKS = [
    {"type": "text", "text": "For {{ customer }} in {{lang}}."},
    {"type": "image", "source": {"type": "base64", "data": "{{lang}}"}},
]


def _draft():  # noqa: ANN202 - the type is the one of scratch
    return scratch().edited(
        system="You serve {{customer}}.", messages=[{"role": "user", "content": _BLOCKS}]
    )


def test_names_stand_once_in_order() -> None:
    """System prompt first, then messages; media and text that is no name are not read."""
    assert names_of(_draft()) == ("customer", "lang")
    assert names_of(scratch().edited(system="{{ 1 }} {{}} {a}")) == ()


def test_values_replace_and_what_has_none_stays() -> None:
    """A value is put in literally, braces and backslashes too; an empty one changes nothing."""
    draft = filled(_draft(), {"customer": r"A{{lang}}\1", "lang": ""})
    assert draft.system == r"You serve A{{lang}}\1."
    assert draft.messages[0]["content"][0]["text"] == r"For A{{lang}}\1 in {{lang}}."
    assert draft.messages[0]["content"][1] == _BLOCKS[1]


def test_a_prompt_without_values_is_the_same_object() -> None:
    """Nothing to fill in leaves the recorded call untouched."""
    draft = _draft()
    assert filled(draft, {}) is draft
