"""OpenAI Chat Completions and what compatible servers make of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wire.exchanges import CHAT, answered, asked, sse
from tracelake.wire import Usage


def chunk(delta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One chunk with one choice; `finish_reason` and `index` go to the choice."""
    choice = {"index": more.pop("index", 0), "delta": delta or {}}
    if "finish_reason" in more:
        choice["finish_reason"] = more.pop("finish_reason")
    return {"id": "c1", "model": "gpt-4o-2024-08-06", "choices": [choice], **more}


def call(index: int | None, **more: Any) -> dict[str, Any]:
    """A delta with one piece of a tool call: `id`, `name`, `arguments`."""
    function = {key: more.pop(key) for key in ("name", "arguments") if key in more}
    return {"tool_calls": [{"index": index, "function": function, **more}]}


STOP = chunk(finish_reason="stop")
USAGE = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4}}


def calls_of(*events: Any) -> list[tuple[str | None, str | None, str | None]]:
    """Id, name and arguments of the tool calls of a stream."""
    response = answered(CHAT, sse(*events, chunk(finish_reason="tool_calls"), "[DONE]"))
    assert response.error is None
    return [(a.id, a.name, a.arguments) for a in response.atoms if a.kind == "tool_call"]


def test_pieces_of_parallel_calls_are_put_together() -> None:
    """Calls that stream interleaved by index come out whole, in order."""
    assert calls_of(
        chunk(call(0, id="a", name="f", arguments="")),
        chunk(call(1, id="b", name="g", arguments="")),
        chunk(call(0, arguments='{"x"')),
        chunk(call(1, arguments="{}")),
        chunk(call(0, arguments=":1}")),
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_calls_without_index_are_told_apart_by_id() -> None:
    """Mistral leaves the index out: a call with id and name opens a new one."""
    assert calls_of(
        chunk(call(None, id="a", name="f", arguments='{"x":')),
        chunk(call(None, arguments="1}")),
        chunk(call(None, id="b", name="f", arguments="{}")),
    ) == [("a", "f", '{"x":1}'), ("b", "f", "{}")]


def test_calls_under_one_index_are_told_apart_by_id() -> None:
    """Some servers number every parallel call 0; a new id with a name opens a new one."""
    assert calls_of(
        chunk(call(0, id="a", name="f", arguments="{}")),
        chunk(call(0, id="b", name="g", arguments='{"y":2}')),
    ) == [("a", "f", "{}"), ("b", "g", '{"y":2}')]


def test_a_call_that_repeats_its_id_and_name_stays_one() -> None:
    """Servers that repeat id and name in every piece do not multiply the call."""
    assert calls_of(
        chunk(call(0, id="a", name="f", arguments='{"x"')),
        chunk(call(0, id="a", name="f", arguments=":1}")),
    ) == [("a", "f", '{"x":1}')]


def test_arguments_sent_as_an_object_are_kept() -> None:
    """Arguments that come as an object instead of text read the same."""
    assert calls_of(chunk(call(0, id="a", name="f", arguments={"b": 1, "a": 2}))) == [
        ("a", "f", '{"a":2,"b":1}')
    ]


def test_a_legacy_function_call_is_a_tool_call() -> None:
    """The older `function_call` is read as a call without id."""
    assert calls_of(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
    ) == [(None, "f", "{}")]


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_is_thinking_under_any_name(key: str) -> None:
    """Reasoning streams beside the content and does not leak into the text."""
    response = answered(
        CHAT, sse(chunk({key: "Hm"}), chunk({key: "m."}), chunk({"content": "Yes"}), STOP, USAGE)
    )
    assert [(a.kind, a.text) for a in response.atoms] == [("thinking", "Hmm."), ("text", "Yes")]
    assert response.text == "Yes"


def test_reasoning_details_alone_are_thinking() -> None:
    """Structured reasoning is joined by index and shown when nothing else carries it."""
    detail = {"type": "reasoning.text", "index": 0}
    events = [chunk({"reasoning_details": [{**detail, "text": text}]}) for text in ("Hm", "m.")]
    response = answered(CHAT, sse(*events, chunk({"content": "Yes"}), STOP))
    assert response.atoms[0].text == "Hmm."
    assert len(response.blocks[0]["message"]["reasoning_details"]) == 1


def test_content_as_blocks_streams_into_blocks() -> None:
    """Thinking blocks in the content are joined; only text blocks make the text."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": t}]} for t in "ab"]
    response = answered(
        CHAT,
        sse(
            *(chunk({"content": [block]}) for block in thinking),
            chunk({"content": "Yes"}),
            chunk({"content": "."}),
            STOP,
        ),
    )
    assert response.text == "Yes."
    assert [(a.kind, a.text) for a in response.atoms] == [("thinking", "ab"), ("text", "Yes.")]


def test_halves_of_a_character_meet_again() -> None:
    """A character cut between two deltas is whole, and a lone half can still be stored."""
    body = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
    other = b'data: {"choices":[{"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}\n\n'
    assert answered(CHAT, body + other).text == "\U0001f600"
    assert answered(CHAT, body).text == "\ufffd"


def test_every_choice_is_kept_and_the_first_is_the_answer() -> None:
    """With n > 1 the choices do not mix, in streams and whole answers."""
    events = [chunk({"content": text}, index=i) for text, i in [("a", 1), ("b", 0), ("c", 1)]]
    streamed = answered(CHAT, sse(*events, STOP, chunk(index=1, finish_reason="length")))
    assert [c["message"]["content"] for c in streamed.blocks] == ["b", "ac"]
    assert streamed.text == "b"
    assert [a.text for a in streamed.atoms] == ["b"]


def test_a_refusal_is_shown_but_is_not_the_text() -> None:
    """A refusal is kept apart from the answer, yet has an atom."""
    response = answered(CHAT, sse(chunk({"refusal": "I "}), chunk({"refusal": "won't."}), STOP))
    assert response.text == ""
    assert [(a.kind, a.text) for a in response.atoms] == [("text", "I won't.")]
    assert response.blocks[0]["message"]["refusal"] == "I won't."


def test_no_usage_is_unknown_not_zero() -> None:
    """A stream without its usage chunk has neither tokens nor cost, and says why."""
    response = answered(CHAT, sse(chunk({"content": "Hi"}), STOP, "[DONE]"))
    assert response.usage == Usage()
    assert (response.cost_usd, response.cost_note) == (None, "the provider reported no usage")
    assert response.error is None


@pytest.mark.parametrize(
    "event",
    [
        USAGE,
        {"choices": [], "x_groq": {"usage": USAGE["usage"]}},
        {"choices": [{"index": 0, "delta": {}, "usage": USAGE["usage"]}]},
    ],
    ids=["last chunk", "vendor key", "within the choice"],
)
def test_usage_is_found_where_servers_put_it(event: dict[str, Any]) -> None:
    """Usage counts from the last chunk, a vendor's key or the choice."""
    response = answered(CHAT, sse(chunk({"content": "Hi"}), STOP, event))
    assert (response.usage.input, response.usage.output) == (10, 4)


def test_cached_and_reasoning_tokens_are_parts_of_the_totals() -> None:
    """The prompt total is taken as it is; cached and reasoning tokens are priced as such."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    response = answered(CHAT, {"model": "gpt-4o-2024-08-06", "choices": [], "usage": usage})
    assert response.usage == Usage(100, 50, 40, None, 30)
    # 60 fresh and 40 cached in, 50 out, at 2.5 / 1.25 / 10 dollars a million
    assert response.cost_usd == pytest.approx((60 * 2.5 + 40 * 1.25 + 50 * 10) / 1e6)


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "quota", "type": "limit", "code": 429}},
        {"choices": [{"index": 0, "delta": {}, "error": {"message": "quota", "type": "limit"}}]},
        {"object": "error", "message": "quota", "type": "limit", "code": 40001},
        {"x_groq": {"error": "quota"}, "choices": []},
        'event: error\ndata: {"message": "quota"}',
    ],
)
def test_an_error_within_a_stream_keeps_the_text(event: Any) -> None:
    """However a server puts an error into its stream, it is found and the text is kept."""
    body = sse(chunk({"content": "Half"}))
    body += f"{event}\n\n".encode() if isinstance(event, str) else sse(event)
    response = answered(CHAT, body)
    assert (response.text, response.error) == ("Half", "quota")


def test_an_error_object_with_status_200_is_an_error() -> None:
    """A gateway that answers 200 with an error object did not answer."""
    response = answered(CHAT, {"error": {"message": "no provider", "code": 502}})
    assert (response.error_type, response.error) == ("bad_gateway", "no provider")


def test_whole_messages_in_a_stream_are_read() -> None:
    """A server that streams a whole message instead of deltas is read too."""
    event = {"choices": [{"message": {"content": "All"}, "finish_reason": "stop"}]}
    assert answered(CHAT, sse(event, "[DONE]")).text == "All"


def test_text_told_beside_a_message_is_no_second_text() -> None:
    """A server that repeats each piece as legacy text gives the message once, whole or streamed."""
    pieces = [
        {"index": 0, "text": text, "delta": {"role": "assistant", "content": text}}
        for text in ("1", ", 2", "")
    ]
    streamed = answered(CHAT, sse(*({"choices": [piece]} for piece in pieces), "[DONE]"))
    whole = {"index": 0, "text": "1, 2", "message": {"role": "assistant", "content": "1, 2"}}
    for response in (streamed, answered(CHAT, {"choices": [whole]})):
        assert response.text == "1, 2"
        assert [atom.text for atom in response.atoms] == ["1, 2"]
        assert response.blocks[0]["message"]["content"] == "1, 2"


def test_entries_of_one_index_are_one_entry() -> None:
    """What a server tells of a tool it runs, first the question, then what came, is one entry."""
    ran = {"index": 0, "type": "search", "arguments": "{}", "output": None}
    deltas = [
        {"executed_tools": [ran]},
        {"executed_tools": [{**ran, "output": "sunny"}, {"index": 1, "type": "visit"}]},
        {"annotations": [{"url": "a"}]},
        {"annotations": [{"url": "a"}]},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    message = answered(CHAT, sse(*chunks, "[DONE]")).blocks[0]["message"]
    assert message["executed_tools"] == [{**ran, "output": "sunny"}, {"index": 1, "type": "visit"}]
    assert message["annotations"] == [{"url": "a"}, {"url": "a"}]


def test_arguments_that_were_never_told_are_none() -> None:
    """A call of a server that streams null as arguments has none, and is shown without any."""
    call = {"index": 0, "id": "a", "function": {"name": "now", "arguments": None}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    response = answered(CHAT, sse(chunk, "[DONE]"))
    function = response.blocks[0]["message"]["tool_calls"][0]["function"]
    assert function == {"name": "now", "arguments": None}
    assert response.atoms[0].arguments == "{}"


def test_a_choice_without_a_message_is_read() -> None:
    """A filtered answer, whole or streamed, that has no message at all is no failure to read."""
    choice = {"index": 0, "finish_reason": "content_filter"}
    for body in ({"choices": [choice]}, sse({"choices": [choice]}, "[DONE]")):
        response = answered(CHAT, body)
        assert (response.text, response.finish_reason) == ("", "content_filter")
        assert response.error is None


def test_a_legacy_completion_is_read() -> None:
    """Prompt completions, whole and streamed, give their text."""
    path = "/v1/completions"
    assert answered(path, {"choices": [{"text": "abc", "finish_reason": "stop"}]}).text == "abc"
    events = [{"choices": [{"index": 0, "text": text}]} for text in ("a", "bc")]
    response = answered(path, sse(*events, "[DONE]"))
    assert (response.text, response.atoms[0].text) == ("abc", "abc")
    assert asked(path, {"prompt": "Say"}).atoms[0].text == "Say"


def test_request_messages_become_atoms() -> None:
    """Leading instructions are the system prompt; calls, results and images follow in order."""
    url = {"url": "data:image/png;base64,AAAA"}
    request = asked(
        CHAT,
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "You are A."},
                {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": [{"type": "image_url", "image_url": url}, "See"]},
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Hm",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
                {"role": "system", "content": "Hurry."},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
    )
    assert request.system == "You are A.\n\nBe brief."
    assert request.tool_names == ("f",)
    assert [
        (a.role, a.kind, a.text or a.arguments) for a in request.atoms if a.kind != "media"
    ] == [
        ("user", "text", "See"),
        ("assistant", "thinking", "Hm"),
        ("assistant", "tool_call", "{}"),
        ("user", "tool_result", "1"),
        ("system", "text", "Hurry."),
    ]
