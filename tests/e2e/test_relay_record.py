"""Real SDKs, many clients at once, and disks that refuse: what is recorded and what is told."""

from __future__ import annotations

import asyncio
import json
import resource
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import openai
import pytest
from aiohttp import web

from tests.e2e.relay_support import RelayProcess, ask, read_exchanges, relay_and_upstream
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

USAGE = {"input_tokens": 3, "output_tokens": 2}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
MESSAGE_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
        for part in ("hel", "lo")
    ),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]


def completion(text: str, *, streamed: bool) -> dict[str, Any]:
    """A chat completion, or a chunk of one."""
    turn = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion.chunk" if streamed else "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": None, "delta" if streamed else "message": turn}],
    }


async def provider(request: web.Request) -> web.StreamResponse:
    """A small provider of both APIs."""
    body = await request.json()
    is_anthropic = request.path.endswith("/messages")
    if not body.get("stream"):
        return web.json_response(MESSAGE if is_anthropic else completion("hello", streamed=False))
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    if is_anthropic:
        for event in MESSAGE_EVENTS:
            await answer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    else:
        for text in ("hel", "lo"):
            await answer.write(f"data: {json.dumps(completion(text, streamed=True))}\n\n".encode())
        await answer.write(b"data: [DONE]\n\n")
    await answer.write_eof()
    return answer


async def running_provider() -> AsyncIterator[str]:
    """The provider, serving; its origin."""
    app = web.Application()
    app.router.add_post("/{path:.*}", provider)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def use_sync_sdks(address: str) -> list[str]:
    """What the blocking SDKs get, plain and streamed."""
    got: list[str] = []
    with anthropic.Anthropic(base_url=address, api_key="k", max_retries=0) as claude:
        got.append(claude.messages.create(max_tokens=9, **ASK).content[0].text)  # type: ignore[union-attr]
        with claude.messages.stream(max_tokens=9, **ASK) as stream:
            got.append("".join(stream.text_stream))
    with openai.OpenAI(base_url=address + "/v1", api_key="k", max_retries=0) as gpt:
        got.append(gpt.chat.completions.create(**ASK).choices[0].message.content or "")
        chunks = gpt.chat.completions.create(stream=True, **ASK)
        got.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
    return got


async def use_async_sdks(address: str) -> list[str]:
    """What the asynchronous SDKs get, plain and streamed."""
    got: list[str] = []
    async with anthropic.AsyncAnthropic(base_url=address, api_key="k", max_retries=0) as claude:
        message = await claude.messages.create(max_tokens=9, **ASK)
        got.append(message.content[0].text)  # type: ignore[union-attr]
        async with claude.messages.stream(max_tokens=9, **ASK) as stream:
            got.append("".join([text async for text in stream.text_stream]))
    async with openai.AsyncOpenAI(base_url=address, api_key="k", max_retries=0) as gpt:
        answer = await gpt.chat.completions.create(**ASK)
        got.append(answer.choices[0].message.content or "")
        chunks = await gpt.chat.completions.create(stream=True, **ASK)
        got.append("".join([c.choices[0].delta.content or "" async for c in chunks]))
    return got


def test_real_sdks_work_through_the_relay(tmp_path: Path) -> None:
    """Both SDKs, blocking and asynchronous, plain and streaming, notice nothing."""

    async def scenario() -> None:
        async for origin in running_provider():
            relay = await asyncio.to_thread(
                RelayProcess, tmp_path, openai=origin + "/v1", anthropic=origin
            )
            try:
                with_run = f"{relay.address}/r/run-1"
                assert await asyncio.to_thread(use_sync_sdks, with_run) == ["hello"] * 4
                assert await use_async_sdks(relay.address) == ["hello"] * 4
            finally:
                await asyncio.to_thread(relay.stop)

    asyncio.run(scenario())
    recorded = [folded.exchange for folded in read_exchanges(tmp_path).values()]
    assert [e.outcome for e in recorded] == ["ok"] * 8
    assert [e.run_id for e in recorded] == ["run-1"] * 4 + [None] * 4
    assert [e.upstream for e in recorded] == ["anthropic", "anthropic", "openai", "openai"] * 2
    assert all(b"lo" in e.response_body for e in recorded)


def test_many_clients_at_once_stay_apart(tmp_path: Path) -> None:
    """Of 32 concurrent clients every call is recorded under the client's own header."""
    calls = 10

    async def client(session: aiohttp.ClientSession, address: str, number: int) -> None:
        for call in range(calls):
            payload = {"client": number, "call": call, "stream": call % 2 == 0, **ASK}
            headers = {"X-Trace-ID": f"trace-{number}"}
            url = f"{address}/v1/chat/completions"
            async with session.post(url, json=payload, headers=headers) as answer:
                assert answer.status == 200
                await answer.read()

    async def scenario() -> None:
        async for origin in running_provider():
            relay = await asyncio.to_thread(RelayProcess, tmp_path, openai=origin + "/v1")
            try:
                async with aiohttp.ClientSession() as session:
                    await asyncio.gather(*(client(session, relay.address, n) for n in range(32)))
            finally:
                await asyncio.to_thread(relay.stop)

    asyncio.run(scenario())
    recorded = [folded.exchange for folded in read_exchanges(tmp_path).values()]
    assert len(recorded) == 32 * calls
    seen = {(e.header("x-trace-id"), json.loads(e.request_body)["call"]) for e in recorded}
    assert len(seen) == 32 * calls
    for exchange in recorded:
        number = json.loads(exchange.request_body)["client"]
        assert exchange.header("x-trace-id") == f"trace-{number}"
        assert exchange.outcome == "ok"


def test_a_lake_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """Calls go on while the hot folder cannot be made, `/health` says so, and all is made up."""
    hot = tmp_path / "lake" / "hot"
    hot.parent.write_text("a file where the lake should be")
    with relay_and_upstream(hot) as (relay, _):
        for _ in range(20):
            assert ask(relay.port, "/v1/echo").startswith(b"HTTP/1.1 200")
        told = eventually(lambda: (h := relay.health())["status"] == "degraded" and h)
        assert told["spool_errors"] > 0
        assert told["spool_error"]
        assert told["dropped"] == 0, "there is room to wait for the disk"
        hot.parent.unlink()
        eventually(lambda: relay.health()["status"] == "ok")
        eventually(lambda: sum(f.ended for f in relay.exchanges().values()) == 20)


def test_a_full_disk_stops_nobody_and_drops_are_counted(tmp_path: Path) -> None:
    """When the disk stays full and the queue with it, calls go on and what is lost is told."""
    limit = 300_000

    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with relay_and_upstream(tmp_path, preexec_fn=fill_disk) as (relay, _):
        body = b"x" * (4 << 20)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(relay.port, "/v1/echo", body), range(60)))
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        told = relay.health()
        assert told["status"] == "degraded"
        assert told["dropped"] > 0
        assert told["queued_bytes"] < 160 << 20
        assert told["dropped"] <= told["exchanges"] == 60
        relay.stop()
    for path in tmp_path.glob("*.xlog"):
        assert path.stat().st_size <= limit
    read_exchanges(tmp_path)
