"""Real SDKs in this process, recorded without a relay, against a scripted provider."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

import tracelake
from tests.e2e.test_sdks import ASKED, CLAUDE, GPT, SAID, WAYS
from tests.programs.upstream import Part, ScriptedUpstream, running_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

pytestmark = pytest.mark.e2e


class Direct:
    """Clients that talk to the provider themselves, and the lake their calls end in."""

    def __init__(self, upstream: ScriptedUpstream, lake: tracelake.Lake) -> None:
        self.upstream = upstream
        self.lake = lake

    def anthropic(self, _run_id: str = "", **options: Any) -> anthropic.Anthropic:
        """A client, synchronous."""
        return anthropic.Anthropic(api_key="k", base_url=self.upstream.address, **options)

    def anthropic_async(self, _run_id: str = "") -> anthropic.AsyncAnthropic:
        """A client, asynchronous."""
        return anthropic.AsyncAnthropic(api_key="k", base_url=self.upstream.address)

    def openai(self, _run_id: str = "", **options: Any) -> openai.OpenAI:
        """A client, synchronous."""
        return openai.OpenAI(api_key="k", base_url=f"{self.upstream.address}/v1", **options)

    def openai_async(self, _run_id: str = "") -> openai.AsyncOpenAI:
        """A client, asynchronous."""
        return openai.AsyncOpenAI(api_key="k", base_url=f"{self.upstream.address}/v1")

    def spans(self, kind: str) -> list[dict[str, Any]]:
        """Every span of a kind, in start order."""
        return self.lake.spans().filter(kind=kind).sort("start_time").collect().to_dicts()


@pytest.fixture(scope="module")
def upstream() -> Generator[ScriptedUpstream]:
    """A provider that always says the same."""
    with running_upstream([Part("", closing=SAID, delay_s=0.01)]) as upstream:
        yield upstream


@pytest.fixture
def direct(upstream: ScriptedUpstream, tmp_path: Path) -> Generator[Direct]:
    """An active recording into a lake of its own."""
    with tracelake.Lake(tmp_path / "lake") as lake, tracelake.instrument(lake):
        yield Direct(upstream, lake)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_an_sdk_reads_is_what_is_recorded(
    direct: Direct, way: Callable[[Any, str], str]
) -> None:
    """Each way of asking gives the model's answer, and a span with that answer, usage and cost."""
    with tracelake.instrument().tracer.agent("asker") as agent:
        assert way(direct, "") == SAID
    (call,) = direct.spans("llm")
    assert (call["status"], call["response"], call["error"]) == ("ok", SAID, None)
    assert call["model"] == (CLAUDE if "anthropic" in way.__name__ else GPT)
    assert call["provider"] == ("anthropic" if "anthropic" in way.__name__ else "openai")
    assert json.loads(call["messages"]) == ASKED
    assert call["tokens_input"] > 0
    assert call["tokens_output"] > 0
    assert call["cost_usd"] > 0
    assert call["finish_reason"]
    assert (call["parent_id"], call["agent_name"]) == (agent.span_id, "asker")


def test_calls_outside_of_any_agent_are_one_trace(direct: Direct) -> None:
    """A script that knows nothing of spans is one agent, its threads and tasks included."""

    async def ask() -> None:
        async with direct.openai_async() as client:
            await client.chat.completions.create(model=GPT, messages=ASKED)

    def ask_in_thread() -> None:
        with direct.anthropic() as client:
            client.messages.create(model=CLAUDE, max_tokens=9, messages=ASKED)

    asyncio.run(ask())
    thread = threading.Thread(target=ask_in_thread)
    thread.start()
    thread.join()
    tracelake.instrument().close()
    (agent,) = direct.spans("agent")
    assert (agent["status"], agent["role"], agent["evidence"]) == ("ok", "orchestrator", "inferred")
    calls = direct.spans("llm")
    assert [call["parent_id"] for call in calls] == [agent["span_id"]] * 2
    assert {call["trace_id"] for call in calls} == {agent["trace_id"]}


def test_what_is_done_while_an_answer_streams_is_not_inside_of_the_call(direct: Direct) -> None:
    """A tool that runs between two chunks hangs on the agent."""
    tracer = tracelake.instrument().tracer
    with tracer.agent("asker") as agent, direct.anthropic() as client:
        for _ in client.messages.create(model=CLAUDE, max_tokens=9, messages=ASKED, stream=True):
            with tracer.tool("note"):
                pass
    tools = direct.spans("tool")
    assert tools
    assert {tool["parent_id"] for tool in tools} == {agent.span_id}


def test_an_error_is_the_programs_and_the_spans(direct: Direct) -> None:
    """The SDK raises what it would raise, and the call is shown with the provider's message."""
    direct.upstream.failures = {"claude-haiku-4-5": [429]}
    with (
        direct.anthropic(max_retries=0) as client,
        pytest.raises(anthropic.RateLimitError, match="on purpose"),
    ):
        client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASKED)
    with (
        openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.responses.create(model=GPT, input="x")
    refused, unreachable = direct.spans("llm")
    assert refused["status"] == unreachable["status"] == "error"
    assert "on purpose" in refused["error"]
    assert unreachable["error_type"] == "ConnectError"


def test_a_stream_that_is_left_is_cancelled(direct: Direct) -> None:
    """What came until then is kept."""
    with direct.openai() as client:
        stream = client.chat.completions.create(model=GPT, messages=ASKED, stream=True)
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        stream.close()
    (call,) = direct.spans("llm")
    assert call["status"] == "cancelled"
    assert SAID.startswith(call["response"])


def test_other_requests_pass_unseen_and_nothing_is_left(direct: Direct) -> None:
    """Model lists are no spans; after the end the SDKs send as they did."""
    with direct.openai() as client:
        assert list(client.models.list())
        assert direct.spans("llm") == []
        tracelake.instrument().close()
        assert client.chat.completions.create(model=GPT, messages=ASKED).choices
    assert direct.spans("llm") == []


def test_a_lake_that_cannot_be_written_breaks_nothing(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """The program gets its answer; what was not recorded is counted."""
    (tmp_path / "lake").write_text("a file where a folder should be")
    with tracelake.instrument(tmp_path / "lake") as recording:
        client = Direct(upstream, tracelake.Lake(tmp_path / "other")).openai()
        answer = client.chat.completions.create(model=GPT, messages=ASKED)
        assert answer.choices[0].message.content == SAID
        assert recording.tracer.dropped > 0


def test_a_script_needs_one_line(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """`tracelake.instrument()` alone, and the trace has ended when the program has."""
    script = tmp_path / "script.py"
    script.write_text(
        "import tracelake\n"
        "tracelake.instrument()\n"
        "import openai\n"
        f"client = openai.OpenAI(api_key='k', base_url='{upstream.address}/v1')\n"
        f"print(client.responses.create(model='{GPT}', input='hello').output_text)\n"
    )
    lake = tmp_path / "lake"
    ran = subprocess.run(
        [sys.executable, str(script)],
        env={"TRACELAKE_DIR": str(lake), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, SAID), ran.stderr
    (trace,) = tracelake.Lake(lake).traces().collect().to_dicts()
    assert (trace["name"], trace["status"], trace["llm_calls"]) == ("script.py", "ok", 1)
