"""Going on from an answer that calls tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tracelake.demo.launch import running_provider
from tracelake.playground.continuation import (
    Call,
    calls_of,
    continued,
    counterparts,
    recorded_results,
)
from tracelake.playground.draft import scratch
from tracelake.playground.provider import Target
from tracelake.playground.trial import Trial
from tracelake.wire import conversation

if TYPE_CHECKING:
    from tracelake.playground.draft import DraftApi

_ARGUMENTS = '{"path": "a.py"}'
ANSWERS: dict[DraftApi, list[dict[str, Any]]] = {
    "messages": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "server_tool_use", "id": "served", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "one", "name": "read_file", "input": {"path": "a.py"}},
    ],
    "chat": [
        {
            "index": 0,
            "message": {
                "content": None,
                "tool_calls": [
                    {
                        "id": "one",
                        "type": "function",
                        "function": {"name": "read_file", "arguments": _ARGUMENTS},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "responses": [
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "one", "name": "read_file", "arguments": _ARGUMENTS},
    ],
}


@pytest.mark.parametrize("api", ANSWERS)
def test_a_call_is_read_and_its_result_takes_its_place(api: DraftApi) -> None:
    """The client's calls are found in every format, and the next call holds call and result."""
    (call,) = calls_of(api, ANSWERS[api])
    assert (call.id, call.name) == ("one", "read_file")
    draft = scratch(api).edited(messages=[{"role": "user", "content": "Read it."}])
    after = continued(draft, ANSWERS[api], {"one": "print(1)"})
    assert after.messages[0] == draft.messages[0]
    parts = [part for turn in conversation(api, after.messages) for part in turn.parts]
    told = [(part.kind, part.id) for part in parts if part.kind.startswith("tool")]
    assert told[-2:] == [("tool_call", "one"), ("tool_result", "one")]
    assert parts[-1].text == "print(1)"
    span = {"attributes": {"api": api}, "messages": after.messages}
    assert recorded_results([span]) == {("read_file", call.arguments): "print(1)"}


def test_calls_find_the_recorded_ones_of_their_tool() -> None:
    """A call with other arguments than recorded stands for the one in its place, each once."""
    recorded = [Call("r1", "grep", "1"), Call("r2", "read", "2"), Call("r3", "grep", "3")]
    calls = [Call("a", "grep", "x"), Call("b", "write", "y"), Call("c", "grep", "z")]
    assert counterparts(calls, recorded) == {"a": recorded[0], "c": recorded[2]}


def test_the_answer_goes_back_as_it_came() -> None:
    """Thinking and its signature stay beside the call, as the provider demands."""
    after = continued(scratch("messages"), ANSWERS["messages"], {"one": "x"})
    assert after.messages[-2] == {"role": "assistant", "content": ANSWERS["messages"]}


def test_the_answer_of_a_custom_tool_is_named_after_its_call() -> None:
    """A tool that takes free text is answered by the item of its kind."""
    call = {"type": "custom_tool_call", "call_id": "one", "name": "sql", "input": "select 1"}
    assert calls_of("responses", [call]) == (Call("one", "sql", "select 1"),)
    after = continued(scratch("responses"), [call], {"one": "1"})
    output = {"type": "custom_tool_call_output", "call_id": "one", "output": "1"}
    assert after.messages[-2:] == [call, output]


@pytest.mark.parametrize(
    "kind", ["code_interpreter_call", "file_search_call", "web_search_call", "mcp_call"]
)
def test_a_call_that_the_provider_ran_waits_for_nothing(kind: str) -> None:
    """What the provider's own tools did is told by their items; nobody is asked for it."""
    assert calls_of("responses", [{"type": kind, "id": "c", "status": "completed"}]) == ()


def test_arguments_that_a_server_left_out_go_back_as_none() -> None:
    """A call whose arguments came as null goes back with an empty object: null is refused."""
    call = {"id": "one", "type": "function", "function": {"name": "now", "arguments": None}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    after = continued(scratch("chat"), [{"index": 0, "message": message}], {"one": "noon"})
    sent = after.messages[-2]["tool_calls"][0]
    assert sent["function"] == {"name": "now", "arguments": "{}"}
    assert call["function"] == {"name": "now", "arguments": None}


@pytest.mark.parametrize(
    "blocks", [None, "text", [], [{"type": {}}], [None], [{"type": "text", "text": "done"}]]
)
def test_an_answer_without_calls_waits_for_nothing(blocks: Any) -> None:
    """Text alone, or nothing yet, asks for no result."""
    assert calls_of("messages", blocks) == ()


@pytest.mark.parametrize("api", ANSWERS)
def test_a_provider_takes_the_continued_call(api: DraftApi) -> None:
    """What was put together is answered, not refused."""
    draft = scratch(api, model="claude-sonnet-4-5" if api == "messages" else "gpt-4o")
    draft = draft.edited(messages=[{"role": "user", "content": "Read it."}])
    after = continued(draft, ANSWERS[api], {"one": "print(1)"})
    with running_provider(pace=0) as provider:
        url = provider.address if api == "messages" else provider.openai_base_url
        outcome = Trial(after, Target("offline", url, "key")).start().wait(30)
    assert (outcome.status, outcome.http_status) == ("ok", 200)
