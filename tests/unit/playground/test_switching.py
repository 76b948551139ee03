"""Taking a draft to another provider's format and back."""

from __future__ import annotations

from typing import Any

import pytest

from tracelake.demo.launch import running_provider
from tracelake.playground.draft import Draft, draft_of_body
from tracelake.playground.provider import Target
from tracelake.playground.switching import returned, switched
from tracelake.playground.trial import Trial

RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "a", "is_error": True}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "s"}
USE = {"type": "tool_use", "id": "t1", "name": "grep", "input": {"q": "x"}}
BODY: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 64,
    "stream": True,
    "top_k": 5,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "grep", "input_schema": {"type": "object"}, "defer_loading": True}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Find x."}]},
        {"role": "assistant", "content": [THINKING, USE]},
        {"role": "user", "content": [RESULT]},
    ],
}
DRAFT = draft_of_body("messages", "anthropic", BODY)
RESPONSES = draft_of_body(
    "responses",
    "openai",
    {
        "model": "gpt-5",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "Find x."},
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"},
            {"type": "function_call", "call_id": "c", "name": "grep", "arguments": '{"q": "x"}'},
            {"type": "function_call_output", "call_id": "c", "output": "a"},
            {"role": "user", "content": "Thanks."},
        ],
    },
)


def test_what_cannot_go_along_is_told() -> None:
    """The user learns of thinking, cache marks and parameters before a test is sent."""
    there = switched(DRAFT, "chat")
    told = "; ".join(there.lost)
    for what in ("thinking and its signatures", "cache marks", "top_k", "defer_loading"):
        assert what in told
    assert (there.draft.api, there.draft.provider, there.draft.model) == (
        "chat",
        "openai",
        "gpt-5-mini",
    )
    assert there.draft.system == "Be brief."


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_unedited_it_comes_back_exactly(api: Any) -> None:
    """Looking at another format costs nothing."""
    there = switched(DRAFT, api).draft
    assert returned(DRAFT, there, there) is DRAFT
    assert DRAFT.body() == BODY


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_edit_comes_back_and_nothing_else_changes(api: Any) -> None:
    """One edited message and one parameter; thinking, marks and parameters stay elsewhere."""
    there = switched(DRAFT, api).draft
    messages = [*there.messages, {"role": "user", "content": "And y?"}]
    edited = there.edited(messages=messages).with_parameter("temperature", 0.5)
    body = returned(DRAFT, there, edited).body()
    assert body == {
        **BODY,
        "temperature": 0.5,
        "messages": [*BODY["messages"], {"role": "user", "content": "And y?"}],
    }


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_edited_system_prompt_comes_back(api: Any) -> None:
    """Wherever a format keeps it."""
    there = switched(DRAFT, api).draft
    body = returned(DRAFT, there, there.edited(system="Be long.")).body()
    assert body == {**BODY, "system": "Be long."}


def test_items_that_could_not_go_along_come_back_in_their_place() -> None:
    """Encrypted reasoning stands again before the call that it led to."""
    there = switched(RESPONSES, "messages").draft
    messages = [*there.messages[:-1], {"role": "user", "content": "Thank you."}]
    after = returned(RESPONSES, there, there.edited(messages=messages))
    assert after.messages[:4] == RESPONSES.messages[:4]
    assert after.messages[4:] == [{"role": "user", "content": "Thank you."}]


def test_within_a_provider_the_model_stays() -> None:
    """Chat and Responses are answered by the same models."""
    assert switched(RESPONSES, "chat").draft.model == "gpt-5"
    assert switched(RESPONSES, "messages", model="claude-x").draft.model == "claude-x"


@pytest.mark.parametrize("draft", [DRAFT, RESPONSES], ids=lambda draft: draft.api)
@pytest.mark.parametrize("api", ["messages", "chat", "responses"])
def test_a_provider_takes_the_switched_call(draft: Draft, api: Any) -> None:
    """What was put together is answered, not refused."""
    there = switched(draft, api).draft
    with running_provider(pace=0) as provider:
        url = provider.address if api == "messages" else provider.openai_base_url
        outcome = Trial(there, Target("offline", url, "key")).start().wait(30)
    assert (outcome.status, outcome.http_status) == ("ok", 200)
