"""Which agents are found in scripted runs, and what they hang on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.infer.programs import (
    QUESTION,
    RESEARCHER,
    Script,
    Spans,
    at,
    delegated,
    got,
    say,
    use,
)
from tracelake.model import derived_id


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


@pytest.mark.parametrize("seen_late", [False, True])
def test_an_agent_is_known_by_the_name_that_its_caller_gave_it(seen_late: bool) -> None:
    """The words of a delegation may be encrypted; the name in the call and in the header is not.

    Also where the child asks before the relay has seen the end of its caller's answer.
    """

    def headers(key: str, path: str, **more: str) -> dict[str, str]:
        return {
            "session-id": "s",
            "thread-id": key,
            "x-turn": json.dumps({"agent_name": path}),
            **more,
        }

    script = Script()
    root = headers("thread-1001", "/root")
    spawns = [
        use("c1", "spawn_agent", task_name="north_reader", message="gAAAAABp1"),
        use("c2", "spawn_agent", task_name="south_reader", message="gAAAAABp2"),
    ]
    first = script.call(0, 200 if seen_late else 10, [QUESTION], spawns, headers=root)
    below = {"x-parent-thread-id": "thread-1001"}
    south = script.call(
        100, 110, [say("user", "Begin.")], headers=headers("t-3", "/root/south_reader", **below)
    )
    north = script.call(
        120, 130, [say("user", "Begin.")], headers=headers("t-2", "/root/north_reader", **below)
    )
    told = [got("c1", '{"task_name": "/root/north_reader"}'), got("c2", "spawned")]
    script.call(300, 310, [QUESTION, *spawns, *told], headers=root)
    spans = script.spans()
    assert spans.agent_of(north)["parent_id"] == derived_id(first, "tool", 0)
    assert spans.agent_of(south)["parent_id"] == derived_id(first, "tool", 1)
    assert spans.agent_of(south)["name"] == "south_reader"


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


def test_agents_that_share_a_conversation_answer_each_other_without_a_user_between() -> None:
    """After an agent's last word the coordinator speaks next: the next hand-off is its own."""
    script = Script()
    desk = {"system": "You are the coordinator."}
    to_billing, to_lines = use("b", "transfer_to_billing"), use("l", "transfer_to_lines")
    first = script.call(0, 10, [QUESTION], [to_billing], **desk)
    history = [QUESTION, to_billing, got("b", "ok")]
    said = say("assistant", "The invoice is right.")
    billing = script.call(20, 30, history, [said], system="You are the billing clerk.")
    history += [said]
    second = script.call(40, 50, history, [to_lines], **desk)
    history += [to_lines, got("l", "ok")]
    said = say("assistant", "The line is dead.")
    lines = script.call(60, 70, history, [said], system="You are the technician for lines.")
    history += [said]
    last = script.call(80, 90, history, [say("assistant", "We are sorry.")], **desk)
    spans = script.spans()
    assert spans.agent_of(first) is spans.agent_of(second) is spans.agent_of(last) is spans.root
    assert spans.agent_of(billing)["parent_id"] == derived_id(first, "tool", 0)
    assert spans.agent_of(lines)["parent_id"] == derived_id(second, "tool", 0)
    assert len(spans.of("agent")) == 3


def test_an_agent_behind_a_tool_that_names_an_action_is_named_by_its_prompt() -> None:
    """`ask_editor` names an agent, `weekly_report` what is done: then "You are …" says who does."""
    for tool, name in (("weekly_report", "researcher"), ("ask_editor", "editor")):
        script = Script()
        asked = use("c", tool, topic="the weather of last week in Lisbon")
        script.call(0, 10, [QUESTION], [asked])
        prompt = [say("user", "Write about the weather of last week in Lisbon.")]
        sub = script.call(20, 30, prompt, [say("assistant", "It rained.")], system=RESEARCHER)
        assert script.spans().agent_of(sub)["name"] == name


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
