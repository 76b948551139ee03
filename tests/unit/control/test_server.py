"""The control proxy on real sockets: answers, live forwarding, errors, hang-ups."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2 as httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tracelake.control import Answer, Call, ControlServer, Forward
from tracelake.errors import NoRecordedMatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request

    from tracelake.control import Reply

RUN = {"x-tracelake-run": "r1", "x-tracelake-span": "s1"}


class Decided:
    """A handler that always decides the same."""

    def __init__(self, reply: Reply | Exception) -> None:
        self.reply = reply
        self.calls: list[Call] = []
        self.ended: list[int | None] = []

    async def handle(self, call: Call) -> Reply:
        """Give the reply."""
        self.calls.append(call)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def over(self, call: Call, *, status: int | None) -> None:
        """Remember how it ended."""
        self.ended.append(status)


class Upstream:
    """A provider: echoes, streams slowly, or dies in mid answer."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.go_on = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        """What it was sent."""
        body = await request.body()
        return JSONResponse({"body": body.decode(), "headers": dict(request.headers)}, 201)

    async def slow(self, request: Request) -> Response:
        """One piece now, the next when told."""

        async def pieces() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            yield b"data: 2\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")


@contextlib.asynccontextmanager
async def upstream() -> AsyncGenerator[tuple[Upstream, str]]:
    """A running upstream and its address."""
    serving = Upstream()
    routes = [
        Route("/echo", serving.echo, methods=["POST"]),
        Route("/slow", serving.slow, methods=["POST"]),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - a flag is all it has
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield serving, f"http://127.0.0.1:{port}"
    finally:
        serving.go_on.set()
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def control(handler: Decided) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a control proxy that serves run r1."""
    async with ControlServer() as server:
        server.serve("r1", handler)
        async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
            yield client


def test_an_answer_is_given_and_its_call_told() -> None:
    """Status, headers and body arrive; our own headers of the request are not the call's."""

    async def main() -> None:
        marks = (("content-type", "application/json"), ("x-tracelake-match", "exact"))
        handler = Decided(Answer(429, marks, b'{"a":1}'))
        async with control(handler) as client:
            headers = {**RUN, "X-Api-Key": "k"}
            answer = await client.post("/v1/messages?beta=true", content=b"{}", headers=headers)
            unknown = await client.post("/v1/messages", headers={"x-tracelake-run": "r2"})
        assert (answer.status_code, answer.content) == (429, b'{"a":1}')
        assert answer.headers["x-tracelake-match"] == "exact"
        exchange = handler.calls[0].exchange
        assert (exchange.span_id, exchange.path) == ("s1", "/v1/messages?beta=true")
        assert exchange.header("x-api-key") == "k"
        assert exchange.header("x-tracelake-run") is None
        assert handler.ended == [429]
        assert unknown.status_code == 404
        assert "not under control" in unknown.text

    asyncio.run(main())


def test_a_call_is_forwarded_as_it_is_or_with_another_body() -> None:
    """The upstream gets the client's headers, none of ours, and the body that was decided."""

    async def main() -> None:
        async with upstream() as (_, address):
            handler = Decided(
                Forward(b'{"edited":true}', headers=(("x-tracelake-match", "edited"),))
            )
            async with control(handler) as client:
                headers = {**RUN, "authorization": "Bearer k"}
                headers["x-tracelake-upstream-url"] = f"{address}/echo"
                answer = await client.post("/v1/messages", content=b"{}", headers=headers)
        told: dict[str, Any] = answer.json()
        assert (answer.status_code, told["body"]) == (201, '{"edited":true}')
        assert told["headers"]["authorization"] == "Bearer k"
        assert told["headers"]["host"] == address.removeprefix("http://")
        assert not [name for name in told["headers"] if name.startswith("x-tracelake")]
        assert answer.headers["x-tracelake-match"] == "edited"

    asyncio.run(main())


def test_a_live_stream_is_passed_on_piece_by_piece() -> None:
    """The first piece arrives while the upstream still holds the second."""

    async def main() -> None:
        async with upstream() as (serving, address), control(Decided(Forward())) as client:
            headers = {**RUN, "x-tracelake-upstream-url": f"{address}/slow"}
            async with client.stream("POST", "/v1/messages", headers=headers) as answer:
                pieces = answer.aiter_raw()
                assert await anext(pieces) == b"data: 1\n\n"
                serving.go_on.set()
                assert await anext(pieces) == b"data: 2\n\n"

    asyncio.run(main())


def test_a_client_that_hangs_up_cancels_the_upstream() -> None:
    """Nobody pays for an answer that nobody reads."""

    async def main() -> None:
        handler = Decided(Forward())
        async with upstream() as (serving, address), control(handler) as client:
            headers = {**RUN, "x-tracelake-upstream-url": f"{address}/slow"}
            async with client.stream("POST", "/v1/messages", headers=headers) as answer:
                assert await anext(answer.aiter_raw()) == b"data: 1\n\n"
            await asyncio.wait_for(serving.cancelled.wait(), 10)
            async with asyncio.timeout(60):
                while handler.ended != [None]:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_an_answer_that_was_cut_is_cut_again() -> None:
    """A stream that died in the recording does not end well in the replay."""

    async def main() -> None:
        answer = Answer(200, (("content-type", "text/event-stream"),), b"data: 1\n\n", is_cut=True)
        async with control(Decided(answer)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.post("/v1/messages", headers=RUN)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (NoRecordedMatch("nothing fits; nearest: span s9"), 400, "nearest: span s9"),
        (ValueError("broken"), 500, "could not be handled: broken"),
    ],
)
def test_what_goes_wrong_is_an_error_that_the_sdks_read(
    raised: Exception, status: int, said: str
) -> None:
    """Both SDKs raise a status error with the message, and do not try again."""

    async def main() -> None:
        handler = Decided(raised)
        async with ControlServer() as server:
            server.serve("r1", handler)
            claude = anthropic.AsyncAnthropic(
                api_key="k", base_url=server.address, default_headers=RUN
            )
            gpt = openai.AsyncOpenAI(
                api_key="k", base_url=f"{server.address}/v1", default_headers=RUN
            )
            async with claude, gpt:
                with pytest.raises(anthropic.APIStatusError) as claude_error:
                    await claude.messages.create(
                        model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
                    )
                with pytest.raises(openai.APIStatusError) as gpt_error:
                    await gpt.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": "x"}]
                    )
        for error in (claude_error.value, gpt_error.value):
            assert error.status_code == status
            assert said in error.message
        assert len(handler.calls) == 2


def test_an_unreachable_upstream_is_told() -> None:
    """The message names the host; the client gets no hang."""

    async def main() -> None:
        async with control(Decided(Forward(url="http://127.0.0.1:9/v1/messages"))) as client:
            answer = await client.post("/v1/messages", headers=RUN)
        assert answer.status_code == 502
        assert "127.0.0.1:9 cannot be reached" in json.loads(answer.content)["error"]["message"]

    asyncio.run(main())
