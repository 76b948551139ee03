"""Calls and tool calls found in scripted runs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.corpus.infer_support import fold
from tests.unit.infer.programs import (
    QUESTION,
    Script,
    Spans,
    at,
    delegated,
    got,
    say,
    use,
)
from tracelake.infer import Inference
from tracelake.model import derived_id
from tracelake.wire import Atom


def test_a_running_call_and_its_tools_are_told_at_once() -> None:
    """While a call is in flight its span runs; its tools run until a request brings results."""
    script = Script()
    first, _, _ = delegated(script)
    events: list[dict[str, Any]] = []
    seen: list[list[tuple[str, str]]] = []
    for told in script.feed(Inference()):
        events += told
        spans = fold(events)
        seen.append([(s["kind"], s["status"]) for s in spans if s["kind"] != "agent"])
    assert seen[0] == [("llm", "running")]
    assert seen[1] == [("llm", "ok"), ("tool", "running")]
    assert ("tool", "running") in seen[3]
    assert ("tool", "ok") in seen[4]
    assert first


def test_a_tool_span_holds_parameters_result_and_an_upper_bound() -> None:
    """Parameters and result as sent; it ends when the result is seen, and says so."""
    script = Script()
    first, _, _ = delegated(script)
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert tool["tool_name"] == "ask_researcher"
    assert '"Find the winter timetable of the ferries."' in tool["parameters"]
    assert tool["result"] == "Twice a week."
    assert (tool["start_time"], tool["end_time"]) == (at(100), at(210))
    assert '"duration_bound":"upper"' in tool["attributes"]


def test_an_error_flag_decides_and_without_one_the_text_does() -> None:
    """A flagged result is an error whatever it says; an unflagged one when it reads like one."""
    script = Script()
    calls = [use(f"c{n}", "probe", n=n) for n in range(4)]
    first = script.call(0, 10, [QUESTION], calls)
    results = [
        got("c0", "fine", is_error=True),
        got("c1", "Error: no such file", is_error=False),
        got("c2", "Error: no such file"),
        got("c3", "no errors found"),
    ]
    script.call(20, 30, [QUESTION, *calls, *results], [say("assistant", "done")])
    spans = script.spans()
    statuses = [spans[derived_id(first, "tool", n)]["status"] for n in range(4)]
    assert statuses == ["error", "ok", "error", "ok"]


def test_plain_text_results_are_paired_by_name_and_order() -> None:
    """A client that drops the calls from its history and sends results as messages."""
    script = Script()
    calls = [use("c0", "read_file", path="b.py"), use("c1", "grep", pattern="x")]
    first = script.call(0, 10, [QUESTION], calls)
    history = [
        QUESTION,
        say("assistant", "Calling tool: grep"),
        say("user", "Tool result from grep:\nline 1"),
        say("assistant", "Calling tool: read_file"),
        say("user", "Tool result from read_file:\ncontent"),
    ]
    second = script.call(20, 30, history, [say("assistant", "done")])
    spans = script.spans()
    assert "content" in spans[derived_id(first, "tool", 0)]["result"]
    assert "line 1" in spans[derived_id(first, "tool", 1)]["result"]
    assert spans.agent_of(first) is spans.agent_of(second)


def test_a_final_call_that_is_never_answered_is_ok() -> None:
    """The last call of a finished program is how it gave its answer, not a lost one."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [use("c", "final_answer", answer="By ferry.")])
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("ok", None)
    assert '"terminal":true' in tool["attributes"]


def test_a_call_that_the_conversation_went_on_without_is_cancelled() -> None:
    """A tool call without a result in a conversation that goes on was dropped."""
    script = Script()
    ask = [use("c0", "grep", x=1), use("c1", "read_file", path="a")]
    first = script.call(0, 10, [QUESTION], ask)
    script.call(20, 30, [QUESTION, *ask, got("c0", "x")], [say("assistant", "done")])
    spans = script.spans()
    statuses = [spans[derived_id(first, "tool", n)]["status"] for n in range(2)]
    assert statuses == ["ok", "cancelled"]


def test_a_failed_call_that_is_sent_again_is_a_retry_of_the_same_conversation() -> None:
    """An overloaded provider: the error is an error, the retry goes on in the same thread."""
    script = Script()
    failed = script.call(0, 10, [QUESTION], status=529, error="overloaded", outcome="ok")
    again = script.call(20, 30, [QUESTION], [say("assistant", "By ferry.")])
    spans = script.spans()
    assert (spans[failed]["status"], spans[failed]["error"]) == ("error", "overloaded")
    assert f'"retry_of":"{failed}"' in spans[again]["attributes"]
    assert spans.root["status"] == "ok"
    assert len(spans.of("agent")) == 1


def test_a_client_that_hangs_up_cancels_its_call_and_keeps_the_partial_answer() -> None:
    """The partial answer is kept; no tools are made of a broken answer."""
    script = Script()
    partial = [say("assistant", "By fer"), use("c", "grep", x=1)]
    call = script.call(0, 10, [QUESTION], partial, outcome="client_disconnected")
    spans = script.spans()
    assert (spans[call]["status"], spans[call]["response"]) == ("cancelled", "By fer")
    assert spans.of("tool") == []
    assert spans.root["status"] == "cancelled"


def test_results_that_come_before_their_callers_end_are_paired() -> None:
    """The same for tool results: they wait for the call they answer."""
    script = Script()
    ask = use("c", "grep", pattern="x")
    first = script.call(0, 100, [QUESTION], [ask])
    script.call(95, 150, [QUESTION, ask, got("c", "found")], [say("assistant", "done")])
    spans = script.spans()
    assert spans[derived_id(first, "tool", 0)]["result"] == "found"
    assert len(spans.of("agent")) == 1


def test_a_conversation_kept_by_the_provider_is_one_conversation() -> None:
    """With `previous_response_id` only what is new is sent; ids link the calls."""
    script = Script()
    ask = use("c", "grep", pattern="x")
    first = script.call(0, 10, [QUESTION], [ask], api="responses", response_id="resp_1")
    script.call(
        20, 30, [got("c", "found")], [say("assistant", "done")], api="responses",
        parameters={"previous_response_id": "resp_1"}, system="",
    )  # fmt: skip
    spans = script.spans()
    assert spans[derived_id(first, "tool", 0)]["result"] == "found"
    assert len({thread_of(span) for span in spans.of("llm")}) == 1
    assert len(spans.of("agent")) == 1


def thread_of(span: dict[str, Any]) -> str:
    """The conversation of a call."""
    import json

    return json.loads(span["attributes"])["thread"]


def test_an_agent_that_inherits_a_history_does_not_end_its_callers_tools() -> None:
    """Its copy of the history says that the call which started it was aborted: it was not."""

    def headers(key: str, name: str, **more: str) -> dict[str, str]:
        return {"session-id": "s", "thread-id": key, "x-agent-name": name, **more}

    script = Script()
    spawn = use("c1", "spawn_agent", task_name="reader")
    first = script.call(0, 10, [QUESTION], [spawn], headers=headers("t-1", "root"))
    inherited = [QUESTION, spawn, got("c1", "aborted"), say("user", "Read the file.")]
    below = headers("t-2", "reader", **{"x-parent-thread-id": "t-1"})
    script.call(20, 30, inherited, [say("assistant", "Read.")], headers=below)
    script.call(40, 50, [QUESTION, spawn, got("c1", "started")], headers=headers("t-1", "root"))
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("ok", "started")


def test_a_result_that_is_an_image_says_so() -> None:
    """There is no text to show; the image itself stands in the call that carries it."""
    script = Script()
    look = use("c", "read", path="logo.png")
    first = script.call(0, 10, [QUESTION], [look])
    script.call(20, 30, [QUESTION, look, got("c", ""), Atom("user", "media", "5f2a")])
    assert script.spans()[derived_id(first, "tool", 0)]["result"] == "[image]"


def test_a_tool_that_the_provider_runs_itself_ends_in_the_same_answer() -> None:
    """Server tools carry their result beside the call."""
    script = Script()
    answer = [use("s", "web_search", query="ferry"), got("s", "3 hits"), say("assistant", "So.")]
    first = script.call(0, 10, [QUESTION], answer)
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("ok", "3 hits")


def test_a_result_that_comes_after_the_agent_was_idle_for_long() -> None:
    """A tool that ran longer than any agent is waited for still gets its result."""
    script = Script()
    ask = use("c1", "build", target="all")
    script.call(0, 100, [QUESTION], [ask])
    hour = 3600 * 1000
    answered = [QUESTION, ask, got("c1", "Exit code 3")]
    script.call(hour, hour + 100, answered, [say("assistant", "It failed.")])
    inference = Inference()
    events: list[dict[str, Any]] = []
    for told in script.feed(inference):
        events += [*told, *inference.idle(at(0.7 * hour))]
    (tool,) = Spans(fold(events)).of("tool")
    assert (tool["status"], tool["result"]) == ("error", "Exit code 3")
    assert not json.loads(tool["attributes"])["unanswered"]


def test_a_request_sent_again_drops_what_the_first_answer_asked_for() -> None:
    """A client throws an answer away and asks again: the tools of the second answer are run."""
    script = Script()
    kept = use("c1", "ask_reader", letter="The long letter of Mr Brown, please.")
    first = script.call(0, 10, [QUESTION], [replace(kept, id="c0")])
    again = script.call(20, 30, [QUESTION], [kept])
    prompt = say("user", "The long letter of Mr Brown, please.")
    reader = "You are the reader."
    cut = script.call(40, 50, [prompt], outcome="client_disconnected", system=reader)
    read = script.call(60, 70, [prompt], [say("assistant", "Dear all")], system=reader)
    script.call(80, 90, [QUESTION, kept, got("c1", "Dear all")], [say("assistant", "done")])
    spans = script.spans()
    dropped, run = (spans[derived_id(call, "tool", 0)] for call in (first, again))
    assert (dropped["status"], run["status"]) == ("cancelled", "ok")
    assert spans.agent_of(cut) is spans.agent_of(read)
    assert spans.above(spans.agent_of(read)) is run


def test_an_answer_by_a_tool_stands_when_its_request_is_sent_again() -> None:
    """A program that asks the same time and again gets an answer each time."""
    script = Script()
    calls = [
        script.call(20 * n, 20 * n + 10, [QUESTION], [use(f"c{n}", "final_answer", answer="Yes.")])
        for n in range(3)
    ]
    spans = script.spans()
    assert {spans[derived_id(call, "tool", 0)]["status"] for call in calls} == {"ok"}
