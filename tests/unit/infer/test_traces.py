"""Where traces and agents begin and end in scripted runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.infer_support import fold
from tests.unit.infer.programs import (
    CLIENT,
    QUESTION,
    Script,
    Spans,
    at,
    delegated,
    got,
    say,
    use,
)
from tracelake.infer import Inference, process_key
from tracelake.model import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterable


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


UNKNOWN = {"host": "10.0.0.9"}


def test_agents_that_are_asked_the_same_at_once_are_one_run() -> None:
    """Bodies alone: a guard beside the agent is of its program, a second run of it is not."""
    script = Script(client=dict(UNKNOWN))
    main = script.call(0, 50, [QUESTION], system="You are the ferryman.")
    guard = script.call(5, 40, [QUESTION], system="You are the guard.")
    second = script.call(10, 60, [QUESTION], system="You are the ferryman.")
    third = script.call(15, 60, [say("user", "An unrelated question.")], system="You are the cook.")
    spans = script.spans()
    trace = [spans[call]["trace_id"] for call in (main, guard, second, third)]
    assert trace[0] == trace[1]
    assert len(set(trace)) == 3


def test_what_two_runs_were_asked_belongs_to_neither() -> None:
    """Bodies alone: of two runs with the same question none is preferred."""
    script = Script(client=dict(UNKNOWN))
    runs = [
        script.call(start, start + 50, [QUESTION], system="You are the ferryman.")
        for start in (0, 5)
    ]
    guard = script.call(10, 40, [QUESTION], system="You are the guard.")
    spans = script.spans()
    assert len({spans[call]["trace_id"] for call in (*runs, guard)}) == 3


def test_agents_side_by_side_are_known_by_a_short_name_in_their_calls() -> None:
    """Bodies alone: a name is no phrase, but a tool call that waits for an answer gives it."""
    script = Script(client=dict(UNKNOWN))
    calls = [
        use(f"c{n}", "read_airline", airline=name) for n, name in enumerate(("Lufta", "Porta"))
    ]
    first = script.call(0, 10, [QUESTION], calls)
    prompts = [say("user", f"Get the flight out of the page of {n}.") for n in ("Lufta", "Porta")]
    pages = [
        script.call(20 + n, 60, [prompt], [say("assistant", "7")], system="Get flights.")
        for n, prompt in enumerate(prompts)
    ]
    other = script.call(25, 60, [say("user", "Bake a cake.")], system="You are the baker.")
    spans = script.spans()
    assert [spans.agent_of(page)["parent_id"] for page in pages] == [
        derived_id(first, "tool", n) for n in range(2)
    ]
    assert spans[other]["trace_id"] != spans[first]["trace_id"]


def test_agents_of_a_kind_that_are_started_at_once_are_one_run() -> None:
    """Bodies alone: one of two equal tool calls has started an agent, the other starts its like."""
    script = Script(client=dict(UNKNOWN))
    calls = [use(f"c{n}", "send_guard", area=area) for n, area in enumerate(("north", "south"))]
    first = script.call(0, 10, [QUESTION], calls)
    prompts = [say("user", text) for text in ("Va au nord du parc.", "Regarde le sud.")]
    guards = [
        script.call(20 + n, 60, [prompt], [say("assistant", "7")], system="Tu es le gardien.")
        for n, prompt in enumerate(prompts)
    ]
    spans = script.spans()
    assert {spans.agent_of(guard)["parent_id"] for guard in guards} == {
        derived_id(first, "tool", n) for n in range(2)
    }


def test_an_agent_that_is_asked_again_beside_others_is_of_its_run() -> None:
    """Bodies alone: who has spoken in one run speaks again, unless that is how runs begin."""
    script = Script(client=dict(UNKNOWN))
    writer, critic = "You are the writer.", "You are the critic."
    script.call(0, 10, [QUESTION], [say("assistant", "By ferry.")], system=writer)
    script.call(20, 30, [say("user", "Judge.")], [say("assistant", "Too short.")], system=critic)
    busy = script.call(40, 90, [say("user", "Make it longer.")], system=writer)
    again = script.call(50, 60, [say("user", "And the rest?")], system=critic)
    new = script.call(55, 65, [say("user", "Write of trains.")], system=writer)
    spans = script.spans()
    trace = [spans[call]["trace_id"] for call in (busy, again, new)]
    assert trace[0] == trace[1] != trace[2]


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


def test_a_sub_process_that_works_on_the_plan_of_its_parent_belongs_to_its_trace() -> None:
    """A program that starts others for parts of its plan is one run; others are their own."""
    script = Script()
    plan = say("assistant", '["Paint the east wall in ochre", "Paint the west wall in white"]')
    script.call(0, 100, [QUESTION], [plan])
    parent = script.client
    script.client = {**parent, "pid": 8, "ppid": parent["pid"], "started": 101}
    child = script.call(
        200, 300, [say("user", "Paint the west wall in white")], system="You are a painter."
    )
    beside = {**parent, "pid": 10, "ppid": 99, "ancestors": [99, 98, parent["pid"]]}
    script.client = {**beside, "started": 103}  # through a launcher and its shell
    through = script.call(
        350, 390, [say("user", "Paint the east wall in ochre")], system="You are a painter."
    )
    script.client = {**parent, "pid": 9, "ppid": parent["pid"], "started": 102}
    stranger = script.call(
        400, 500, [say("user", "Count the sheep on the hill.")], system="You are a shepherd."
    )
    spans = script.spans()
    assert spans[child]["trace_id"] != spans[stranger]["trace_id"]
    assert spans[through]["trace_id"] == spans[child]["trace_id"]
    above = spans.above(spans.agent_of(child))
    assert above is not None
    assert above["name"] == "planner"


def test_a_program_that_a_tool_call_starts_belongs_to_its_trace() -> None:
    """Its command stands in the call's arguments, whatever it asks; reading a file is no start."""
    script = Script()
    parent = script.client
    asked = [
        use("c1", "bash", command="cd work && uv run walls.py --side west | tee log"),
        use("c2", "bash", command="cd work && uv run walls.py --side east"),
        use("c3", "read", path="sheep.py.bak"),
    ]
    script.call(0, 100, [QUESTION], asked)
    children = []
    commands = (["walls.py", "--side", "east"], ["sheep.py"], ["walls.py"], ["."])
    for number, words in enumerate(commands):
        pid = 20 + number
        launched = {"command": ["/venv/bin/python3", "-u", *words], "started": pid}
        above = {"pid": pid, "ppid": 99, "ancestors": [99, parent["pid"] if number != 2 else 5]}
        script.client = {**parent, **above, **launched}
        task = say("user", f"What is to be done on day {number}?")
        children.append(script.call(200, 300, [task], [use("d", "look")], system="You help."))
        said = [task, use("d", "look"), got("d", "Nothing.")]
        again = script.call(310, 400, said, [say("assistant", "Rest.")], system="You help.")
        assert script.spans()[again]["parent_id"] == script.spans()[children[-1]]["parent_id"]
    spans = script.spans()
    traces = [spans[child]["trace_id"] for child in children]
    assert len(set(traces)) == 4
    tool = spans.above(spans.agent_of(children[0]))
    assert tool is not None
    assert tool["tool_name"] == "bash"
    assert "east" in str(tool["parameters"])
    assert spans.agent_of(children[0])["evidence"] == "inferred"
    assert all(spans.above(spans.agent_of(child)) is None for child in children[1:])
