"""Native messages as editable pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracelake.playground.fields import (
    as_list,
    fields_of,
    from_json,
    new_message,
    role_of,
    with_field,
)

MESSAGES: list[Any] = [
    {"role": "user", "content": "plain"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "grep", "input": {"q": "é"}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "3"}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
    {"type": "function_call_output", "call_id": "c", "output": "done"},
    {"type": "reasoning", "summary": []},
    {"role": "user", "content": ["a", {"type": "image_url", "image_url": {"url": "data:…"}}]},
    "just text",
]


@pytest.mark.parametrize("message", MESSAGES, ids=role_of)
def test_putting_back_what_was_not_edited_changes_nothing(message: Any) -> None:
    """Every piece written back as it was gives the same message, of any format."""
    for piece in fields_of(message):
        assert with_field(message, piece, piece.value) == message


@pytest.mark.parametrize("message", MESSAGES, ids=role_of)
def test_every_piece_can_be_edited(message: Any) -> None:
    """A new value lands in its place and nowhere else; the given message is left alone."""
    before = json.dumps(message)
    for piece in fields_of(message):
        value = "new" if piece.kind == "text" else '{"new": 1}'
        changed = with_field(message, piece, value)
        assert changed != message
        assert any(found.value != piece.value for found in fields_of(changed))
    assert json.dumps(message) == before


def test_tool_calls_are_edited_as_json_with_their_name() -> None:
    """A tool call shows its name and its JSON as people write it."""
    piece = fields_of(MESSAGES[1])[2]
    assert piece.label == "tool use grep"
    assert "é" in piece.value


def test_broken_json_says_where() -> None:
    """What is no JSON is refused with its place, so that it can be mended."""
    piece = fields_of(MESSAGES[1])[2]
    with pytest.raises(ValueError, match=r"tool use grep is not JSON: .* line 1"):
        with_field(MESSAGES[1], piece, "{oops")


def test_a_plain_string_becomes_the_users_message() -> None:
    """Input given as text can be added to like any conversation."""
    assert as_list("responses", "hi") == [new_message("responses", "user", "hi")]
    assert as_list("chat", None) == []


def test_a_piece_finds_its_value_in_a_message_that_was_edited_since() -> None:
    """An editor keeps its piece, whatever the message would be taken apart into by now."""
    item = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text"}]}
    (piece,) = fields_of(item)
    edited = with_field(item, piece, json.dumps({**item, "output": "done"}))
    assert fields_of(edited)[0].path == ("output",)
    assert json.loads(piece.of(edited).value) == edited
    assert with_field(edited, piece.of(edited), json.dumps(item)) == item


@pytest.mark.parametrize("text", ["{oops", "[" * 100_000, "3"])
def test_what_is_no_json_of_its_kind_says_why(text: str) -> None:
    """Broken, too deep or of another kind: one sentence that names what it is."""
    with pytest.raises(ValueError, match=r"^tools is n(ot|ested)"):
        from_json(text, "tools", kind=list)
