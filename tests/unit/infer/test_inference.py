"""The structure that is found in scripted runs, one behaviour a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.infer_support import fold
from tests.unit.infer.programs import CLIENT, Script, Spans, at, got, say, use
from tracelake.infer import Inference, process_key
from tracelake.model import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterable

QUESTION = say("user", "How do the parcels get to the islands in winter?")
RESEARCHER = "You are the researcher."


def delegated(script: Script, *, agent: str = RESEARCHER) -> tuple[str, str, str]:
    """A planner that has one agent look something up; the three calls."""
    ask = use("c1", "ask_researcher", question="Find the winter timetable of the ferries.")
    first = script.call(0, 100, [QUESTION], [ask])
    prompt = say("user", "Find the winter timetable of the ferries.")
    sub = script.call(110, 200, [prompt], [say("assistant", "Twice a week.")], system=agent)
    last = script.call(
        210, 300, [QUESTION, ask, got("c1", "Twice a week.")], [say("assistant", "By ferry.")]
    )
    return first, sub, last


def kinds_above(spans: Spans, span: dict[str, Any]) -> list[str]:
    """Kinds from a span up to the root."""
    kinds: list[str] = []
    above: dict[str, Any] | None = span
    while above is not None:
        kinds.append(above["kind"])
        above = spans.above(above)
    return kinds


def test_a_sub_agent_hangs_on_the_tool_call_that_delegated_to_it() -> None:
    """Orchestrator → tool → sub-agent → call, each named readably, the root an orchestrator."""
    script = Script()
    first, sub, last = delegated(script)
    spans = script.spans()
    assert spans.root["role"] == "orchestrator"
    assert spans.root["name"] == "planner"
    assert spans.agent_of(first) is spans.agent_of(last) is spans.root
    agent = spans.agent_of(sub)
    assert (agent["name"], agent["role"]) == ("researcher", "agent")
    assert agent["parent_id"] == derived_id(first, "tool", 0)
    assert agent["span_id"] == derived_id(sub, "agent")
    assert (agent["evidence"], agent["evidence_source"]) == ("inferred", "tool_text")


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


def test_parallel_agents_with_equal_prompts_are_agents_of_their_own() -> None:
    """Two equal delegations at once start two agents, one under each tool call."""
    script = Script()
    task = "Look at the parcel service and say what it costs."
    calls = [use("c0", "delegate", task=task), use("c1", "delegate", task=task)]
    first = script.call(0, 10, [QUESTION], calls)
    one = script.call(20, 80, [say("user", task)], [say("assistant", "5")], system=RESEARCHER)
    two = script.call(21, 90, [say("user", task)], [say("assistant", "5")], system=RESEARCHER)
    spans = script.spans()
    assert spans.agent_of(one)["parent_id"] == derived_id(first, "tool", 0)
    assert spans.agent_of(two)["parent_id"] == derived_id(first, "tool", 1)


def test_a_spawned_agent_works_on_after_its_call_was_answered() -> None:
    """The tool answers at once; the agent stays under it and ends with its own last call."""
    script = Script()
    spawn = use("c", "spawn_agent", message="Count the parcels in the north depot.")
    first = script.call(0, 10, [QUESTION], [spawn])
    launched = got("c", '{"agent_id": "a1b2c3d4e5", "nickname": "Ada"}')
    script.call(20, 30, [QUESTION, spawn, launched], [say("assistant", "Waiting.")])
    prompt = say("user", "Count the parcels in the north depot.")
    sub = script.call(25, 500, [prompt], [say("assistant", "12")])
    spans = script.spans()
    agent = spans.agent_of(sub)
    assert (agent["parent_id"], agent["name"]) == (derived_id(first, "tool", 0), "Ada")
    assert agent["end_time"] == at(500)
    assert spans.root["end_time"] == at(500)


def test_an_agent_id_in_a_result_tells_which_call_spawned_it() -> None:
    """Of two equal spawns, the one whose result tells the id in the agent's header is right."""
    script = Script()
    calls = [use(f"c{n}", "spawn", message="Count the parcels in the depot.") for n in range(2)]
    first = script.call(0, 10, [QUESTION], calls, headers={"thread-id": "thread-0001"})
    results = [got(f"c{n}", f"Launched, id thread-{n}002") for n in range(2)]
    script.call(
        20, 30, [QUESTION, *calls, *results], [say("assistant", "…")],
        headers={"thread-id": "thread-0001"},
    )  # fmt: skip
    prompt = [say("user", "Count the parcels in the depot.")]
    sub = script.call(40, 50, prompt, headers={"thread-id": "thread-1002"})
    spans = script.spans()
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 1)


def test_an_agent_header_of_a_whole_deployment_does_not_merge_agents() -> None:
    """A gateway may put one agent id on every call; delegation counts for more."""
    script = Script()
    headers = {"x-agent-id": "deployment-1"}
    task = "Count the parcels in the north depot."
    first = script.call(0, 10, [QUESTION], [use("c", "delegate", task=task)], headers=headers)
    sub = script.call(20, 30, [say("user", task)], system=RESEARCHER, headers=headers)
    spans = script.spans()
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)


def test_a_hand_off_makes_a_new_agent_and_the_way_back_does_not() -> None:
    """The conversation goes on under another prompt: a new agent under the hand-off call."""
    script = Script()
    hand = use("c", "transfer_to_clerk", why="prices")
    first = script.call(0, 10, [QUESTION], [hand], system="You are triage.")
    history = [QUESTION, hand, got("c", "ok")]
    answer = say("assistant", "It costs five, as the list on the wall says.")
    clerk = script.call(20, 30, history, [answer], system="You are the clerk.")
    history += [answer, say("user", "And who decides that?")]
    back = script.call(40, 50, history, [say("assistant", "We do.")], system="You are triage.")
    spans = script.spans()
    agent = spans.agent_of(clerk)
    assert (agent["parent_id"], agent["name"]) == (derived_id(first, "tool", 0), "clerk")
    assert spans.agent_of(back) is spans.agent_of(first) is spans.root
    assert len(spans.of("agent")) == 2


def test_a_prompt_with_a_changing_part_is_still_the_same_agent() -> None:
    """A system prompt that carries working memory changes every turn without a hand-off."""
    script = Script()
    memory = "You are the planner. Think well before you plan. Memory: {}"
    first = script.call(0, 10, [QUESTION], [say("assistant", "One.")], system=memory.format("a"))
    history = [QUESTION, say("assistant", "One."), say("user", "Next?")]
    script.call(20, 30, history, [say("assistant", "Two.")], system=memory.format("b c d"))
    spans = script.spans()
    assert len(spans.of("agent")) == 1
    assert spans.agent_of(first) is spans.root


def test_after_compaction_the_agent_is_the_same() -> None:
    """A delegated agent that starts anew from its summary stays under its tool call."""
    script = Script()
    first, sub, _ = delegated(script)
    prompt = say("user", "Find the winter timetable of the ferries.")
    history = [prompt, say("assistant", "Twice a week."), say("user", "Summarize all of this.")]
    summary = "The user wants the winter timetable; ferries leave on Monday and Thursday."
    script.call(310, 320, history, [say("assistant", summary)], system=RESEARCHER)
    anew = say("user", f"This session goes on from a summary:\n{summary}\nGo on.")
    later = script.call(330, 340, [anew], [say("assistant", "Fine.")], system=RESEARCHER)
    spans = script.spans()
    assert spans.agent_of(later) is spans.agent_of(sub)
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)


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


def test_top_level_conversations_of_one_prompt_are_one_agent() -> None:
    """A planner that explores, plans and sums up in separate conversations is one agent."""
    script = Script()
    calls = [
        script.call(100 * n, 100 * n + 50, [say("user", f"Phase {n}: think about it.")])
        for n in range(3)
    ]
    spans = script.spans()
    assert {spans.agent_of(call)["span_id"] for call in calls} == {spans.root["span_id"]}


def test_unrelated_top_level_agents_get_one_root_named_after_the_program() -> None:
    """Two agents that nobody delegated to hang on one inferred root."""
    script = Script()
    one = script.call(0, 10, [QUESTION], [say("assistant", "x")], system="You are the writer.")
    two = script.call(20, 30, [QUESTION], [say("assistant", "y")], system="You are the critic.")
    spans = script.spans()
    assert spans.root["name"] == "report"
    assert spans.root["span_id"] == derived_id(spans.root["trace_id"], "root")
    for call, name in ((one, "writer"), (two, "critic")):
        agent = spans.agent_of(call)
        assert (agent["name"], agent["role"]) == (name, "agent")
        assert agent["parent_id"] == spans.root["span_id"]


def test_a_plan_item_in_a_prompt_links_the_worker_to_the_planner() -> None:
    """No tool call, but the task stands in the planner's JSON answer."""
    script = Script()
    plan = '```json\n{"steps": [{"do": "Measure the depth of the north harbour."}]}\n```'
    script.call(0, 10, [QUESTION], [say("assistant", plan)])
    prompt = say("user", "Your job:\n\n  Measure the depth of the north harbour.\n\nBe quick.")
    worker = script.call(20, 30, [prompt], system="You are a surveyor.")
    spans = script.spans()
    agent = spans.agent_of(worker)
    assert agent["parent_id"] == spans.root["span_id"]
    assert (agent["name"], agent["evidence_source"]) == ("surveyor", "flow")


def test_an_agent_that_has_to_try_again_is_the_same_agent() -> None:
    """The same plan item under the same prompt, after the first try ended: no second agent."""
    script = Script()
    plan = '{"steps": [{"do": "Measure the depth of the north harbour."}]}'
    script.call(0, 10, [QUESTION], [say("assistant", plan)])
    task = "Your job: Measure the depth of the north harbour."
    system = "You are a surveyor."
    one = script.call(20, 30, [say("user", task)], [say("assistant", "?")], system=system)
    retry = say("user", f"YOUR LAST ANSWER WAS NO JSON!\n{task}")
    two = script.call(40, 50, [retry], [say("assistant", "{}")], system=system)
    spans = script.spans()
    assert spans.agent_of(one) is spans.agent_of(two)


def test_a_whole_answer_given_as_context_makes_no_child() -> None:
    """A pipeline hands the writer's text to the critic: beside it, not under it."""
    script = Script()
    text = "The ferries leave twice a week, unless the harbour is frozen over."
    script.call(0, 10, [QUESTION], [say("assistant", text)], system="You are the writer.")
    prompt = say("user", f"Judge this text harshly:\n{text}\nWhat is wrong with it?")
    critic = script.call(20, 30, [prompt], system="You are the critic.")
    spans = script.spans()
    assert spans.agent_of(critic)["parent_id"] == spans.root["span_id"]
    assert spans.root["name"] == "report"


def test_a_paraphrased_delegation_is_found_by_its_result() -> None:
    """The prompt repeats nothing, but the tool's result tells the agent's answer."""
    script = Script()
    calls = [use("c0", "look_up", topic="cats"), use("c1", "look_up", topic="dogs")]
    first = script.call(0, 10, [QUESTION], calls)
    about = [say("user", "Write on canine creatures.")], [say("user", "Write on felines.")]
    dogs = script.call(
        20, 50, about[0], [say("assistant", "All dogs bark at night.")], system=RESEARCHER
    )
    cats = script.call(
        21, 60, about[1], [say("assistant", "All cats purr at noon.")], system=RESEARCHER
    )
    results = [
        got("c0", "Result: All cats purr at noon. OK"),
        got("c1", "Result: All dogs bark at night. OK"),
    ]
    script.call(70, 80, [QUESTION, *calls, *results], [say("assistant", "done")])
    spans = script.spans()
    assert spans.agent_of(cats)["parent_id"] == derived_id(first, "tool", 0)
    assert spans.agent_of(dogs)["parent_id"] == derived_id(first, "tool", 1)
    assert spans.agent_of(cats)["evidence_source"] == "result"


def test_a_parent_by_time_alone_is_taken_back_when_it_cannot_be() -> None:
    """A conversation that goes on after the tool had its result was not started by it."""
    script = Script()
    ask = use("c", "read_file", path="a.py")
    script.call(0, 10, [QUESTION], [ask])
    other = script.call(20, 200, [say("user", "Something else.")], system="You are the watcher.")
    script.call(40, 50, [QUESTION, ask, got("c", "text")], [say("assistant", "done")])
    spans = script.spans()
    assert kinds_above(spans, spans[other]) == ["llm", "agent", "agent"]
    assert spans.agent_of(other)["evidence_source"] == "overlap"


def test_a_child_that_begins_before_its_callers_end_is_linked_late() -> None:
    """A client may act on an answer before the relay has seen the end of it."""
    script = Script()
    ask = use("c", "delegate", task="Count the parcels in the north depot.")
    first = script.call(0, 100, [QUESTION], [ask])
    prompt = say("user", "Count the parcels in the north depot.")
    sub = script.call(95, 150, [prompt], [say("assistant", "12")], system=RESEARCHER)
    spans = script.spans()
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)


def test_results_that_come_before_their_callers_end_are_paired() -> None:
    """The same for tool results: they wait for the call they answer."""
    script = Script()
    ask = use("c", "grep", pattern="x")
    first = script.call(0, 100, [QUESTION], [ask])
    script.call(95, 150, [QUESTION, ask, got("c", "found")], [say("assistant", "done")])
    spans = script.spans()
    assert spans[derived_id(first, "tool", 0)]["result"] == "found"
    assert len(spans.of("agent")) == 1


def test_auxiliary_calls_are_no_agents() -> None:
    """Token counts, titles and embeddings hang on the agent of their scope, marked auxiliary."""
    script = Script()
    count = script.call(0, 5, [QUESTION], api="count_tokens", system="")
    main = script.call(10, 20, [QUESTION], [say("assistant", "x")], tools=[{"name": "grep"}])
    title = script.call(12, 18, [QUESTION], system="Generate a short title for this conversation.")
    vector = script.call(30, 35, [QUESTION], api="embeddings", system="")
    spans = script.spans()
    assert len(spans.of("agent")) == 1
    assert spans.root["name"] == "planner"
    assert {spans[s]["parent_id"] for s in (count, main, title, vector)} == {spans.root["span_id"]}
    assert [spans[s]["auxiliary"] for s in (count, main, title, vector)] == [True, None, True, True]
    assert spans[vector]["kind"] == "embedding"


def test_a_model_list_joins_the_session_that_follows() -> None:
    """A client that lists models before it names its session leaves no trace of its own."""
    script = Script()
    listed = script.call(0, 5, [], api="models", system="")
    main = script.call(10, 20, [QUESTION], headers={"x-my-session-id": "session-1"})
    spans = script.spans()
    assert spans.traces == {"session-1"}
    assert spans[listed]["parent_id"] == spans[main]["parent_id"]


def test_a_model_list_alone_becomes_a_trace_in_the_end() -> None:
    """Nothing is lost when no real call follows."""
    script = Script()
    listed = script.call(0, 5, [], api="models", system="")
    assert script.spans()[listed]["auxiliary"] is True


def test_a_second_turn_belongs_to_the_same_agent_and_moves_its_end() -> None:
    """After its end by idle time, an agent that is asked again keeps its span."""
    script = Script(client={"host": "10.0.0.9"})
    script.call(0, 100, [QUESTION], [say("assistant", "By ferry.")])
    history = [QUESTION, say("assistant", "By ferry."), say("user", "And in summer?")]
    script.call(300_000, 300_100, history, [say("assistant", "By ferry too.")])
    inference = Inference()
    events: list[dict[str, Any]] = []
    ends: list[Any] = []
    for told in script.feed(inference):
        events += told
        events += inference.idle(at(200_000)) if len(ends) == 1 else []
        ends.append(Spans(fold(events)).root["end_time"])
    events += inference.idle(at(999_000))
    spans = Spans(fold(events))
    assert ends[1] == at(100)
    assert spans.root["end_time"] == at(300_100)
    assert len(spans.of("agent")) == 1


def test_an_agent_whose_process_lives_is_given_more_time() -> None:
    """A program that is known to live may work on something else between two calls."""
    script = Script()
    script.call(0, 100, [QUESTION], [say("assistant", "By ferry.")])
    inference = Inference()
    for _ in script.feed(inference):
        pass
    assert inference.idle(at(200_000)) == []
    assert inference.idle(at(700_000)) != []


def test_agents_end_when_their_program_does() -> None:
    """The end of the process ends its agents, once its last call has ended."""
    script = Script()
    script.call(0, 100, [QUESTION], [say("assistant", "By ferry.")])
    inference = Inference()
    opened, ended = script.feed(inference)
    key = process_key(CLIENT)
    assert inference.program_ended(pid_key="another", at=at(50)) == []
    spans = Spans(fold([*opened, *ended, *inference.program_ended(pid_key=key, at=at(5000))]))
    assert (spans.root["status"], spans.root["end_time"]) == ("ok", at(100))


def test_a_program_that_dies_in_a_call_ends_when_the_call_does() -> None:
    """In-flight calls are waited for; the agent then ends as its last call did."""
    script = Script()
    script.call(0, 100, [QUESTION], [say("assistant", "By f")], outcome="client_disconnected")
    inference = Inference()
    feed = script.feed(inference)
    events = next(feed)
    assert inference.program_ended(pid_key=process_key(CLIENT), at=at(90)) == []
    events += next(feed)
    spans = Spans(fold(events))
    assert (spans.root["status"], spans.root["end_time"]) == ("cancelled", at(100))


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


def test_a_tool_that_the_provider_runs_itself_ends_in_the_same_answer() -> None:
    """Server tools carry their result beside the call."""
    script = Script()
    answer = [use("s", "web_search", query="ferry"), got("s", "3 hits"), say("assistant", "So.")]
    first = script.call(0, 10, [QUESTION], answer)
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("ok", "3 hits")


def merged(scripts: Iterable[Script]) -> Script:
    """Several programs at the same time."""
    together = Script()
    for script in scripts:
        together.steps += script.steps
    return together


def test_programs_at_the_same_time_are_traces_of_their_own() -> None:
    """Equal programs in different processes never share a span."""
    scripts = [Script(client={**CLIENT, "pid": pid}) for pid in (7, 8)]
    for script in scripts:
        delegated(script)
    spans = merged(scripts).spans()
    assert len(spans.traces) == 2
    assert sorted(s["trace_id"] for s in spans.of("agent")) == sorted([*spans.traces] * 2)


@pytest.mark.parametrize("header", ["X-Task-ID", "X-Trace-ID", "x-some-session-id"])
def test_header_scopes_are_never_merged(header: str) -> None:
    """Two tasks of one process, told apart by a header, are two traces with those ids."""
    script = Script()
    for n in range(2):
        script.call(10 * n, 10 * n + 5, [QUESTION], headers={header: f"task-{n}"})
    assert script.spans().traces == {"task-0", "task-1"}


def test_bodies_alone_link_a_run_of_an_unknown_client() -> None:
    """Without process and headers, prompts and ids hold a run together."""
    script = Script(client={"host": "10.0.0.9"})
    first, sub, last = delegated(script)
    spans = script.spans()
    assert len(spans.traces) == 1
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)
    assert spans.agent_of(last) is spans.root


def test_a_repeated_first_prompt_of_an_unknown_client_is_a_new_run() -> None:
    """The same program run again a moment later is another trace."""
    script = Script(client={"host": "10.0.0.9"})
    for n in range(2):
        script.call(100 * n, 100 * n + 5, [QUESTION], [say("assistant", "x")])
    assert len(script.spans().traces) == 2


def test_forgotten_traces_leave_no_memory_behind() -> None:
    """A long-lived ingest process drops what has been quiet for hours."""
    script = Script()
    call, _, _ = delegated(script)
    inference = Inference()
    for _ in script.feed(inference):
        pass
    assert inference.trace_of(call) is not None
    inference.idle(at(24 * 3600 * 1000))
    assert inference.trace_of(call) is None


def test_names_come_from_the_most_telling_source() -> None:
    """Header, then spawn argument, then tool name, then prompt, then program."""
    task = "Look at the parcel service and say what it costs."
    cases: list[tuple[dict[str, str], dict[str, str], str, str]] = [
        ({"x-agent-name": "Ada"}, {"subagent_type": "coder"}, "delegate", "Ada"),
        ({}, {"subagent_type": "coder"}, "delegate", "coder"),
        ({}, {}, "ask_accountant", "accountant"),
        ({}, {}, "delegate", "researcher"),
    ]
    for headers, extra, tool, expected in cases:
        script = Script()
        script.call(0, 10, [QUESTION], [use("c", tool, task=task, **extra)])
        sub = script.call(20, 30, [say("user", task)], system=RESEARCHER, headers=headers)
        assert script.spans().agent_of(sub)["name"] == expected
    script = Script()
    assert script.spans() == {}
    call = script.call(0, 10, [QUESTION], system="")
    assert script.spans().agent_of(call)["name"] == "report"
