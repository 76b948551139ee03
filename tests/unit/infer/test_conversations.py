"""Which call a request continues, where clients rewrite, join or leave out what was said."""

from __future__ import annotations

import json

import pytest

from tests.unit.infer.programs import QUESTION, RESEARCHER, Script, Spans, got, say, use
from tracelake.infer.phrases import phrases_of
from tracelake.model import derived_id

DONE = say("assistant", "It has been looked up and written down.")


def thread_of(spans: Spans, call: str) -> str:
    """The conversation that a call was counted to."""
    return json.loads(spans[call]["attributes"])["thread"]


def test_results_in_a_plain_message_without_the_call() -> None:
    """A client sends what a tool gave as a message, and not that it was called."""
    script = Script()
    first = script.call(0, 10, [QUESTION], [use("c", "save", path="shed")])
    last = script.call(20, 30, [QUESTION, say("user", "Error: the disk is full")], [DONE])
    spans = script.spans()
    tool = spans[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("error", "Error: the disk is full")
    assert thread_of(spans, first) == thread_of(spans, last)


def test_results_joined_to_the_message_before_the_call() -> None:
    """A client that leaves out a failed call joins its error to the message before."""
    script = Script()
    history = [
        QUESTION,
        say("assistant", "Calling look_up"),
        say("user", "Result: Paris has a river"),
    ]
    first = script.call(0, 10, history, [use("c", "look_up", city="Atlantis")])
    joined = say("user", "Result: Paris has a river\nError: look_up knows no Atlantis")
    script.call(20, 30, [*history[:2], joined], [DONE])
    tool = script.spans()[derived_id(first, "tool", 0)]
    assert (tool["status"], tool["result"]) == ("error", "Error: look_up knows no Atlantis")


def test_a_message_that_grows_is_one_conversation() -> None:
    """Thoughts and observations are written into one prompt; another prompt begins the same way."""
    script = Script()
    task = "Question: how tall is the tower in the park?"
    thought = "Thought: I had better look it up in the list of towers."
    first = script.call(0, 10, [say("user", task)], [say("assistant", thought)], system="")
    grown = say("user", f"{task}\n{thought}\nObservation: it is not on the list")
    second = script.call(20, 30, [grown], [DONE], system="")
    other = script.call(40, 50, [say("user", f"{task} And the one beside it?")], [DONE], system="")
    spans = script.spans()
    assert thread_of(spans, first) == thread_of(spans, second) != thread_of(spans, other)


def test_ids_that_repeat_in_every_conversation() -> None:
    """A provider that numbers calls gives parallel agents the same ids: each has its own result."""
    script = Script()
    use_ids = use("search:0", "search", query="fish")
    firsts = [
        script.call(n, 20 + n, [say("user", f"Count the fish in pond {n}.")], [use_ids],
                    system=f"You are counter {'ab'[n]}.")
        for n in range(2)
    ]  # fmt: skip
    for n in range(2):
        history = [
            say("user", f"Count the fish in pond {n}."),
            use_ids,
            got("search:0", f"{n} fish"),
        ]
        script.call(40 + n, 60 + n, history, [DONE], system=f"You are counter {'ab'[n]}.")
    spans = script.spans()
    found = [spans[derived_id(first, "tool", 0)]["result"] for first in firsts]
    assert found == ["0 fish", "1 fish"]


def test_a_conversation_that_the_provider_keeps() -> None:
    """Only what is new is sent, with the id of the conversation."""
    script = Script()

    def call(start: float, words: str, conversation: object) -> str:
        parameters = {"conversation": conversation}
        said = [say("user", words)]
        return script.call(
            start, start + 10, said, [DONE], system=RESEARCHER, parameters=parameters
        )

    first = call(0, "What is up?", {"id": "conv_1"})
    beside = call(5, "Another thing.", "conv_2")
    second = call(20, "Go on.", {"id": "conv_1"})
    spans = script.spans()
    assert spans.agent_of(first) is spans.agent_of(second) is not spans.agent_of(beside)
    assert thread_of(spans, first) == thread_of(spans, second)


def test_another_model_is_asked_after_a_failure() -> None:
    """The same request to another model is a second try, not another conversation."""
    script = Script()
    first = script.call(0, 10, [QUESTION], status=503, error="overloaded")
    step = script.steps[-1]
    again = script.call(20, 30, [QUESTION], [DONE])
    object.__setattr__(step.request, "model", "larger model")
    attributes = json.loads(script.spans()[again]["attributes"])
    assert attributes["retry_of"] == first


def test_the_same_summary_again_goes_on_from_the_latest() -> None:
    """A conversation compacted twice into the same words is still one."""
    script = Script()
    summary = "The user wants the timetable; the ferries leave on Monday and on Thursday."
    task = say("user", f"The task so far, in short:\n{summary}\nGo on with it.")
    history = [QUESTION]
    calls: list[str] = []
    for n in range(3):
        tool = use(f"c{n}", "search", query=f"step {n}")
        calls.append(script.call(100 * n, 100 * n + 10, history, [tool]))
        more = [*history, tool, got(f"c{n}", "found"), say("user", "Summarize all of this.")]
        calls.append(script.call(100 * n + 20, 100 * n + 30, more, [say("assistant", summary)]))
        history = [task]
    spans = script.spans()
    assert len({thread_of(spans, call) for call in calls}) == 1
    assert spans[calls[4]]["evidence_source"] == "compaction"


@pytest.mark.parametrize(
    "answer",
    [
        "<tasks>\n<task>\n<description>Measure the depth of the harbour</description>\n</task>",
        "Here it is:\n\n1. **Depth**: Measure the depth of the harbour",
        "Thought: so be it\nAction Input: Measure the depth of the harbour",
        "I ask the surveyor.\nDELEGATE(surveyor): Measure the depth of the harbour",
        'I ask.\n```\nx = surveyor(task="Measure the depth of the harbour", fast=True)\n```',
    ],
)
def test_tasks_are_found_in_answers_of_any_form(answer: str) -> None:
    """Markup, labels and code around a task do not hide it."""
    parts = [text for text, is_whole in phrases_of(answer) if not is_whole]
    assert "Measure the depth of the harbour" in [part.strip() for part in parts]


def test_a_summary_of_the_history_in_a_new_conversation_is_the_same_agents() -> None:
    """A program shortens its history in the midst of a task; nobody else is made up for that."""
    script = Script()
    tools = [{"name": "read_part"}]
    one, two = use("c1", "read_part", n=1), use("c2", "read_part", n=2)
    history = [QUESTION, one, got("c1", "The ferry is told of.")]
    script.call(0, 100, [QUESTION], [one], tools=tools)
    script.call(110, 200, history, [two], tools=tools)
    retold = f"Summarize the messages:\n<messages>Human: {QUESTION.text}\nAI: …</messages>"
    summary = say("assistant", "The first part tells of the ferry to the islands.")
    script.call(210, 300, [say("user", retold)], [summary], system="")
    shortened = [say("user", f"So far: {summary.text}"), two, got("c2", "The end.")]
    script.call(310, 400, shortened, [say("assistant", "By ferry.")], tools=tools)
    spans = script.spans()
    assert [agent["name"] for agent in spans.of("agent")] == ["planner"]
    assert [tool["status"] for tool in spans.of("tool")] == ["ok", "ok"]
    assert len({json.loads(c["attributes"])["thread"] for c in spans.of("llm")}) == 2


def test_a_summary_of_one_answer_is_another_agents() -> None:
    """What one agent found is summed up by the next, which is told the question too."""
    script = Script()
    script.call(0, 100, [QUESTION], [say("assistant", "Twice a week by the ferry.")])
    asked = f"Summarize for the user.\nQuestion: {QUESTION.text}\nFound: Twice a week by the ferry."
    script.call(110, 200, [say("user", asked)], [say("assistant", "Ferry.")], system="")
    assert len([a for a in script.spans().of("agent") if a["role"] == "agent"]) == 2


def test_a_history_that_tells_of_a_delegated_task_is_its_tellers() -> None:
    """The task of the agent itself stands before those that it gave to others."""
    script = Script()
    task = say("user", "Look through the northern cellar of the archive.")
    ask = use("c1", "ask_searcher", request=task.text)
    dig, dug = use("d1", "look", at="shelf"), got("d1", "Nothing.")
    script.call(0, 100, [QUESTION], [ask])
    searcher = {"system": "You are the searcher."}
    script.call(110, 150, [task], [dig], **searcher)
    script.call(160, 190, [task, dig, dug], [say("assistant", "Nothing.")], **searcher)
    more = use("c2", "ask_searcher", request="Look through the attic then.")
    script.call(200, 300, [QUESTION, ask, got("c1", "Nothing.")], [more])
    retold = f"Summarize:\nHuman: {QUESTION.text}\nAI: {ask.arguments}\nTool: Nothing."
    summary = script.call(310, 400, [say("user", retold)], [say("assistant", "…")], system="")
    assert script.spans().agent_of(summary)["name"] == "planner"
