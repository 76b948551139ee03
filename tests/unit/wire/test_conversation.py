"""Conversations for display: one shape for every format and for plain lists."""

from __future__ import annotations

from typing import Any

import pytest

from tracelake.wire import Part, Turn, conversation, fingerprint, response_turn, tools_fingerprint

PNG = "data:image/png;base64,AAAA"


def test_a_plain_list_of_messages_is_a_conversation() -> None:
    """What a program hands over as role and content shows as it is, whatever its format."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    expected = [
        Turn("user", (Part("text", text="Hi"),), 0),
        Turn("assistant", (Part("text", text="Ho"),), 1),
    ]
    for api in (None, "chat", "messages", "responses", "other"):
        assert conversation(api, messages) == expected


def test_the_system_prompt_comes_first_and_once() -> None:
    """A separate system prompt is a turn of its own; messages that open with it are not doubled."""
    user = {"role": "user", "content": "Hi"}
    assert conversation("messages", [user], "S")[0] == Turn("system", (Part("text", text="S"),))
    turns = conversation("chat", [{"role": "system", "content": "S"}, user], "S")
    assert [turn.role for turn in turns] == ["system", "user"]


@pytest.mark.parametrize(
    ("api", "messages"),
    [
        (
            "messages",
            [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}],
                },
            ],
        ),
        (
            "chat",
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "42"},
            ],
        ),
        (
            "responses",
            [
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
                {"type": "function_call_output", "call_id": "c", "output": "42"},
            ],
        ),
    ],
)
def test_calls_and_results_look_the_same_in_every_format(api: str, messages: Any) -> None:
    """A tool call and its result are the same parts, whoever's format they came in."""
    assert conversation(api, messages) == [
        Turn("assistant", (Part("tool_call", id="c", name="f", arguments='{"a":1}'),), 0),
        Turn("user", (Part("tool_result", text="42", id="c", name="f"),), 1),
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": PNG},
        {"type": "input_image", "image_url": PNG},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "mimeType": "image/png", "data": "AAAA"},
    ],
)
def test_images_look_the_same_in_every_format(block: dict[str, Any]) -> None:
    """An image within the request is its type and content."""
    part = conversation(None, [{"role": "user", "content": [block]}])[0].parts[0]
    assert (part.kind, part.media_type, part.data) == ("image", "image/png", "AAAA")


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
    ],
)
def test_images_elsewhere_keep_their_url(block: dict[str, Any]) -> None:
    """An image by URL is its URL."""
    part = conversation(None, [{"role": "user", "content": [block]}])[0].parts[0]
    assert (part.kind, part.url, part.data) == ("image", "https://x/y.png", None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ({"type": "bash_code_execution_result", "stdout": "o", "stderr": "e"}, "o\ne"),
        (
            [{"type": "web_search_result", "title": "T", "url": "U", "encrypted_content": "z"}],
            "T\nU",
        ),
        ({"type": "web_search_tool_result_error", "error_code": "max_uses"}, "max_uses"),
        (
            {
                "type": "web_fetch_result",
                "url": "U",
                "content": {"type": "document", "source": {"type": "text", "data": "page"}},
            },
            "page",
        ),
        (
            {
                "type": "tool_search_tool_search_result",
                "tool_references": [{"type": "tool_reference", "tool_name": "f"}],
            },
            "f",
        ),
        ({"type": "document", "source": {"type": "content", "content": "typed"}}, "typed"),
        ({"a": 1}, '{"a":1}'),
        ([{"text": "only"}], "only"),
    ],
)
def test_tool_results_of_every_kind_are_text(content: Any, text: str) -> None:
    """Results show what the tool said; what is unknown shows as JSON, so that none is lost."""
    block = {"type": "some_tool_result", "tool_use_id": "c", "content": content}
    part = conversation("messages", [{"role": "user", "content": [block]}])[0].parts[0]
    assert (part.kind, part.text) == ("tool_result", text)


@pytest.mark.parametrize(
    ("content", "is_error"),
    [
        ({"type": "x_error", "error_code": "no"}, True),
        ({"type": "x_result", "stdout": "", "return_code": 1}, True),
        ({"type": "x_result", "stdout": "", "return_code": 0}, False),
        ("text", None),
    ],
)
def test_failed_server_tools_are_errors(content: Any, is_error: bool | None) -> None:
    """A tool that the provider ran tells by its result whether it failed."""
    block = {"type": "x_tool_result", "tool_use_id": "c", "content": content}
    assert response_turn("messages", [block]).parts[0].is_error is is_error


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "base64", "data": "JVBE"}},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,JVBE",
        },
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
    ],
)
def test_files_in_tool_results_stand_apart(block: dict[str, Any]) -> None:
    """A file that a tool gave is shown as a file, and its content is no text of the result."""
    found = [{"type": "text", "text": "found"}, block]
    item = {"type": "function_call_output", "call_id": "c", "output": found}
    result, file = conversation("responses", [item])[0].parts
    assert (result.kind, result.text) == ("tool_result", "found")
    assert (file.kind, file.media, file.text, file.json) == ("other", True, "", block)


def test_a_document_of_text_shows_its_text() -> None:
    """A text file in a prompt is a file whose text is known."""
    document = {"type": "document", "source": {"type": "text", "data": "page"}}
    part = conversation("messages", [{"role": "user", "content": [document]}])[0].parts[0]
    assert (part.kind, part.media, part.text) == ("other", True, "page")


@pytest.mark.parametrize(("given", "texts"), [([7, 8], ["[7,8]"]), ([[7], [8]], ["[7]", "[8]"])])
def test_a_prompt_of_tokens_is_shown(given: Any, texts: list[str]) -> None:
    """Inputs given as numbers of tokens, one or several, are no empty prompt."""
    turns = conversation("embeddings", given)
    assert [turn.parts[0].text for turn in turns] == texts
    assert [turn.index for turn in turns] == list(range(len(texts)))


def test_nothing_in_messages_is_too_odd() -> None:
    """Messages of any JSON are taken without failing."""
    file = {"type": "document", "source": {"type": {}}}
    odd_content = [
        {"role": "user", "content": [file]},
        {"role": 1, "content": 2},
        {"type": "tool_search_output", "tools": [1, None]},
    ]
    for odd in (None, 1, "x", [], {}, [None, 1, [], {}], odd_content, [[["x"]]]):
        for api in (None, "chat", "messages", "responses", "ollama_chat"):
            conversation(api, odd, "S")
            response_turn(api or "", odd if isinstance(odd, list) else [odd])


def test_fingerprints_ignore_what_varies_by_run() -> None:
    """Ids, dates, paths, numbers and white space do not make another prompt; words do."""
    first = (
        "You are Bob. Today is Sunday, November 22, 2026. Task 3f2b9c1a in /home/a/repo: 12 files"
    )
    second = (
        "You are Bob. Today is Monday, January 5, 2027.  Task 99aa01bb in /tmp/x1/work: 7 files\n"
    )
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(first.replace("Bob", "Eve"))
    assert fingerprint("") == ""


def test_tool_fingerprints_ignore_order_and_caching() -> None:
    """The same tools in another order, or with a cache mark, are the same set."""
    tools = [{"name": "a", "input_schema": {}}, {"name": "b"}]
    marked = [{"name": "b", "cache_control": {"type": "ephemeral"}}, tools[0]]
    assert tools_fingerprint(tools) == tools_fingerprint(marked)
    assert tools_fingerprint(tools) != tools_fingerprint(tools[:1])
    assert tools_fingerprint(None) == ""
