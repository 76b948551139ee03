"""The call under edit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracelake.errors import QueryError
from tracelake.playground.draft import changes, draft_of, scratch

SPAN: dict[str, Any] = {
    "kind": "llm",
    "span_id": "s1",
    "provider": "anthropic",
    "model": "claude-haiku-4-5",
    "system": "Be brief.",
    "messages": json.dumps([{"role": "user", "content": "Hello"}]),
    "tools": None,
    "request": json.dumps({"model": "claude-haiku-4-5", "max_tokens": 64, "stream": True}),
    "attributes": json.dumps({"api": "messages"}),
}


def test_an_unedited_span_gives_the_recorded_body() -> None:
    """Opening a call and sending it changes nothing."""
    assert draft_of(SPAN).body() == {
        "model": "claude-haiku-4-5",
        "max_tokens": 64,
        "stream": True,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_parsed_columns_are_as_good_as_text() -> None:
    """A span read by the app, JSON parsed, gives the same draft as one read raw."""
    names = ("messages", "request", "attributes")
    parsed = {**SPAN, **{name: json.loads(SPAN[name]) for name in names}}
    assert draft_of(parsed) == draft_of(SPAN)


def test_a_span_that_is_no_call_is_refused() -> None:
    """Only LLM calls of a format that can be sent again are opened, with a reason otherwise."""
    with pytest.raises(QueryError, match="not an LLM call"):
        draft_of({**SPAN, "kind": "tool"})
    with pytest.raises(QueryError, match="embeddings"):
        draft_of({**SPAN, "attributes": {"api": "embeddings"}})


def test_changes_name_what_was_edited() -> None:
    """Edits are told by name, parameters one by one, and gone when taken back."""
    original = draft_of(SPAN)
    edited = original.edited(system="Be long.").with_parameter("temperature", 0.5)
    edited = edited.with_parameter("max_tokens", None)
    assert changes(original, edited) == ("system", "max_tokens", "temperature")
    assert changes(original, original.edited(tools=[])) == ()


def test_tools_taken_out_leave_no_empty_key() -> None:
    """Without tools no key is sent; an empty list that was recorded is sent again."""
    with_tools = draft_of({**SPAN, "tools": [{"name": "grep"}]})
    assert with_tools.body()["tools"] == [{"name": "grep"}]
    assert "tools" not in with_tools.edited(tools=None).body()
    assert draft_of({**SPAN, "tools": []}).body()["tools"] == []


@pytest.mark.parametrize("api", ["messages", "chat", "responses"])
def test_a_call_from_scratch_is_streamed_and_bounded(api: Any) -> None:
    """A new call asks for a stream, names a limit and, for chat, asks for its usage."""
    body = scratch(api, model="m").edited(system="S").body()
    assert body["stream"] is True
    assert ("stream_options" in body) == (api == "chat")
    assert any(key.startswith("max_") for key in body)
