"""Where another result of a tool goes in a request."""

from __future__ import annotations

from typing import Any

import pytest

from tracelake.replay.tool_result import with_result

BLOCK = {"type": "tool_result", "tool_use_id": "t1", "content": "old", "is_error": True}
BODIES: dict[str, tuple[dict[str, Any], Any]] = {
    "messages": (
        {"messages": [{"role": "user", "content": [BLOCK, {"type": "text", "text": "go"}]}]},
        [
            {
                "role": "user",
                "content": [
                    {**BLOCK, "content": "new", "is_error": False},
                    {"type": "text", "text": "go"},
                ],
            }
        ],
    ),
    "chat": (
        {"messages": [{"role": "tool", "tool_call_id": "t1", "content": "old"}]},
        [{"role": "tool", "tool_call_id": "t1", "content": "new"}],
    ),
    "responses": (
        {"input": [{"type": "function_call_output", "call_id": "t1", "output": "old"}]},
        [{"type": "function_call_output", "call_id": "t1", "output": "new"}],
    ),
}


@pytest.mark.parametrize("api", BODIES)
def test_the_result_is_found_by_the_id_of_the_call(api: str) -> None:
    """Each format names the call in its own way; everything else stays as it was."""
    body, expected = BODIES[api]
    given = {"model": "m", **body}
    changed = with_result(given, call_id="t1", before="old", text="new")
    key = next(iter(body))
    assert changed == {"model": "m", key: expected}
    assert with_result(given, call_id="other", before="unsaid text", text="new") is None


def test_a_result_sent_as_plain_text_is_found_by_what_it_said() -> None:
    """The newest message that quotes it is changed; what the model itself said is not."""
    old = "2 files: a.py, b.py"
    said = [
        {"role": "user", "content": f"Tool result from ls:\n{old}"},
        {"role": "assistant", "content": f"I see {old}"},
        {"role": "user", "content": "Go on."},
    ]
    changed = with_result({"messages": said}, call_id=None, before=old, text="nothing")
    assert changed is not None
    assert [m["content"] for m in changed["messages"]] == [
        "Tool result from ls:\nnothing",
        f"I see {old}",
        "Go on.",
    ]


def test_a_text_too_short_to_be_told_apart_is_left() -> None:
    """`ok` stands everywhere."""
    body = {"messages": [{"role": "user", "content": "ok"}]}
    assert with_result(body, call_id=None, before="ok", text="no") is None
