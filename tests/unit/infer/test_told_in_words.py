"""Agents that the words of a prompt or an answer name, start or close."""

from __future__ import annotations

from tests.unit.infer.programs import QUESTION, Script, say, use


def test_agents_of_one_prompt_that_are_told_their_names_are_apart() -> None:
    """The first message gives the name where the system prompt is the same for all agents."""
    script = Script()
    code = say("assistant", 'maps = map_reader("Read the map of the northern islands.")')
    script.call(0, 100, [QUESTION], [code], system="You are an expert assistant in code.")
    told = "New task:\nYou're a helpful agent named '{}'.\nTask: {}"
    asked = (
        ("map_reader", "Read the map of the northern islands."),
        ("log_reader", "Read the log of the northern ferry."),
    )
    calls = [
        script.call(
            200 * n + 110,
            200 * n + 200,
            [say("user", told.format(name, task))],
            [say("assistant", f"Done {n}.")],
            system="You are an expert assistant with tools.",
        )
        for n, (name, task) in enumerate(asked)
    ]
    spans = script.spans()
    assert [spans.agent_of(call)["name"] for call in calls] == ["map_reader", "log_reader"]


def test_a_last_answer_without_tools_is_the_same_agents() -> None:
    """A program out of steps asks once more under another prompt; its errors grow one message."""
    tools = [{"name": "convert"}]
    script = Script()
    task = say("user", "Convert 500 crowns into marks, please.")
    echo = say("assistant", "Calling tools: convert")
    failed = "Error:\nError executing tool convert: too much\n"
    system = "You are the money changer."
    first = script.call(
        0, 100, [task], [use(None, "convert", amount=500)], tools=tools, system=system
    )
    second = script.call(
        110,
        200,
        [task, echo, say("user", failed)],
        [use(None, "convert", amount=500)],
        tools=tools,
        system=system,
    )
    last = script.call(
        210,
        300,
        [task, echo, say("user", f"{failed}\n{failed}Answer now.")],
        [say("assistant", "It cannot be done.")],
        system="You are tasked with an answer in place of a colleague.",
    )
    spans = script.spans()
    assert {spans[call]["parent_id"] for call in (first, second, last)} == {spans.root["span_id"]}
    assert [tool["status"] for tool in spans.of("tool")] == ["error", "error"]


def test_a_call_that_is_written_as_text_delegates() -> None:
    """Thought, action and arguments in plain text: the arguments start the other agent."""
    script = Script()
    thought = (
        "Thought: somebody else writes better titles than I do, so I had better ask.\n"
        "Action: Delegate work to coworker\n"
        'Action Input: {"task": "Write a title for the figure.", "context": "It grew by four."}'
    )
    script.call(0, 100, [QUESTION], [say("assistant", thought)])
    prompt = "Current task: Write a title for the figure.\nYour context:\nIt grew by four."
    writer = script.call(
        110, 200, [say("user", prompt)], [say("assistant", "Growth")], system="You are the writer."
    )
    spans = script.spans()
    above = spans.above(spans.agent_of(writer))
    assert above is not None
    assert above["name"] == "planner"


def test_what_an_answer_concludes_with_is_handed_on_as_context() -> None:
    """A program cuts the thoughts off an answer before it gives it to the next agent."""
    script = Script()
    said = [say("assistant", "Thought: I know it now.\nFinal Answer: About 1900 books were lent.")]
    script.call(0, 10, [say("user", "How many books?")], said, system="You are the clerk.")
    prompt = say("user", "Write the report.\nContext:\nAbout 1900 books were lent.")
    report = script.call(20, 30, [prompt], system="You are the reporter.")
    spans = script.spans()
    assert spans.agent_of(report)["parent_id"] == spans.root["span_id"]
    assert len(spans.of("agent")) == 3
