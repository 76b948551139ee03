"""Agents that work at once, take turns in a conversation, or pass their answers on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.infer.programs import (
    QUESTION,
    RESEARCHER,
    Script,
    Spans,
    at,
    got,
    say,
    use,
)
from tracelake.model import derived_id

GENERAL = "You are a helpful assistant."
RULES = "Keep to the rules of the house. " * 40
DONE = say("assistant", "It has been looked up and written down.")


def agents(spans: Spans, *calls: str) -> list[str]:
    """The agents of calls."""
    return [spans.agent_of(call)["span_id"] for call in calls]


def under(spans: Spans, call: str) -> dict[str, Any] | None:
    """What the agent of a call hangs on."""
    return spans.above(spans.agent_of(call))


def test_conversations_of_one_prompt_in_flight_at_once_are_several_agents() -> None:
    """An agent does one thing at a time; one that begins after the others ended is the first."""
    script = Script()
    calls = [
        script.call(n, 100 + n, [say("user", f"Look into matter {n}.")], [DONE], system=RESEARCHER)
        for n in range(3)
    ]
    later = script.call(300, 310, [say("user", "Look into the rest.")], [DONE], system=RESEARCHER)
    spans = script.spans()
    assert len(set(agents(spans, *calls))) == 3
    assert agents(spans, later) == agents(spans, calls[0])
    assert all(under(spans, call) is spans.root for call in calls)


def test_plain_calls_without_a_system_prompt_are_one_program() -> None:
    """Calls made side by side by a script tell of no agents."""
    script = Script()
    calls = [
        script.call(n, 100 + n, [say("user", f"Translate line {n}.")], [DONE], system="")
        for n in range(3)
    ]
    assert len(set(agents(script.spans(), *calls))) == 1


@pytest.mark.parametrize("system", ["", RESEARCHER])
def test_conversations_that_go_on_in_turns_are_several_agents(system: str) -> None:
    """What began while another conversation waited for its tool, and did not end, is another's."""
    script = Script()
    calls: list[str] = []
    for n in range(2):
        asked = [say("user", f"Look into matter {n}.")]
        tool = use(f"c{n}", "search", query=f"matter {n}")
        calls.append(script.call(50 * n, 50 * n + 20, asked, [tool], system=system))
        more = [*asked, tool, got(f"c{n}", f"found {n}")]
        calls.append(script.call(200 + 50 * n, 220 + 50 * n, more, [DONE], system=system))
    spans = script.spans()
    one, one_again, two, two_again = agents(spans, *calls)
    assert one == one_again != two == two_again
    assert spans[derived_id(calls[2], "tool", 0)]["parent_id"] == two


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You handle refunds.", "You handle billing."),
        (f"{GENERAL} Write in Spanish.", f"{GENERAL} Write in French."),
        (f"{RULES}Find flights.", f"{RULES}Find seats."),
    ],
)
def test_prompts_that_differ_in_a_word_are_two_agents(one: str, other: str) -> None:
    """A general role and shared rules do not make two tasks one, in one conversation or two."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [DONE], system=one)
    second = script.call(20, 30, [say("user", "Something else.")], [DONE], system=other)
    third = script.call(40, 50, [QUESTION, DONE, say("user", "More.")], [DONE], system=other)
    spans = script.spans()
    assert agents(spans, first) != agents(spans, second) == agents(spans, third)


def test_who_speaks_next_without_being_asked_stands_beside() -> None:
    """A program that lets agents speak in turn delegates nothing."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [DONE], system="You are the writer.")
    second = script.call(
        20, 30, [QUESTION, DONE], [say("assistant", "Good.")], system="You are the critic."
    )
    spans = script.spans()
    assert under(spans, first) is under(spans, second) is spans.root


def test_a_whole_answer_as_a_message_makes_no_child() -> None:
    """In a group chat the words of the others come as messages."""
    script = Script()
    script.call(0, 10, [QUESTION], [DONE], system="You are Ann.")
    heard = [QUESTION, say("user", "It has been looked up and written down.")]
    second = script.call(20, 30, heard, [say("assistant", "I see.")], system="You are Bob.")
    spans = script.spans()
    assert under(spans, second) is spans.root


PLAN = "1. **Depth**: Measure the depth of the harbour.\n2. **Wind**: Measure the wind on the mole."
STEPS = ["Measure the depth of the harbour.", "Measure the wind on the mole."]


def test_steps_hang_on_the_plan_and_who_joins_them_stands_beside_it() -> None:
    """One step of a plan is a task, all of it is context, as are the answers of the steps."""
    script = Script()
    planner = script.call(0, 10, [QUESTION], [say("assistant", PLAN)])
    results = ["The harbour is nine metres deep.", "The wind blows at six knots."]
    steps = [
        script.call(
            20 + 20 * n,
            30 + 20 * n,
            [say("user", f"The plan is:\n{PLAN}\nNow do this: {STEPS[n]}")],
            [say("assistant", results[n])],
            system="You are a surveyor.",
        )
        for n in range(2)
    ]
    told = say("user", "\n".join(["Write it up.", PLAN, *results]))
    writer = script.call(80, 90, [told], [DONE], system="You are the writer.")
    spans = script.spans()
    assert [under(spans, step) for step in steps] == [spans.agent_of(planner)] * 2
    assert len(set(agents(spans, *steps))) == 2
    assert under(spans, writer) is spans.root


def test_words_inside_the_answer_of_another_are_no_task() -> None:
    """A task that stands in a prompt only as a part of its worker's answer was that worker's."""
    script = Script()
    plan = '{"jobs": ["Measure the depth of the harbour."]}'
    script.call(0, 10, [QUESTION], [say("assistant", plan)])
    told = "I was to: Measure the depth of the harbour. It is nine metres."
    worker = script.call(
        20, 30, [say("user", f"Job: {STEPS[0]}")], [say("assistant", told)], system=RESEARCHER
    )
    editor = script.call(
        40, 50, [say("user", f"Correct this:\n{told}")], [DONE], system="You are the editor."
    )
    spans = script.spans()
    source = spans.agent_of(editor)["evidence_source"]
    assert under(spans, editor) is under(spans, worker)
    assert (source, spans.agent_of(editor)["confidence"]) == ("flow", 0.6)


def test_agents_that_take_turns_inside_a_tool_stay_the_same() -> None:
    """A writer and a critic inside one tool call are two agents under it, not one a call."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [use("c", "make", about="a poem on the first snow")])
    calls: list[str] = []
    text = "Write a poem on the first snow"
    for n in range(2):
        poem, flaw = f"White {n} lies the snow on the roofs.", f"Line {n} is lame, mend it please."
        calls.append(
            script.call(100 * n + 20, 100 * n + 30, [say("user", text)], [say("assistant", poem)],
                        system="You are the poet."))  # fmt: skip
        calls.append(
            script.call(100 * n + 40, 100 * n + 50, [say("user", f"Judge:\n{poem}")],
                        [say("assistant", flaw)], system="You are the critic."))  # fmt: skip
        text = f"Write a poem on the first snow\nCritique: {flaw}"
    spans = script.spans()
    poet, critic, poet_again, critic_again = agents(spans, *calls)
    assert poet == poet_again != critic == critic_again
    assert [spans.agent_of(c)["parent_id"] for c in calls] == [derived_id(first, "tool", 0)] * 4


def test_a_delegated_agent_that_forgets_its_beginning_is_the_same() -> None:
    """It sends a window of its last turns, which holds nothing that is known."""
    script = Script()
    ask = use("c", "delegate", task="Play the riddle game with them.")
    first = script.call(0, 10, [QUESTION], [ask])
    prompt = [say("user", "Play the riddle game with them.")]
    one = script.call(20, 30, prompt, [say("assistant", "Q1")], system=RESEARCHER)
    window = [say("assistant", "Q?"), say("user", "A sieve.")]
    two = script.call(40, 50, window, [say("assistant", "Q2")], system=RESEARCHER)
    spans = script.spans()
    assert agents(spans, one) == agents(spans, two)
    assert spans.agent_of(two)["parent_id"] == derived_id(first, "tool", 0)


def test_experts_asked_the_same_are_told_apart_by_their_names() -> None:
    """Equal words, arriving in another order: the tool's name stands in the agent's prompt."""
    script = Script()
    who = ["lawyer", "engineer", "economist"]
    asked = "Should the town build a new bridge?"
    tools = [use(f"c{n}", f"ask_{name}", question=asked) for n, name in enumerate(who)]
    first = script.call(0, 10, [say("user", asked)], tools)
    calls = {
        name: script.call(
            90 - 20 * n, 100, [say("user", asked)], [DONE], system=f"Speak as the {name} of a town."
        )
        for n, name in enumerate(who)
    }
    spans = script.spans()
    for n, name in enumerate(who):
        assert spans.agent_of(calls[name])["parent_id"] == derived_id(first, "tool", n)


def test_an_agent_is_found_by_the_name_in_a_hand_over() -> None:
    """The new prompt repeats nothing, but says the name that the tool call gave."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [use("c", "transfer", agent_name="time_keeper")])
    prompt = [say("user", "For context: another agent did something.")]
    system = 'Tell the time. You are an agent. Your internal name is "time keeper".'
    sub = script.call(20, 30, prompt, [DONE], system=system)
    spans = script.spans()
    agent = spans.agent_of(sub)
    assert (agent["parent_id"], agent["evidence_source"]) == (derived_id(first, "tool", 0), "named")


def test_an_agent_that_hands_back_keeps_its_place() -> None:
    """Its last call asks for a tool that nobody answers, as the caller goes on instead."""
    script = Script()
    ask = use("c", "look_up", topic="cats")
    first = script.call(0, 10, [QUESTION], [ask])
    back = use("b", "hand_back")
    sub = script.call(20, 30, [say("user", "Felines, please.")], [back], system="Find things out.")
    script.call(40, 50, [QUESTION, ask, got("c", "asked")], [DONE])
    spans = script.spans()
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)


def test_a_neighbour_that_began_before_an_answer_was_not_started_by_it() -> None:
    """Its prompt shares words with the call's arguments, which neither of them made up."""
    script = Script()
    note = use("c", "note", fact="Ann was born in Rome.")
    text = say("user", "Text one: Ann was born in Rome.")
    first = script.call(
        0, 100, [text], [note], system="Extract facts.", first_byte_time=at(95)
    )  # fmt: skip
    second = script.call(5, 60, [text], [DONE], system="Extract names.")
    spans = script.spans()
    assert under(spans, first) is under(spans, second) is spans.root


def test_a_guess_by_time_gives_way_to_the_agent_that_the_words_show() -> None:
    """A neighbour that began while a call waited is not the call's, once its agent is there too."""
    script = Script()
    task = "Count the parcels in the north depot."
    first = script.call(0, 10, [QUESTION], [use("c", "delegate", task=task)])
    before = script.call(20, 90, [say("user", "Something.")], [DONE], system="You are the watcher.")
    sub = script.call(30, 80, [say("user", task)], [DONE], system=RESEARCHER)
    after = script.call(40, 90, [say("user", "Else.")], [DONE], system="You are the guard.")
    spans = script.spans()
    assert spans.agent_of(sub)["parent_id"] == derived_id(first, "tool", 0)
    assert under(spans, before) is under(spans, after) is spans.root


def test_plain_calls_inside_a_tool_are_one_agent() -> None:
    """A tool maps calls without a system prompt over pages and joins what they say."""
    script = Script()
    ask = use("c1", "summarize_file", file="diary 4")
    first = script.call(0, 10, [QUESTION], [ask])
    lines = [f"Page {n} tells of the long white winter." for n in range(3)]
    pages = [
        script.call(
            20 + n, 90, [say("user", f"Sum up:\npage {n}")], [say("assistant", line)], system=""
        )
        for n, line in enumerate(lines)
    ]
    join = say("user", "Combine:\n" + "\n".join(lines))
    pages.append(script.call(100, 120, [join], [say("assistant", "A winter.")], system=""))
    spans = script.spans()
    assert len(set(agents(spans, *pages))) == 1
    assert under(spans, pages[0]) is spans[derived_id(first, "tool", 0)]


def test_who_joins_the_answers_of_several_tool_calls_is_in_none_of_them() -> None:
    """Workers take tasks that were put into a list; the report on all of them stands outside."""
    script = Script()
    tasks = ["Seal the windows on the north side.", "Sweep the chimney before the frost."]
    add = [use(f"c{n}", "add_task", description=task) for n, task in enumerate(tasks)]
    script.call(0, 10, [QUESTION], add)
    script.call(20, 30, [QUESTION, *add, got("c0", "ok"), got("c1", "ok")], [DONE])
    done = ["All the windows are sealed now.", "The chimney is clean and swept."]
    workers = [
        script.call(
            40 + n, 90, [say("user", f"Task: {task}")], [say("assistant", end)], system=GENERAL
        )
        for n, (task, end) in enumerate(zip(tasks, done, strict=True))
    ]
    log = script.call(100, 110, [say("user", "\n".join(done))], system="You are the clerk.")
    spans = script.spans()
    assert [(under(spans, call) or {})["kind"] for call in workers] == ["tool", "tool"]
    above = under(spans, log)
    assert above is None or above["kind"] == "agent"


def test_agents_that_are_handed_the_whole_conversation_are_found_by_their_answers() -> None:
    """They go on from their caller's call, with the task as its result; then so does the caller."""
    script = Script()
    calls = [use(f"c{n}", "fork", directive=n) for n in range(2)]
    first = script.call(0, 10, [QUESTION], calls)
    ends = ["The parser is used in three places.", "There are tests of it in one file."]
    forks: list[list[str]] = []
    for n, end in enumerate(ends):
        task = [got(f"c{k}", f"Do only part {n} of this.") for k in range(2)]
        grep = use(f"g{n}", "grep", q=str(n))
        begun = [QUESTION, *calls, *task]
        found = [*begun, grep, got(f"g{n}", "3 hits")]
        opened = script.call(20 + n, 50 + n, begun, [grep])
        forks.append([opened, script.call(60 + n, 80 + n, found, [say("assistant", end)])])
    results = [got(f"c{n}", end) for n, end in enumerate(ends)]
    last = script.call(100, 110, [QUESTION, *calls, *results], [DONE])
    spans = script.spans()
    tools = [spans[derived_id(first, "tool", n)] for n in range(2)]
    assert agents(spans, last) == agents(spans, first) == [spans.root["span_id"]]
    for tool, fork, end in zip(tools, forks, ends, strict=True):
        assert tool["result"] == end
        assert all(under(spans, call) is tool for call in fork)
        assert spans[derived_id(fork[0], "tool", 0)]["parent_id"] == agents(spans, fork[1])[0]


def test_a_conversation_that_is_gone_on_with_twice_is_one_agents() -> None:
    """A user goes back to an earlier answer: nobody was asked to do anything."""
    script = Script()
    ask = use("c0", "grep", q="x")
    begun = [QUESTION, ask, got("c0", "3 hits in the harbour office.")]
    script.call(0, 10, [QUESTION], [ask])
    for start in (20, 40):
        script.call(start, start + 10, begun, [say("assistant", "One of two answers.")])
    spans = script.spans()
    assert len(spans.of("agent")) == 1
    assert [tool["result"] for tool in spans.of("tool")] == ["3 hits in the harbour office."]


def test_a_conversation_that_branches_with_a_result_each_is_read() -> None:
    """Each branch carries the result of one of the tools; the second begins beside the first."""
    script = Script()
    calls = [use(f"c{n}", "ask_expert", n=n) for n in range(2)]
    script.call(0, 10, [QUESTION], calls)
    for n in range(2):
        script.call(20 + n, 50, [QUESTION, *calls, got(f"c{n}", f"It is {n}.")], [DONE])
    assert [tool["result"] for tool in script.spans().of("tool")] == ["It is 0.", "It is 1."]
