"""The real SDKs through a real relay: what they are told, and what is recorded of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.programs.runs import Recording
from tests.programs.upstream import Part, ScriptedUpstream, running_upstream
from tests.support import eventually
from tracelake.config import Location
from tracelake.ingest.collector import Options, base_urls, start
from tracelake.model import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

CLAUDE, GPT = "claude-sonnet-4-6", "gpt-4.1-mini"
SAID = '{"city": "Porto", "nights": 3}'
ASKED: list[Any] = [{"role": "user", "content": "Where to, and for how long?"}]

pytestmark = pytest.mark.e2e


class Journey(BaseModel):
    """What a structured answer is read into."""

    city: str
    nights: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A collector in front of a scripted provider."""

    relay: str
    recording: Recording
    upstream: ScriptedUpstream

    def anthropic(self, run_id: str, **options: Any) -> anthropic.Anthropic:
        """A client whose calls are one run."""
        url = base_urls(self.relay, run_id=run_id)["anthropic_base_url"]
        return anthropic.Anthropic(api_key="offline", base_url=url, **options)

    def anthropic_async(self, run_id: str) -> anthropic.AsyncAnthropic:
        """The same, asynchronous."""
        url = base_urls(self.relay, run_id=run_id)["anthropic_base_url"]
        return anthropic.AsyncAnthropic(api_key="offline", base_url=url)

    def openai(self, run_id: str, **options: Any) -> openai.OpenAI:
        """A client whose calls are one run."""
        url = base_urls(self.relay, run_id=run_id)["openai_base_url"]
        return openai.OpenAI(api_key="offline", base_url=url, **options)

    def openai_async(self, run_id: str) -> openai.AsyncOpenAI:
        """The same, asynchronous."""
        url = base_urls(self.relay, run_id=run_id)["openai_base_url"]
        return openai.AsyncOpenAI(api_key="offline", base_url=url)

    def calls(self, trace_id: str, count: int) -> list[dict[str, Any]]:
        """The calls of a trace, once so many have ended."""

        def ended() -> list[dict[str, Any]] | None:
            self.recording.wait()
            spans = self.recording.traces.get(trace_id, [])
            found = [s for s in spans if s["kind"] != "agent" and s["status"] != "running"]
            return found if len(found) >= count else None

        found = eventually(ended)
        assert found is not None
        assert len(found) == count
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    """A running collector whose upstreams are a scripted provider."""
    lake: Path = tmp_path_factory.mktemp("sdks") / "lake"
    location = Location(str(lake), lake / "hot")
    with running_upstream([Part("", closing=SAID, delay_s=0.01)]) as upstream:
        backends = Options(
            port=0, anthropic_backend=upstream.address, openai_backend=f"{upstream.address}/v1"
        )
        collector = start(location, backends)
        recording = Recording(location.hot)
        try:
            yield Bench(collector.state.relay, recording, upstream)
        finally:
            recording.close()
            collector.stop()


def anthropic_whole(bench: Bench, run_id: str) -> str:
    """`messages.create`."""
    with bench.anthropic(run_id) as client:
        answer = client.messages.create(model=CLAUDE, max_tokens=64, messages=ASKED)
    return "".join(block.text for block in answer.content if block.type == "text")


def anthropic_events(bench: Bench, run_id: str) -> str:
    """`messages.create(stream=True)`."""
    with bench.anthropic(run_id) as client:
        events = list(
            client.messages.create(model=CLAUDE, max_tokens=64, messages=ASKED, stream=True)
        )
    deltas = [e.delta for e in events if e.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas if delta.type == "text_delta")


def anthropic_helper(bench: Bench, run_id: str) -> str:
    """`messages.stream`."""
    with (
        bench.anthropic(run_id) as client,
        client.messages.stream(model=CLAUDE, max_tokens=64, messages=ASKED) as stream,
    ):
        return "".join(stream.text_stream)


def anthropic_async(bench: Bench, run_id: str) -> str:
    """`messages.create`, asynchronous."""

    async def ask() -> str:
        async with bench.anthropic_async(run_id) as client:
            answer = await client.messages.create(model=CLAUDE, max_tokens=64, messages=ASKED)
            return "".join(block.text for block in answer.content if block.type == "text")

    return asyncio.run(ask())


def anthropic_async_helper(bench: Bench, run_id: str) -> str:
    """`messages.stream`, asynchronous."""

    async def ask() -> str:
        async with (
            bench.anthropic_async(run_id) as client,
            client.messages.stream(model=CLAUDE, max_tokens=64, messages=ASKED) as stream,
        ):
            return await stream.get_final_text()

    return asyncio.run(ask())


def chat_whole(bench: Bench, run_id: str) -> str:
    """`chat.completions.create`."""
    with bench.openai(run_id) as client:
        answer = client.chat.completions.create(model=GPT, messages=ASKED)
    return answer.choices[0].message.content or ""


def chat_parsed(bench: Bench, run_id: str) -> str:
    """`chat.completions.parse` into a model."""
    with bench.openai(run_id) as client:
        answer = client.chat.completions.parse(model=GPT, messages=ASKED, response_format=Journey)
    assert answer.choices[0].message.parsed == Journey(city="Porto", nights=3)
    return answer.choices[0].message.content or ""


def chat_helper(bench: Bench, run_id: str) -> str:
    """`chat.completions.stream`."""
    with (
        bench.openai(run_id) as client,
        client.chat.completions.stream(
            model=GPT, messages=ASKED, stream_options={"include_usage": True}
        ) as stream,
    ):
        return stream.get_final_completion().choices[0].message.content or ""


def chat_async_events(bench: Bench, run_id: str) -> str:
    """`chat.completions.create(stream=True)`, asynchronous."""

    async def ask() -> str:
        async with bench.openai_async(run_id) as client:
            chunks = await client.chat.completions.create(
                model=GPT, messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    return asyncio.run(ask())


def responses_whole(bench: Bench, run_id: str) -> str:
    """`responses.create`."""
    with bench.openai(run_id) as client:
        return client.responses.create(model=GPT, input=ASKED).output_text


def responses_helper(bench: Bench, run_id: str) -> str:
    """`responses.stream`."""
    with (
        bench.openai(run_id) as client,
        client.responses.stream(model=GPT, input=ASKED) as stream,
    ):
        return stream.get_final_response().output_text


def responses_async_helper(bench: Bench, run_id: str) -> str:
    """`responses.stream`, asynchronous."""

    async def ask() -> str:
        async with (
            bench.openai_async(run_id) as client,
            client.responses.stream(model=GPT, input=ASKED) as stream,
        ):
            return (await stream.get_final_response()).output_text

    return asyncio.run(ask())


WAYS: list[Callable[[Bench, str], str]] = [
    anthropic_whole,
    anthropic_events,
    anthropic_helper,
    anthropic_async,
    anthropic_async_helper,
    chat_whole,
    chat_parsed,
    chat_helper,
    chat_async_events,
    responses_whole,
    responses_helper,
    responses_async_helper,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_an_sdk_reads_is_what_is_recorded(
    bench: Bench, way: Callable[[Bench, str], str]
) -> None:
    """Each way of asking gives the model's answer, and a call with that answer, usage and cost."""
    run_id = f"{way.__name__}-{new_id()}"
    assert way(bench, run_id) == SAID
    (call,) = bench.calls(run_id, 1)
    assert (call["status"], call["response"]) == ("ok", SAID)
    assert call["model"] == (CLAUDE if "anthropic" in way.__name__ else GPT)
    assert call["tokens_input"] > 0
    assert call["tokens_output"] > 0
    assert call["cost_usd"] > 0
    assert call["duration_ms"] >= call["ttft_ms"] > 0
    assert call["finish_reason"]


def test_other_endpoints_are_auxiliary(bench: Bench) -> None:
    """Token counts, embeddings and model lists are answered, recorded, and no agent's calls."""
    run_id = f"others-{new_id()}"
    with bench.anthropic(run_id) as client:
        assert client.messages.count_tokens(model=CLAUDE, messages=ASKED).input_tokens == 7
        assert list(client.models.list())
    with bench.openai(run_id) as client:
        assert client.embeddings.create(model="text-embedding-3-small", input="x").data
        assert list(client.models.list())
    calls = bench.calls(run_id, 4)
    assert all(call["status"] == "ok" for call in calls)
    assert all(call["auxiliary"] for call in calls)


def test_a_retried_call_is_one_failure_and_one_answer(bench: Bench) -> None:
    """The SDKs' own retries show as calls that failed and calls that repeat them."""
    run_id = f"retries-{new_id()}"
    bench.upstream.failures = {"claude-haiku-4-5": [529], "gpt-4.1": [500]}
    with bench.anthropic(run_id) as client:
        client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASKED)
    with bench.openai(run_id) as client:
        client.chat.completions.create(model="gpt-4.1", messages=ASKED)
    calls = bench.calls(run_id, 4)
    assert [call["status"] for call in calls] == ["error", "ok", "error", "ok"]
    for failed, answered in (calls[:2], calls[2:]):
        assert "on purpose" in failed["error"]
        assert attributes(answered)["retry_of"] == failed["span_id"]
        assert failed["parent_id"] == answered["parent_id"]


def test_an_error_reaches_the_program_as_its_sdk_raises_it(bench: Bench) -> None:
    """Statuses become the SDKs' exceptions, with the provider's message, and failed calls."""
    run_id = f"errors-{new_id()}"
    bench.upstream.failures = {"claude-haiku-4-5": [429], "gpt-4.1": [401]}
    with (
        bench.anthropic(run_id, max_retries=0) as client,
        pytest.raises(anthropic.RateLimitError, match="on purpose"),
    ):
        client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASKED)
    with (
        bench.openai(run_id, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="on purpose"),
    ):
        client.responses.create(model="gpt-4.1", input=ASKED)
    calls = bench.calls(run_id, 2)
    assert [attributes(call)["status_code"] for call in calls] == [429, 401]
    assert all(call["status"] == "error" and "on purpose" in call["error"] for call in calls)


def test_concurrent_clients_stay_under_their_own_traces(bench: Bench) -> None:
    """32 clients of one process, each with a trace id of its own, two calls each."""
    ids = [f"client-{number}-{new_id()}" for number in range(32)]

    async def converse(trace_id: str) -> None:
        url = bench.relay + "/v1"
        headers = {"X-Trace-ID": trace_id}
        async with openai.AsyncOpenAI(
            api_key="offline", base_url=url, default_headers=headers
        ) as client:
            for _ in range(2):
                ask = [{"role": "user", "content": f"I am {trace_id}"}]
                await client.chat.completions.create(model=GPT, messages=ask)

    async def together() -> None:
        await asyncio.gather(*map(converse, ids))

    asyncio.run(together())
    for trace_id in ids:
        for call in bench.calls(trace_id, 2):
            assert trace_id in json.dumps(call["messages"])


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span."""
    value = span["attributes"]
    return json.loads(value) if isinstance(value, str) else value
