"""OpenAI Responses: streams, whole answers, and what is left of broken streams."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wire.exchanges import RESPONSES, answered, asked, sse
from tracelake.wire import Usage, conversation, response_turn
from tracelake.wire.request import tool_names

CREATED = {
    "type": "response.created",
    "response": {
        "id": "resp_1",
        "model": "gpt-5-2025-08-07",
        "status": "in_progress",
        "output": [],
    },
}
ITEMS: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {
        "type": "message",
        "id": "m_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [{"type": "x"}]}],
    },
    {"type": "function_call", "id": "f_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    {"type": "custom_tool_call", "id": "k_1", "call_id": "c2", "name": "patch", "input": "+ line"},
    {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "status": "completed"},
]
DELTAS: list[dict[str, Any]] = [
    CREATED,
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "rs_1", "summary": []},
    },
    {
        "type": "response.reasoning_summary_part.added",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": ""},
    },
    {
        "type": "response.reasoning_summary_text.delta",
        "output_index": 0,
        "summary_index": 0,
        "delta": "Hm.",
    },
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {"type": "message", "id": "m_1", "role": "assistant", "content": []},
    },
    {
        "type": "response.content_part.added",
        "output_index": 1,
        "content_index": 0,
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Hel"},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "lo"},
    {
        "type": "response.output_text.annotation.added",
        "output_index": 1,
        "content_index": 0,
        "annotation": {"type": "x"},
    },
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {
            "type": "function_call",
            "id": "f_1",
            "call_id": "c1",
            "name": "f",
            "arguments": "",
        },
    },
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a"'},
    {
        "type": "response.function_call_arguments.done",
        "output_index": 2,
        "arguments": '{"a":1}',
    },
    {
        "type": "response.output_item.added",
        "output_index": 3,
        "item": {"type": "custom_tool_call", "id": "k_1", "call_id": "c2", "name": "patch"},
    },
    {"type": "response.custom_tool_call_input.delta", "output_index": 3, "delta": "+ "},
    {"type": "response.custom_tool_call_input.delta", "output_index": 3, "delta": "line"},
    {"type": "response.code_interpreter_call_code.delta", "output_index": 4, "delta": "1+1"},
]
FINAL: dict[str, Any] = {
    "id": "resp_1",
    "model": "gpt-5-2025-08-07",
    "status": "completed",
    "output": ITEMS,
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
    },
}


def said(response: Any) -> list[tuple[str, str | None, str]]:
    """Kind, name and content of each atom."""
    return [(a.kind, a.name, a.text or a.arguments or "") for a in response.atoms]


SAID = [
    ("thinking", None, "Hm."),
    ("text", None, "Hello"),
    ("tool_call", "f", '{"a":1}'),
    ("tool_call", "patch", "+ line"),
    ("tool_call", "code_interpreter", '{"code":"1+1"}'),
]


@pytest.mark.parametrize("output", [ITEMS, []], ids=["repeated", "left empty"])
def test_a_finished_stream_gives_the_whole_response(output: list[Any]) -> None:
    """The final event decides; where its output is empty the streamed items stand in."""
    done = [
        {"type": "response.output_item.done", "output_index": i, "item": item}
        for i, item in enumerate(ITEMS)
    ]
    final = {"type": "response.completed", "response": {**FINAL, "output": output}}
    response = answered(RESPONSES, sse(*DELTAS, *done, final, names=True))
    assert said(response) == SAID
    assert response.text == "Hello"
    assert response.usage == Usage(100, 20, 60, None, 8)
    assert (response.finish_reason, response.response_id) == ("completed", "resp_1")
    assert response.error is None
    # 40 fresh and 60 cached in, 20 out, at 1.25 / 0.125 / 10 dollars a million
    assert response.cost_usd == pytest.approx((40 * 1.25 + 60 * 0.125 + 20 * 10) / 1e6)


def test_a_stream_that_died_is_rebuilt_from_its_deltas() -> None:
    """Every item that had begun is there, as far as it came, and usage stays unknown."""
    response = answered(RESPONSES, sse(*DELTAS, names=True), outcome="upstream_died")
    assert said(response) == SAID
    assert response.model == "gpt-5-2025-08-07"
    assert response.blocks[1]["content"][0]["annotations"] == [{"type": "x"}]
    assert response.usage == Usage()
    assert response.error_type == "upstream_died"


def test_deltas_whose_beginning_was_missed_are_kept() -> None:
    """A server that announces neither item nor part still gives its text."""
    events = [{"type": "response.output_text.delta", "delta": text} for text in ("Hel", "lo")]
    assert answered(RESPONSES, sse(*events)).text == "Hello"


def test_an_incomplete_response_says_why() -> None:
    """Running out of tokens is a finish reason, not an error."""
    response = answered(
        RESPONSES,
        sse(
            *DELTAS,
            {
                "type": "response.incomplete",
                "response": {
                    **FINAL,
                    "status": "incomplete",
                    "incomplete_details": {"reason": "max_output_tokens"},
                },
            },
        ),
    )
    assert (response.finish_reason, response.error) == ("max_output_tokens", None)


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_error", "message": "oops"}},
        },
        {"type": "error", "code": "server_error", "message": "oops", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "oops"}},
    ],
)
def test_a_failed_stream_is_an_error_with_its_parts(event: dict[str, Any]) -> None:
    """However the failure is put, its class and message are read and the items are kept."""
    response = answered(RESPONSES, sse(*DELTAS, event, names=True))
    assert (response.error_type, response.error) == ("server_error", "oops")
    assert response.text == "Hello"


def test_tools_that_the_provider_ran_have_call_and_result() -> None:
    """MCP, search, shell and image calls show what was asked and what came of it."""
    output = [
        {"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []},
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "name": "ask",
            "arguments": '{"q":1}',
            "output": "yes",
            "error": None,
        },
        {
            "type": "mcp_call",
            "id": "mcp_2",
            "name": "ask",
            "arguments": "{}",
            "output": None,
            "error": {"type": "http_error", "code": 500, "message": "down"},
        },
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "id": "fs_1", "queries": ["a"], "results": None},
        {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"},
        {
            "type": "shell_call_output",
            "call_id": "sh_1",
            "output": [{"stdout": "out", "stderr": "err", "outcome": {"type": "exit"}}],
        },
        {"type": "future_thing", "id": "x"},
    ]
    response = answered(RESPONSES, {**FINAL, "output": output})
    kinds = [(a.kind, a.id, a.text, a.is_error) for a in response.atoms]
    assert kinds[1:5] == [
        ("tool_call", "mcp_1", "", None),
        ("tool_result", "mcp_1", "yes", None),
        ("tool_call", "mcp_2", "", None),
        ("tool_result", "mcp_2", "down", True),
    ]
    calls = [(a.name, a.arguments) for a in response.atoms if a.kind == "tool_call"]
    assert calls[2:] == [
        ("web_search", '{"query":"q","type":"search"}'),
        ("file_search", '{"queries":["a"]}'),
        ("image_generation", "{}"),
    ]
    assert ("tool_result", "sh_1", "out\nerr", None) in kinds
    assert {part.kind for part in response_turn("responses", output).parts} >= {"image", "other"}


def test_request_items_become_atoms_and_turns() -> None:
    """Instructions are the system prompt; items of every kind follow, each with its place."""
    items = [
        {"role": "developer", "content": "Context."},
        {"role": "user", "content": [{"type": "input_text", "text": "Go"}]},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "zzz"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "done"},
        {"type": "local_shell_call", "call_id": "s", "action": {"command": ["ls"]}},
        {"type": "item_reference", "id": "i"},
    ]
    request = asked(RESPONSES, {"model": "gpt-5", "instructions": "You are A.", "input": items})
    assert request.system == "You are A."
    assert [(a.role, a.kind) for a in request.atoms] == [
        ("developer", "text"),
        ("user", "text"),
        ("assistant", "thinking"),
        ("assistant", "tool_call"),
        ("user", "tool_result"),
        ("assistant", "tool_call"),
        ("assistant", "other"),
    ]
    turns = conversation("responses", items, None)
    assert [turn.index for turn in turns] == list(range(7))


def test_leading_messages_are_the_system_prompt_without_instructions() -> None:
    """Without instructions the developer message that opens the input is the system prompt."""
    items = [{"role": "developer", "content": "You are A."}, {"role": "user", "content": "Go"}]
    request = asked(RESPONSES, {"model": "gpt-5", "input": items})
    assert request.system == "You are A."
    assert [a.text for a in request.atoms] == ["Go"]


def test_tool_names_of_namespaces_are_listed() -> None:
    """Tools within a namespace are named one by one, tools of the provider by their type."""
    request = asked(
        RESPONSES,
        {
            "input": "Hi",
            "tools": [
                {"type": "namespace", "name": "n", "tools": [{"name": "a"}, {"name": "b"}]},
                {"type": "web_search"},
                {"type": "custom", "name": "patch"},
            ],
        },
    )
    assert request.tool_names == ("a", "b", "web_search", "patch")


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        ({"type": "exit", "exit_code": 0}, False),
        ({"type": "exit", "exit_code": 2}, True),
        ({"type": "timeout"}, True),
        (None, None),
    ],
)
def test_a_shell_command_says_how_it_ended(outcome: Any, failed: Any) -> None:
    """The exit code of any of its commands, or that time ran out, makes a result an error."""
    piece = {"stdout": "a", "stderr": "", **({"outcome": outcome} if outcome else {})}
    item = {"type": "shell_call_output", "call_id": "s", "output": [piece]}
    request = asked(RESPONSES, {"model": "m", "input": [item]})
    assert [atom.is_error for atom in request.atoms] == [failed]


def test_a_set_of_remote_tools_is_named_after_its_server() -> None:
    """Tools of an MCP server have no names of their own."""
    assert tool_names(
        [
            {"type": "mcp_toolset", "mcp_server_name": "files"},
            {"type": "mcp", "server_label": "web"},
            {"type": "web_search"},
        ]
    ) == ("files", "web", "web_search")
