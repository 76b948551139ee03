"""The offline provider as the real SDKs see it."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2 as httpx
import openai
import pytest

from tests.support import eventually

if TYPE_CHECKING:
    from tracelake.demo.launch import RunningProvider

HELLO: Any = [{"role": "user", "content": "What is a Delta table?"}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}


def messages_body(**changes: Any) -> dict[str, Any]:
    """A small request in Anthropic's format."""
    body = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": HELLO}
    return {**body, **changes}


def test_messages_whole_and_streamed_say_the_same(claude: anthropic.Anthropic) -> None:
    """Streaming changes how an answer arrives, not the answer, its usage or its end."""
    whole = claude.messages.create(**messages_body())
    with claude.messages.stream(**messages_body()) as stream:
        streamed = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert "Delta table" in whole.content[0].text
    assert streamed.content[0].type == "text"
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage == whole.usage
    assert whole.stop_reason == streamed.stop_reason == "end_turn"
    assert whole.model == "claude-haiku-4-5"
    assert whole.id.startswith("msg_offline_")
    assert whole.id != streamed.id


def test_messages_call_a_tool_that_is_insisted_on(claude: anthropic.Anthropic) -> None:
    """A forced tool is called with arguments after its schema, streamed or not."""
    body = messages_body(
        tools=[{"name": "weather", "input_schema": WEATHER}], tool_choice={"type": "any"}
    )
    whole = claude.messages.create(**body)
    with claude.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        call = message.content[0]
        assert call.type == "tool_use"
        assert call.id.startswith("toolu_offline_")
        assert call.name == "weather"
        assert set(call.input) == {"city", "days"}
        assert message.stop_reason == "tool_use"


def test_messages_think_when_asked_to(claude: anthropic.Anthropic) -> None:
    """A thinking block, signed, comes first when thinking is on, and never otherwise."""
    thinking: Any = {"type": "adaptive"}
    with claude.messages.stream(**messages_body(thinking=thinking)) as stream:
        thoughtful = stream.get_final_message()
    assert [block.type for block in thoughtful.content] == ["thinking", "text"]
    assert thoughtful.content[0].type == "thinking"
    assert thoughtful.content[0].signature
    plain = claude.messages.create(**messages_body())
    assert [block.type for block in plain.content] == ["text"]


def test_messages_report_what_the_cache_gave(claude: anthropic.Anthropic) -> None:
    """With caching asked for, resent history counts as read and the new part as written."""
    history: Any = [
        *HELLO,
        {"role": "assistant", "content": "A table with a commit log. " * 20},
        {"role": "user", "content": "And how does compaction keep readers safe? " * 5},
    ]
    body = messages_body(messages=history, system="You are a librarian. " * 20)
    plain = claude.messages.create(**body).usage
    assert plain.cache_read_input_tokens == 0
    cached = claude.messages.create(**body, cache_control={"type": "ephemeral"}).usage
    assert cached.cache_read_input_tokens
    assert cached.cache_creation_input_tokens
    total = (
        cached.input_tokens + cached.cache_read_input_tokens + cached.cache_creation_input_tokens
    )
    assert total == plain.input_tokens


def test_messages_stop_at_max_tokens(claude: anthropic.Anthropic) -> None:
    """An answer longer than `max_tokens` is cut, and says so."""
    message = claude.messages.create(**messages_body(max_tokens=5))
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens <= 5


def test_chat_whole_and_streamed_say_the_same(gpt: openai.OpenAI) -> None:
    """Streaming changes how an answer arrives; usage comes in a last chunk when it is asked for."""
    whole = gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
    chunks = list(
        gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert "Delta table" in text
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert chunks[0].id.startswith("chatcmpl-offline-")
    bare = list(gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    assert all(chunk.usage is None for chunk in bare)


def test_chat_calls_a_tool_that_is_insisted_on(gpt: openai.OpenAI) -> None:
    """A forced function is called with arguments after its schema, streamed or not."""
    function: Any = {"name": "weather", "parameters": WEATHER, "strict": True}
    tools: Any = [{"type": "function", "function": function}]
    whole = gpt.chat.completions.create(
        model="gpt-4o", messages=HELLO, tools=tools, tool_choice="required"
    )
    with gpt.chat.completions.stream(
        model="gpt-4o", messages=HELLO, tools=tools, tool_choice="required"
    ) as stream:
        streamed = stream.get_final_completion()
    for answer in (whole, streamed):
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls
        call = choice.message.tool_calls[0]
        assert call.type == "function"
        assert len(call.id) <= 40
        assert set(json.loads(call.function.arguments)) == {"city", "days"}


def test_chat_follows_a_schema(gpt: openai.OpenAI) -> None:
    """Structured output is JSON after the schema that was sent."""
    schema = {"name": "forecast", "schema": WEATHER}
    answer = gpt.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Oslo, 3 days"}],
        response_format={"type": "json_schema", "json_schema": schema},
    )
    value = json.loads(answer.choices[0].message.content or "")
    assert value["days"] == 3
    assert "Oslo" in value["city"]


def test_responses_whole_and_streamed_say_the_same(gpt: openai.OpenAI) -> None:
    """Streaming changes how an answer arrives, not the answer."""
    whole = gpt.responses.create(model="gpt-4o", instructions="Be kind.", input="What is Parquet?")
    with gpt.responses.stream(
        model="gpt-4o", instructions="Be kind.", input="What is Parquet?"
    ) as stream:
        deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert "Parquet" in whole.output_text
    assert "".join(deltas) == streamed.output_text == whole.output_text
    assert whole.status == "completed"
    assert whole.usage == streamed.usage


def test_responses_call_a_function(gpt: openai.OpenAI) -> None:
    """A forced function is called, streamed or not, and its result is taken up."""
    tools: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
    body: Any = {"model": "gpt-4o", "input": "Oslo, 3 days", "tools": tools}
    whole = gpt.responses.create(**body, tool_choice="required")
    with gpt.responses.stream(**body, tool_choice="required") as stream:
        streamed = stream.get_final_response()
    for answer in (whole, streamed):
        call = answer.output[0]
        assert call.type == "function_call"
        assert json.loads(call.arguments)["days"] == 3
    call = whole.output[0]
    assert call.type == "function_call"
    history: Any = [
        {"role": "user", "content": "Oslo, 3 days"},
        {**call.to_dict(), "type": "function_call"},
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain, then snow"},
    ]
    final = gpt.responses.create(model="gpt-4o", input=history)
    assert "rain, then snow" in final.output_text


def test_small_endpoints(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    """Models, token counts and embeddings answer in their provider's own form."""
    assert "claude-haiku-4-5" in [model.id for model in claude.models.list()]
    assert "gpt-4o" in [model.id for model in gpt.models.list()]
    counted = claude.messages.count_tokens(model="claude-haiku-4-5", messages=HELLO)
    assert counted.input_tokens > 0
    embedded = gpt.embeddings.create(model="text-embedding-3-small", input=["a b", "a b", "c d"])
    first, same, other = (item.embedding for item in embedded.data)
    assert len(first) == 64
    assert first == same
    assert first != other


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1"])
def test_paths_with_and_without_v1(provider: RunningProvider, prefix: str) -> None:
    """People set either base URL; every form of the path is served and marked offline."""
    answer = httpx.post(f"{provider.address}{prefix}/messages", json=messages_body())
    assert answer.status_code == 200
    assert answer.headers["x-tracelake-offline"] == "1"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_errors_on_demand_have_the_shape_of_their_provider(
    claude: anthropic.Anthropic, gpt: openai.OpenAI, status: int
) -> None:
    """A model named `error-<status>` makes both SDKs raise what they raise for that status."""
    with pytest.raises(anthropic.APIStatusError) as from_claude:
        claude.messages.create(**messages_body(model=f"error-{status}"))
    assert from_claude.value.status_code == status
    assert isinstance(from_claude.value.body, dict)
    assert from_claude.value.body["type"] == "error"
    with pytest.raises(openai.APIStatusError) as from_gpt:
        gpt.chat.completions.create(model=f"error-{status}", messages=HELLO)
    assert from_gpt.value.status_code == status
    assert f"error-{status}" in from_gpt.value.message


def test_broken_streams_on_demand(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    """`error-cut` breaks the connection in mid answer, `error-event` sends an error event."""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        claude.messages.stream(**messages_body(model="error-cut")) as stream,
    ):
        stream.get_final_message()
    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        gpt.chat.completions.create(model="error-cut", messages=HELLO)
    with (
        pytest.raises(anthropic.APIStatusError, match="on purpose"),
        claude.messages.stream(**messages_body(model="error-event")) as stream,
    ):
        stream.get_final_message()
    with pytest.raises(openai.APIError, match="on purpose"):
        list(gpt.chat.completions.create(model="error-event", messages=HELLO, stream=True))


def test_invalid_requests_are_refused(provider: RunningProvider) -> None:
    """What is not a request gets a 400 or 404 in the provider's shape, never a 500."""
    for body in (b"{", b"[]", b"{}", b'{"model": "m"}', b'{"model": "m", "messages": [{}]}'):
        answer = httpx.post(f"{provider.address}/v1/chat/completions", content=body)
        assert answer.status_code in {200, 400}
        if body != b'{"model": "m", "messages": [{}]}':
            assert answer.json()["error"]["type"] == "invalid_request_error"
    tool_use: Any = [{"role": "assistant", "content": [{"type": "tool_use"}]}]
    answer = httpx.post(f"{provider.address}/v1/messages", json=messages_body(messages=tool_use))
    assert answer.status_code == 400
    assert httpx.post(f"{provider.address}/v1/elsewhere", json={}).status_code == 404


def test_compressed_requests_are_read(provider: RunningProvider) -> None:
    """A gzipped body counts and answers as the same body in plain."""
    body = json.dumps(messages_body()).encode()
    plain = httpx.post(f"{provider.address}/v1/messages", content=body)
    packed = httpx.post(
        f"{provider.address}/v1/messages",
        content=gzip.compress(body),
        headers={"content-encoding": "gzip"},
    )
    assert packed.json()["content"] == plain.json()["content"]


def test_stats_tell_what_was_asked(provider: RunningProvider) -> None:
    """The hash of each body is counted, so that a test can tell whether a call got through."""
    body = json.dumps(messages_body(metadata={"user_id": "stats"})).encode()
    digest = hashlib.sha256(body).hexdigest()
    url = f"{provider.address}/stats"
    before = httpx.get(url).json()
    assert digest not in before["hashes"]
    httpx.post(f"{provider.address}/v1/messages", content=body)
    after = httpx.get(url).json()
    assert after["hashes"][-1] == digest
    assert after["total"] == before["total"] + 1
    assert after["by_endpoint"]["messages"] == before["by_endpoint"].get("messages", 0) + 1


def test_a_client_that_leaves_cancels_its_call(provider: RunningProvider) -> None:
    """The provider notices a closed stream, which is how relay tests see a passed-on disconnect."""
    body = messages_body(model="error-hang", stream=True, metadata={"user_id": "leaver"})
    with httpx.stream("POST", f"{provider.address}/v1/messages", json=body) as answer:
        next(answer.iter_bytes())

    def is_cancelled() -> bool:
        calls = httpx.get(f"{provider.address}/stats").json()["calls"]
        return [c["outcome"] for c in calls if c["model"] == "error-hang"] == ["cancelled"]

    assert eventually(is_cancelled)
