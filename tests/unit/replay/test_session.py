"""One replayed run: what its calls are answered with, in which order, and when it stops."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.support import at_best
from tests.unit.replay.exchanges import chat, completion, exchange, user
from tracelake.control import Answer, Call, Forward
from tracelake.errors import NoRecordedMatch
from tracelake.replay.recording import Recording
from tracelake.replay.session import APART_S, Edit, Options, ReplaySession, Served

RUN_1 = "6f1d1a52-5d0c-4e0e-9f1c-6d7261636b65"
RUN_2 = "0b2c9a11-77aa-4d3e-8c55-0123456789ab"


def call(body: dict[str, Any], span_id: str = "new") -> Call:
    """A call as the relay hands it over."""
    return Call(exchange(body, span_id=span_id), "http://upstream/v1/chat/completions")


def session(*calls: Any, **options: Any) -> tuple[ReplaySession, list[Served]]:
    """A session over recorded (body, answer text) pairs, one after the other, and its report."""
    recorded = [
        exchange(body, completion(text), span_id=f"s{at}", at_s=at * 2)
        for at, (body, text) in enumerate(calls)
    ]
    told: list[Served] = []
    made = ReplaySession(Recording("original", recorded), Options(**options), report=told.append)
    return made, told


async def ask(session: ReplaySession, body: dict[str, Any], span_id: str = "new") -> Any:
    """The reply to one call; the answer counts as sent."""
    made = call(body, span_id)
    reply = await session.handle(made)
    session.over(made, status=200)
    return reply


def text_of(reply: Any) -> str:
    """What an answer said."""
    assert isinstance(reply, Answer)
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)["choices"][0]["message"]["content"]


def test_later_answers_name_this_runs_ids() -> None:
    """The client minted another agent id: a later recorded answer names the new one."""
    follow = [{"role": "assistant", "content": "ok"}, user("what now?")]

    def second(run: str) -> dict[str, Any]:
        return {**chat(), "messages": [*chat(f"agent {run} is up")["messages"], *follow]}

    replay, told = session(
        (chat(f"agent {RUN_1} is up"), "ok"), (second(RUN_1), f"wait for agent {RUN_1}")
    )

    async def main() -> None:
        assert text_of(await ask(replay, chat(f"agent {RUN_2} is up"))) == "ok"
        assert text_of(await ask(replay, second(RUN_2))) == f"wait for agent {RUN_2}"

    asyncio.run(main())
    assert [served.outcome for served in told] == ["volatile", "volatile"]


def test_answers_name_the_folder_of_the_copy() -> None:
    """A recorded tool call with an absolute path must not write into the original directory."""
    replay, _ = session((chat("go"), "edit /home/u/p/a.py"), paths={"/home/u/p": "/forks/1/work"})
    reply = asyncio.run(ask(replay, chat("go")))
    assert text_of(reply) == "edit /forks/1/work/a.py"


def test_answers_keep_the_order_in_which_they_had_come() -> None:
    """Of two calls side by side the one that finished first is answered first again."""
    recorded = [
        exchange(chat("slow"), completion("slow"), span_id="slow", at_s=0, took_s=5),
        exchange(chat("fast"), completion("fast"), span_id="fast", at_s=1, took_s=1),
    ]
    replay = ReplaySession(Recording("original", recorded), Options())
    order: list[str] = []

    async def one(name: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        order.append(text_of(await ask(replay, chat(name), name)))

    async def main() -> None:
        await asyncio.gather(one("slow", 0), one("fast", 0.2))

    asyncio.run(main())
    assert order == ["fast", "slow"]


def test_answers_that_had_come_together_come_together_again() -> None:
    """Both agents were asking when the first was answered: so they are before it is again.

    A program that waits for news of its agents then finds both answers, as it had.
    """
    recorded = [
        exchange(chat("one"), completion("one"), span_id="one", at_s=0, took_s=1),
        exchange(chat("two"), completion("two"), span_id="two", at_s=0.9, took_s=0.2),
    ]
    recorded = [replace(one, first_byte_time=one.end_time) for one in recorded]

    async def apart() -> float:
        replay = ReplaySession(Recording("original", recorded), Options())
        given: dict[str, float] = {}

        async def one(name: str, wait_s: float) -> None:
            await asyncio.sleep(wait_s)
            await ask(replay, chat(name), name)
            given[name] = time.monotonic()

        began = time.monotonic()
        await asyncio.gather(one("one", 0), one("two", 1.0))
        assert given["one"] - began >= 1.0
        assert given["two"] >= given["one"]
        return given["two"] - given["one"]

    assert at_best(lambda: asyncio.run(apart()), below=0.8) < 0.8


def test_an_answer_that_was_noticed_late_waits_for_the_call_made_without_it() -> None:
    """Both agents had answered, but the next call was made of the first answer alone."""
    recorded = [
        exchange(chat("one"), completion("one has read a.py"), span_id="one", at_s=0),
        exchange(chat("two"), completion("two has read b.py"), span_id="two", took_s=1.1),
        exchange(chat("news: one has read a.py"), completion("go on"), span_id="news", at_s=1.15),
    ]
    replay = ReplaySession(Recording("original", recorded), Options())
    order: list[str] = []

    async def one(name: str, body: dict[str, Any], wait_s: float = 0) -> None:
        await asyncio.sleep(wait_s)
        if name == "news":
            order.append("news came")
        await ask(replay, body, name)
        order.append(name)

    async def main() -> None:
        news = chat("news: one has read a.py")
        await asyncio.gather(
            one("one", chat("one")), one("two", chat("two")), one("news", news, 0.3)
        )

    asyncio.run(main())
    assert order.index("one") < order.index("news came") < order.index("two")


def test_answers_that_ended_almost_at_once_keep_the_order_in_which_they_were_quoted() -> None:
    """The relay saw one end first, the program took up the other first, as its next call tells."""
    both = chat("merge:\nsecond said two, truly\nfirst said one, truly")
    recorded = [
        exchange(chat("a"), completion("first said one, truly"), span_id="a", at_s=0, took_s=1),
        exchange(chat("b"), completion("second said two, truly"), span_id="b", took_s=1.0004),
        exchange(both, completion("merged"), span_id="c", at_s=2),
    ]

    async def order() -> tuple[float, list[str]]:
        replay = ReplaySession(Recording("original", recorded), Options())
        given: list[tuple[float, str]] = []

        async def one(name: str) -> None:
            await ask(replay, chat(name), name)
            given.append((time.monotonic(), name))

        await asyncio.gather(one("a"), one("b"))
        return given[1][0] - given[0][0], [name for _, name in given]

    apart, orders = zip(*(asyncio.run(order()) for _ in range(5)), strict=True)
    assert [*orders] == [["b", "a"]] * 5
    assert max(apart) >= APART_S


def test_calls_one_after_the_other_are_not_held_apart() -> None:
    """The pause between answers is for calls that were in flight together, no others."""
    calls = [(chat(f"question {at}"), "x") for at in range(30)]

    async def main() -> float:
        replay, _ = session(*calls)
        began = time.monotonic()
        for body, _ in calls:
            await ask(replay, body)
        return time.monotonic() - began

    bound_s = 30 * APART_S
    assert at_best(lambda: asyncio.run(main()), below=bound_s) < bound_s


def test_an_edited_result_of_a_tool_is_in_every_later_request() -> None:
    """The next request carries it, and so does the one after, although it was recorded as well."""
    asked = [user("run the tests"), {"role": "assistant", "content": None, "tool_calls": []}]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "2 failed"}
    second = {**chat(), "messages": [*chat()["messages"], *asked, result]}
    said = {"role": "assistant", "content": "I see"}
    third = {**second, "messages": [*second["messages"], said, user("go on")]}
    edit = Edit(result_text="all passed", result_of="call_1", result_before="2 failed")
    replay, told = session(
        (chat("run the tests"), "x"), (second, "I see"), (third, "y"), span_id="s1", edit=edit
    )

    async def main() -> None:
        assert isinstance(await ask(replay, chat("run the tests")), Answer)
        for body in (second, third):
            reply = await ask(replay, body)
            assert isinstance(reply, Forward)
            sent = json.loads(reply.body or b"")
            assert [m["content"] for m in sent["messages"] if m["role"] == "tool"] == ["all passed"]
            assert len(sent["messages"]) == len(body["messages"])

    asyncio.run(main())
    assert [served.outcome for served in told] == ["exact", "edited", "live"]


def test_a_recorded_call_without_its_body_is_named_not_served() -> None:
    """The provider could not be reached before the body was in: nothing can repeat that call."""
    lost = exchange(b"", completion("x"), span_id="lost", headers=(("content-length", "1878"),))
    whole = exchange(chat("fix the parser"), completion("y"), span_id="whole", at_s=2)
    recording = Recording("original", [lost, whole])
    replay = ReplaySession(recording, Options(allow_live=False))
    assert [one.span_id for one in recording.incomplete] == ["lost"]

    async def main() -> None:
        with pytest.raises(NoRecordedMatch, match=r"1 recorded call broke off.*: lost"):
            await ask(replay, chat("something else"))

    asyncio.run(main())


def test_a_call_that_never_comes_is_waited_for_once() -> None:
    """A program that left a call out goes on after three seconds, and then at full speed."""
    recorded = [
        exchange(chat("dropped"), completion("x"), span_id="a", at_s=0),
        exchange(chat("one"), completion("one"), span_id="b", at_s=2),
        exchange(chat("two"), completion("two"), span_id="c", at_s=4),
    ]

    async def main() -> float:
        replay = ReplaySession(Recording("original", recorded), Options())
        took: list[float] = []
        for name in ("one", "two"):
            began = time.monotonic()
            await ask(replay, chat(name))
            took.append(time.monotonic() - began)
        assert took[0] > 2.5
        return took[1]

    assert at_best(lambda: asyncio.run(main()), below=2.5) < 2.5


def test_after_the_edit_nearly_equal_calls_are_not_served() -> None:
    """A stale answer to a question that changed because of the edit would hide the change."""
    lines = "\n".join(f"line {word}" for word in "abcdefghijkl")
    edit = Edit(response_text="another answer")
    replay, told = session(
        (chat("plan"), "the plan"), (chat(f"{lines}\nthe plan"), "old"), span_id="s0", edit=edit
    )

    async def main() -> None:
        assert text_of(await ask(replay, chat("plan"))) == "another answer"
        assert isinstance(await ask(replay, chat(f"{lines}\nanother answer")), Forward)

    asyncio.run(main())
    assert [served.outcome for served in told] == ["edited", "live"]
    assert told[0].original_span_id == "s0"


def test_an_edited_request_is_forwarded_instead_of_the_programs() -> None:
    """The upstream gets the edited body; what came before it is answered here."""
    edited = chat("plan, briefly")
    replay, _ = session(
        (chat("hello"), "hi"), (chat("plan"), "x"), span_id="s1", edit=Edit(request_body=edited)
    )

    async def main() -> None:
        assert isinstance(await ask(replay, chat("hello")), Answer)
        reply = await ask(replay, chat("plan"))
        assert isinstance(reply, Forward)
        assert json.loads(reply.body or b"") == edited
        assert dict(reply.headers)["x-tracelake-match"] == "edited"

    asyncio.run(main())


def test_without_live_calls_the_first_miss_ends_the_replay() -> None:
    """It names the nearest recording, and every later call is refused too."""
    replay, told = session((chat("fix the parser"), "x"), allow_live=False, fuzzy=False)

    async def main() -> None:
        with pytest.raises(NoRecordedMatch, match="fix the lexer"):
            await ask(replay, chat("fix the lexer"))
        with pytest.raises(NoRecordedMatch, match="span s0"):
            await ask(replay, chat("fix the parser"))

    asyncio.run(main())
    assert [served.outcome for served in told] == ["refused"]
    assert not replay.all_matched


def test_every_answer_says_where_it_comes_from() -> None:
    """Level, original span and original trace stand in headers that the relay records."""
    replay, _ = session((chat("go"), "x"))
    headers = dict(asyncio.run(ask(replay, chat("go"))).headers)
    assert headers["x-tracelake-match"] == "exact"
    assert headers["x-tracelake-original-span"] == "s0"
    assert headers["x-tracelake-forked-from"] == "original"
    assert replay.all_matched


def test_recorded_pace_gives_a_stream_as_slowly_as_it_came() -> None:
    """The first piece comes after the recorded time to first byte, the last at the end."""
    stream = b"".join(b'data: {"choices":[]}\n\n' for _ in range(4)) + b"data: [DONE]\n\n"
    recorded = exchange(chat("go", stream=True), stream, span_id="s0", took_s=0.6)
    replay = ReplaySession(Recording("original", [recorded]), Options(pace="recorded"))

    async def main() -> tuple[bytes, float, float]:
        reply = await ask(replay, chat("go", stream=True))
        began = time.monotonic()
        pieces: list[bytes] = []
        first = 0.0
        async for piece in reply.body:
            first = first or time.monotonic() - began
            pieces.append(piece)
        return b"".join(pieces), first, time.monotonic() - began

    body, first, whole = asyncio.run(main())
    assert body == stream
    assert 0.25 < first < whole
    assert whole > 0.55
