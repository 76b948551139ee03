"""Reading prompts: identities, names, phrases, results and purposes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.infer.programs import got, say, use
from tracelake.infer.auxiliary import asks_for_summary, auxiliary_purpose
from tracelake.infer.identity import is_same_persona, persona_of, role_phrase
from tracelake.infer.names import (
    called_agent,
    name_from_arguments,
    name_from_result,
    name_from_tool,
    program_name,
)
from tracelake.infer.phrases import PhraseIndex, phrases_of
from tracelake.infer.results import Wanted, looks_like_error, pair_plain_results
from tracelake.infer.threads import core_atoms
from tracelake.wire import Request

if TYPE_CHECKING:
    from tracelake.infer.state import Call, ToolCall


@pytest.mark.parametrize(
    ("system", "role"),
    [
        ("You are the researcher.", "researcher"),
        ("You are a helpful assistant that answers in verse.", "helpful assistant"),
        ("You are the Orchestrator Agent for a POETRY codebase.", "Orchestrator Agent"),
        ('You are a specialist agent for the "billing" module.\n\n# Rules',
         "specialist agent for the billing module"),
        ("You are Ada, built by a company.", "Ada"),
        ("You are a team supervisor managing a clerk.", "team supervisor"),
        ('Greet. You are an agent. Your internal name is "greeter".', "greeter"),
        ("You are tasked with a hard case. Take your time.", None),
        ("You are in a game of roles:\nclerk: You are a careful clerk.\nNow choose one.", None),
        ("You are given a list. If you are unsure, ask.\nYou are the archivist.", "archivist"),
        ("You are a helpful agent named 'map_reader'. Read maps.", "map_reader"),
        ("You answer as an expert in tides.", "expert in tides"),
        ("Work as fast as you can.", None),
        ("Answer briefly.", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_role_of_a_prompt(system: str, role: str | None) -> None:
    """What "You are …" says, without the description that follows."""
    assert role_phrase(system) == role


def test_prompts_that_differ_in_dates_and_ids_are_one_persona() -> None:
    """Volatile parts do not make another agent."""
    one = persona_of("You are a clerk. Today is 2026-11-22. Run 7f3c9a1e22.")
    two = persona_of("You are a clerk. Today is 2026-11-23. Run 00aa9a1e99.")
    assert one.fingerprint == two.fingerprint


def test_prompts_that_tell_one_name_and_hold_other_work_are_one_persona() -> None:
    """What an agent works on may stand in its prompt; two names or other tools are two agents."""
    tale = "You mend the tale. Tale:\n{}\nSay OK if it is good. Your internal name is '{}'."
    one = persona_of(tale.format("The fox ran home over the hill.", "fixer"), ["stop"])
    two = persona_of(tale.format("A fox came home late, and slept.", "fixer"), ["stop"])
    assert is_same_persona(one, two)
    other = persona_of(tale.format("A fox came home late, and slept.", "critic"), ["stop"])
    assert not is_same_persona(one, other)
    assert not is_same_persona(one, persona_of(tale.format("A fox slept.", "fixer"), ["stop", "x"]))


def test_prompts_of_one_template_with_other_roles_are_two_personas() -> None:
    """A long shared text does not make two roles one."""
    rules = "Follow the rules of the house. " * 50
    one, two = (persona_of(f"You are the {who} agent. {rules}") for who in ("auth", "billing"))
    assert not is_same_persona(one, two)


def test_prompts_with_quite_different_tools_are_two_personas() -> None:
    """The same words, but other hands; a call without any tools tells nothing."""
    one, two = (persona_of("You are a clerk.", [tool]) for tool in ("search", "paint"))
    assert not is_same_persona(one, two)
    assert is_same_persona(one, persona_of("You are a clerk.", ["search", "paint"]))
    assert is_same_persona(one, persona_of("You are a clerk."))


def test_a_prompt_that_only_grows_is_the_same_persona() -> None:
    """What was learned is added to the prompt of the next conversation."""
    one = persona_of("You are a support clerk of an airline.")
    two = persona_of("You are a support clerk of an airline.\nSo far: the flight was cancelled.")
    assert is_same_persona(one, two)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("ask_researcher", "researcher"),
        ("transfer_to_spanish_agent", "spanish"),
        ("delegateToCoder", "Coder"),
        ("delegate", None),
        ("spawn_agent", None),
        ("Task", None),
    ],
)
def test_names_of_delegating_tools(tool: str, name: str | None) -> None:
    """Whom the tool is named after, when it is named after anybody."""
    assert name_from_tool(tool) == name


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("summary_agent", "summary_agent"),
        ("ask_summary_agent", "summary"),
        ("researcher", "researcher"),
        ("spawn_agent", None),
        ("delegate_work_to_coworker", None),
    ],
)
def test_names_of_agents_behind_tools(tool: str, name: str | None) -> None:
    """A tool that is named as an agent is keeps its whole name."""
    assert called_agent(tool) == name


def test_names_in_arguments_and_results() -> None:
    """A spawn argument or a nickname in the result names the agent; prose does not."""
    assert name_from_arguments('{"subagent_type": "Explore", "prompt": "x"}') == "Explore"
    assert name_from_arguments('{"agent": "tester", "assignment": "x"}') == "tester"
    assert name_from_arguments('{"task": "x", "coworker": "Tax Expert"}') == "Tax Expert"
    assert name_from_arguments('{"member_id": "tax-expert", "task": "x"}') == "tax-expert"
    assert name_from_arguments('{"to_agent": "Writer", "reason": "x"}') == "Writer"
    assert name_from_arguments('{"question": "who?"}') is None
    assert name_from_arguments("not json") is None
    assert name_from_result('{"agent_id": "1", "nickname": "Ada"}') == "Ada"
    assert name_from_result("done") is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/usr/bin/python3.11", "/srv/report.py", "--fast"], "report"),
        (["python", "-m", "billing.agents.main"], "agents"),
        (["python", "-u", "/srv/anton/cli.py"], "anton"),
        (["node", "/opt/tool/bin/chat.js"], "chat"),
        (["/usr/local/bin/claude", "-p", "x"], "claude"),
        (["python", "-c", "print()"], "python"),
        ([], None),
    ],
)
def test_program_names(command: list[str], name: str | None) -> None:
    """The script or module, not the interpreter that runs it."""
    assert program_name({"command": command}) == name


def sources(index: PhraseIndex, *messages: str) -> list[tuple[str, bool]]:
    """Names of the calls whose phrases stand in messages, and whether they are all of one."""
    return [(cast("Any", f.phrase.call), f.is_message) for f in index.search(messages)]


def indexed(**values: Any) -> PhraseIndex:
    """An index of values by the names of their calls."""
    index = PhraseIndex()
    for name, value in values.items():
        index.add([value], cast("Call", name), cast("ToolCall", name))
    return index


def test_a_phrase_is_found_inside_a_longer_prompt() -> None:
    """Quoting, line breaks and markdown around and inside it do not matter."""
    index = indexed(a={"task": "Count the parcels in the north depot."})
    prompt = "## Task\n> Count the *parcels*\n> in the north depot\n\nBe quick."
    assert sources(index, prompt) == [("a", False)]
    assert sources(index, "Count the parcels in the south depot.") == []


def test_a_phrase_that_is_all_of_a_message_is_told_apart() -> None:
    """Then even a short one counts, and a path too."""
    index = indexed(a="Count the parcels in the north depot.", b="cats", c="src/main.py")
    assert sources(index, "Count the parcels in the north depot.") == [("a", True)]
    assert sources(index, "cats") == [("b", True)]
    assert sources(index, "I like cats") == []
    assert sources(index, "Look at src/main.py please") == []


def test_strings_inside_json_and_list_items_are_parts() -> None:
    """The subtasks of a JSON plan and the items of a list can be recognised on their own."""
    parts = [text for text, _ in phrases_of('Plan: {"steps": [{"do": "Wash the cars"}]} ok?')]
    assert "Wash the cars" in parts
    listed = dict(phrases_of("Plan:\n1. Wash all the cars\n- [ ] Paint the old fence green"))
    assert listed["Wash all the cars"] is False
    assert "Paint the old fence green" in listed


def test_texts_without_spaces_between_words_are_found() -> None:
    """Chinese and Japanese prompts are compared sign by sign."""
    index = indexed(a="\u8acb\u8abf\u67e5\u5317\u65b9\u5009\u5eab\u7684\u5305\u88f9\u6578\u91cf")
    assert index.search(["\u4efb\u52d9: \u5317\u65b9"]) == []


def test_what_the_prompt_said_itself_is_no_phrase_of_its_answer() -> None:
    """An answer that repeats the question is not where the question comes from."""
    index = PhraseIndex()
    text = "How do the parcels get to the islands?"
    index.add([text], cast("Call", "a"), None, known=f"Please answer: {text}")
    assert index.search([text]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Error: no such file",
        "Exit code 2\nls: cannot access",
        "Traceback (most recent call last):\n",
        "ValueError('boom')",
        "Tool read_file failed: File not found",
        "An error occurred while running the tool.",
        "Chunk 1\nProcess exited with code 2\n",
        '{"error": "not found"}',
        "<tool_use_error>no</tool_use_error>",
        "unsupported call: spawn_agent",
        "Unknown tool: grep",
        '{"status": "error", "error_message": "no such city"}',
        '{"success": false, "reason": "closed"}',
        "404 Client Error: Not Found for url: http://x",
        "[Errno 2] No such file or directory: 'a.txt'",
        "'NoneType' object has no attribute 'get'",
        "list index out of range",
        "name 'x' is not defined",
        "invalid literal for int() with base 10: 'a'",
        "Cannot read properties of undefined (reading 'id')",
        "Script failed\nWall time 0.0 seconds\nOutput:\n",
    ],
)
def test_results_that_read_like_errors(text: str) -> None:
    """The ways in which clients put a tool's failure into plain text."""
    assert looks_like_error(text)


@pytest.mark.parametrize(
    "text",
    ["ok", "no errors found", "Error handling: a guide", "failed: 0, passed: 8",
     '{"status": "success", "report": "noon"}', '{"success": true}', "room 404 is free",
     "The object has no attributes yet.", "The connection is fine, it never timed out.",
     "errors.py:3: class Error", "Process exited with code 0",
     '{"error": null, "rows": 3}',
     "Script completed\nOutput:\n", "Unsupported formats: none.",
     "The build failed yesterday, it works today."],
)  # fmt: skip
def test_results_that_only_speak_of_errors(text: str) -> None:
    """Content about errors is no error."""
    assert not looks_like_error(text)


def test_plain_results_are_paired_by_id_name_and_order() -> None:
    """The surest sign first; a lone message is not given to several calls."""
    wanted = [Wanted("call_1", "grep"), Wanted("call_2", "grep")]
    by_id = [say("user", "Observation for call_2: b"), say("user", "Observation for call_1: a")]
    assert [p.text[-1] for p in pair_plain_results(wanted, by_id)] == ["a", "b"]
    in_order = [say("user", "first"), say("user", "second")]
    assert [p.text for p in pair_plain_results(wanted, in_order)] == ["first", "second"]
    assert pair_plain_results(wanted, [say("user", "never mind")]) == []


def test_core_atoms_leave_out_what_clients_add_and_move() -> None:
    """System messages, thinking and reminder blocks are not part of a conversation's identity."""
    atoms = [
        say("system", "x"),
        say("user", "<system-reminder>date</system-reminder>"),
        say("user", "hello"),
        use("c", "grep"),
        got("c", "y"),
    ]
    assert [atom.kind for atom in core_atoms(atoms)] == ["text", "tool_call", "tool_result"]


def request(
    text: str, *, system: str = "", tools: list[Any] | None = None, **parameters: Any
) -> Request:
    """A request with one message."""
    atoms = (say("user", text),)
    return Request("chat", "openai", "m", False, system, [], tools, parameters, atoms, ())


def purpose(asked: Request) -> str | None:
    """What an auxiliary request serves."""
    found = auxiliary_purpose(asked, core_atoms(asked.atoms))
    return found[0] if found else None


def test_titles_and_probes_are_auxiliary() -> None:
    """Recognised by what they ask for, whoever the client is."""
    assert purpose(request("Generate a concise title for this conversation")) == "title"
    assert purpose(request("hi", system="Write a 5-word title for the chat session.")) == "title"
    assert purpose(request("quota", max_tokens=1)) == "probe"
    coding = "Generate a concise title (3-7 words) that captures the goal of this coding session."
    assert purpose(request("fix it", system=coding)) == "title"
    short = "Summarize this coding conversation in under 50 characters."
    assert purpose(request("fix it", system=short)) == "title"
    task = "Your job is to provide a short title for a task that is made from the prompt."
    assert purpose(request("fix it", system=task)) == "title"
    assert purpose(request("Summarize this conversation, with all decisions.")) is None
    assert purpose(request("Write a brief description of the harbour in 50 words.")) is None
    assert purpose(request("Write a poem with a title", system="You are a poet.")) is None
    assert purpose(request("Create a title for the conversation", tools=[{}])) is None


@pytest.mark.parametrize(
    ("text", "serves"),
    [
        ("Generate 1-3 broad tags categorizing the themes of the chat history.\n<chat>…", "tags"),
        ("Suggest 3 follow-up questions the user might ask next in this conversation.\n{}",
         "next questions"),
        ("Propose the next message for the dialogue below, as the user would write it.\n…",
         "next questions"),
        ("Write keywords for an article on tides.", None),
        ("List the next questions of the exam.", None),
    ],
)  # fmt: skip
def test_what_a_front_end_asks_beside_the_answer_is_auxiliary(
    text: str, serves: str | None
) -> None:
    """Tags and next questions for a conversation that is told in one message, under no prompt."""
    assert purpose(request(text)) == serves
    assert purpose(request(text, system="You are the archivist.")) is None
    assert purpose(request(text, tools=[{}])) is None


def test_requests_for_a_summary_are_known() -> None:
    """The question that precedes a compaction."""
    asked = request("Please write a detailed summary of the conversation so far.")
    assert asks_for_summary(core_atoms(asked.atoms))
    other = request("What next?")
    assert not asks_for_summary(core_atoms(other.atoms))
