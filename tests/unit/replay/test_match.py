"""Matching a program's calls against its recording."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest

from tests.unit.replay.exchanges import chat, completion, exchange, user
from tracelake.replay.match import Match, Matcher, Miss
from tracelake.replay.recording import Recording

RUN_1 = "6f1d1a52-5d0c-4e0e-9f1c-6d7261636b65"
RUN_2 = "0b2c9a11-77aa-4d3e-8c55-0123456789ab"


def recording(*bodies: object) -> Recording:
    """A recording of calls that follow each other."""
    return Recording(
        "trace",
        [
            exchange(body, completion(f"answer {at}"), span_id=f"s{at}", at_s=at * 2)
            for at, body in enumerate(bodies)
        ],
    )


def level(found: Match | Miss) -> str:
    """The level of a match, `miss` for none."""
    return found.level if isinstance(found, Match) else "miss"


def test_the_same_body_matches_exactly_whatever_the_order_of_keys_and_its_encoding() -> None:
    """A client that orders keys otherwise, or compresses, still repeats the call."""
    matcher = Matcher(recording(chat("one"), chat("two"), chat("three")))
    assert level(matcher.match(exchange(chat("one")))) == "exact"
    turned = json.dumps(dict(reversed(chat("two").items()))).encode()
    assert level(matcher.match(exchange(turned))) == "exact"
    packed = gzip.compress(json.dumps(chat("three")).encode())
    found = matcher.match(exchange(packed, headers=(("content-encoding", "gzip"),)))
    assert level(found) == "exact"


@pytest.mark.parametrize(
    "extra",
    [
        {"metadata": {"session": "2"}},
        {"prompt_cache_key": "abc"},
        {"user": "u-2"},
        {"client_metadata": {"x": 1}},
    ],
)
def test_session_metadata_does_not_count(extra: dict[str, Any]) -> None:
    """What only labels a session leaves the call the same, on the semantic level."""
    matcher = Matcher(recording(chat("one")))
    assert level(matcher.match(exchange(chat("one", **extra)))) == "semantic"


def test_cache_marks_and_thinking_do_not_count() -> None:
    """Claude Code moves its cache marks with every call and echoes signed thinking."""

    def body(*, mark: bool, signature: str) -> dict[str, object]:
        block: dict[str, object] = {"type": "text", "text": "hello"}
        if mark:
            block["cache_control"] = {"type": "ephemeral"}
        thinking = {"type": "thinking", "thinking": signature, "signature": signature}
        answer = {"role": "assistant", "content": [thinking, {"type": "text", "text": "hi"}]}
        said = [{"role": "user", "content": [block]}, answer, user("go on")]
        return {"model": "claude", "max_tokens": 9, "messages": said}

    recorded = exchange(body(mark=True, signature="a"), {"content": []}, path="/v1/messages")
    matcher = Matcher(Recording("trace", [recorded]))
    found = matcher.match(exchange(body(mark=False, signature="b"), path="/v1/messages"))
    assert level(found) == "semantic"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"task {RUN_1}", f"task {RUN_2}"),
        ("today is 2026-11-21 10:11:12", "today is 2026-11-22 09:08:07"),
        ("Current date: Sat Nov 21 2026", "Current date: Sun Nov 22 2026"),
        ("tests took 1.32s", "tests took 0.98s"),
        ("duration_ms: 1234", "duration_ms: 88"),
        ('{"wall_time_seconds":0.000007517}', '{"wall_time_seconds":7.5e-06}'),
        ('{"chunk_id":"c508d6"}', '{"chunk_id":"412001"}'),
        ("Process running with session ID 8556", "Process running with session ID 91200"),
        ('{"original_token_count": 17}', '{"original_token_count": 31}'),
        ("wrote /tmp/tmpab12xy/out.txt", "wrote /tmp/tmpzz99kk/out.txt"),
        ("commit 3f9a2c1d", "commit 9b8e7f60"),
        ("at 1795319362", "at 1795320000"),
        (f'{{"out": "done\\n{RUN_1}"}}', f'{{"out": "done\\n{RUN_2}"}}'),
        (r'{"out": "in\n/tmp/tmpab12xy"}', r'{"out": "in\n/tmp/tmpzz99kk"}'),
        ("serving on 127.0.0.1:43211", "serving on 127.0.0.1:50112"),
    ],
)
def test_what_varies_from_run_to_run_is_masked(before: str, after: str) -> None:
    """Ids, dates, durations, temporary folders and ports leave a volatile match."""
    matcher = Matcher(recording(chat(before)))
    assert level(matcher.match(exchange(chat(after)))) == "volatile"


def test_another_model_tool_set_or_format_is_another_call() -> None:
    """An answer of another model or for other tools is never served."""
    tool = {"type": "function", "function": {"name": "grep", "parameters": {}}}
    matcher = Matcher(recording(chat("one", tools=[tool])))
    for body in (
        chat("one"),
        {**chat("one", tools=[tool]), "model": "gpt-5"},
        chat("one", tools=[tool], stream=True),
        chat("one", tools=[tool], response_format={"type": "json_object"}),
    ):
        assert isinstance(matcher.match(exchange(body), fuzzy=False), Miss)


def test_nearly_the_same_call_of_the_same_agent_matches_fuzzily_unless_forbidden() -> None:
    """A changed line among many is fuzzy, and no match at all once fuzzy is off."""
    lines = [f"line number {word}" for word in "abcdefghijklmnop"]
    changed = "\n".join([*lines[:-1], "another last line"])
    matcher = Matcher(recording(chat("\n".join(lines))))
    assert level(matcher.match(exchange(chat(changed)), fuzzy=False)) == "miss"
    found = matcher.match(exchange(chat(changed)))
    assert isinstance(found, Match)
    assert (found.level, found.similarity < 1) == ("fuzzy", True)


def test_another_agent_never_matches_fuzzily() -> None:
    """The system prompt tells agents apart even when they were asked the same."""
    text = "\n".join(f"line {word}" for word in "abcdefghij")
    matcher = Matcher(recording(chat(text, system="You are the coder.")))
    assert level(matcher.match(exchange(chat(text, system="You are the tester.")))) == "miss"


def test_a_recording_is_used_once_and_in_order() -> None:
    """Two equal calls get the first and the second answer; a third gets none."""
    matcher = Matcher(recording(chat("again"), chat("again")))
    found = [matcher.match(exchange(chat("again"))) for _ in range(3)]
    spans = [one.recorded.span_id if isinstance(one, Match) else None for one in found]
    assert spans == ["s0", "s1", None]


def test_equal_calls_stay_in_their_conversation() -> None:
    """Of two recordings that say the same once masked, the one of the same thread is taken."""
    follow = [{"role": "assistant", "content": "ok"}, user("status?")]
    calls = [
        exchange(chat(f"job of {who}"), completion("ok"), span_id=f"{who}1", at_s=at)
        for at, who in enumerate(("anna", "bert"))
    ]
    calls += [
        exchange(
            {**chat(), "messages": [*chat(f"job of {who}")["messages"], *follow]},
            completion(f"done {who}"),
            span_id=f"{who}2",
            at_s=4 + at,
        )
        for at, who in enumerate(("anna", "bert"))
    ]
    matcher = Matcher(Recording("trace", calls))
    for who in ("bert", "anna"):
        first = matcher.match(exchange(chat(f"job of {who}")))
        assert isinstance(first, Match)
        matcher.served(exchange(chat(f"job of {who}")), first)
        body = {**chat(), "messages": [*chat(f"job of {who}")["messages"], *follow]}
        second = matcher.match(exchange(body))
        assert isinstance(second, Match)
        assert second.recorded.span_id == f"{who}2"


def test_a_probe_is_answered_by_its_path_again_and_again() -> None:
    """`HEAD /` and `GET /v1/models` are asked any number of times."""
    probe = exchange(b"", {"data": []}, path="/v1/models", method="GET")
    matcher = Matcher(Recording("trace", [probe]))
    for _ in range(3):
        assert level(matcher.match(exchange(b"", path="/v1/models", method="GET"))) == "probe"
    assert level(matcher.match(exchange(b"", path="/v1/files", method="GET"))) == "miss"


def test_a_miss_names_the_nearest_recordings_and_their_difference() -> None:
    """Whoever reads the error sees which call was meant and what differs."""
    matcher = Matcher(recording(chat("fix the parser"), chat("write the documentation")))
    found = matcher.match(exchange(chat("fix the lexer")), fuzzy=False)
    assert isinstance(found, Miss)
    assert found.nearest[0].recorded.span_id == "s0"
    assert any("lexer" in line for line in found.nearest[0].difference)


def test_this_runs_ids_are_put_back_before_comparing() -> None:
    """A call that differs only by an id that was rebound is recognised by that id."""
    matcher = Matcher(recording(chat("agent aaaa1111 is done"), chat("agent bbbb2222 is done")))

    def put_back(body: bytes) -> bytes:
        return body.replace(b"cccc3333", b"bbbb2222")

    found = matcher.match(exchange(chat("agent cccc3333 is done")), put_back=put_back)
    assert isinstance(found, Match)
    assert (found.level, found.recorded.span_id) == ("volatile", "s1")


def test_five_thousand_recordings_are_matched_by_index() -> None:
    """A call is found without comparing it to every recording."""
    many = recording(*(chat(f"question {at}", "x" * 200) for at in range(5000)))
    matcher = Matcher(many)
    assert level(matcher.match(exchange(chat("question 0", "x" * 200)))) == "exact"
    began = time.process_time()
    for at in range(4999, 3999, -1):
        found = matcher.match(exchange(chat(f"question {at}", "x" * 200)))
        assert isinstance(found, Match)
        assert found.recorded.position == at
    assert time.process_time() - began < 20  # a scan of all would take minutes
