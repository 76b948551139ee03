"""The demo's script goes by what the conversation holds, so that edited runs come out different."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.demo.team import Team, ask_of
from tracelake.demo.launch import copy_repository
from tracelake.demo.offline.brain import think
from tracelake.demo.offline.conversation import Answer, Turn
from tracelake.demo.program import DEFAULT_TASK, Repository, prompt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A fresh copy of the bundled repository."""
    return Repository(copy_repository(tmp_path / "work"))


def test_the_bundled_repository_has_the_planted_defects(repository: Repository) -> None:
    """The demo needs something to repair, and tests that do not see it yet."""
    assert "OK" in repository.run_tests()
    assert "> rates.FREE_DELIVERY_FROM_CENTS" in repository.read_file("parcels/quote.py")
    assert "EUR 60.00" in repository.read_file("parcels/receipt.py")
    assert "docs/delivery.md" in repository.read_file("README.md")


def test_the_team_repairs_the_repository(repository: Repository) -> None:
    """Unedited, the run ends with the defects gone and the new tests passing."""
    team = Team(repository)
    answer = team.run()
    assert "All 8 tests pass" in answer
    assert "4 files" in answer
    assert ">= rates.FREE_DELIVERY_FROM_CENTS" in repository.read_file("parcels/quote.py")
    assert "EUR 60.00" not in repository.read_file("parcels/receipt.py")
    assert "docs/pricing.md" in repository.read_file("README.md")
    agents = [agent for agent, _, _ in team.asked]
    assert {a: agents.count(a) for a in set(agents)} == {"orchestrator": 3, "coder": 4, "tester": 5}


def test_the_same_run_twice_is_the_same(tmp_path: Path) -> None:
    """Everything asked and answered repeats, so that a replay can match it."""
    first, second = (Team(Repository(copy_repository(tmp_path / name))) for name in "ab")
    first.run()
    second.run()
    assert first.asked == second.asked


def test_an_edited_report_changes_the_merged_answer(repository: Repository) -> None:
    """The orchestrator quotes what the agents really said."""

    def edit(agent: str, _turn: int, answer: Answer) -> Answer:
        if agent == "coder" and not answer.calls:
            return Answer(
                "### Cause\n\nA rounding error in `euros`.\n\n### Open points\n\nAudit it."
            )
        return answer

    answer = Team(repository, edit).run()
    assert "> A rounding error in `euros`." in answer
    assert "Audit it." in answer
    assert "compares with `>`" not in answer


def test_a_coder_who_gives_up_gets_the_failing_tests_back(repository: Repository) -> None:
    """An edit in mid run changes what follows: tests really fail, a second round repairs."""

    def edit(agent: str, turn: int, answer: Answer) -> Answer:
        is_first_round = not any(call.name == "delegate" for call in answer.calls)
        if agent == "coder" and turn == 2 and is_first_round and not given_up:
            given_up.append(turn)
            return Answer("### Cause\n\nI cannot see anything wrong.")
        return answer

    given_up: list[int] = []
    team = Team(repository, edit)
    answer = team.run()
    assert "The coder needed 2 rounds." in answer
    assert "I cannot see anything wrong." in answer
    assert "All 8 tests pass" in answer
    orchestrator = [a for agent, _, a in team.asked if agent == "orchestrator"]
    assert [[c.name for c in a.calls] for a in orchestrator] == [
        ["delegate", "delegate"],
        ["run_tests"],
        ["delegate"],
        ["run_tests"],
        [],
    ]
    assert "test_order_of_exactly_the_limit_is_delivered_free" in str(
        orchestrator[2].calls[0].arguments
    )


def test_an_assignment_without_changes_is_obeyed(repository: Repository) -> None:
    """A task that forbids changes leaves the files alone and gets a proposal."""
    before = {name: repository.read_file(name) for name in repository.files()}
    task = "Customers pay for delivery at EUR 50.00. Only explain why, do not change any file."
    answer = Team(repository).run(task)
    assert {name: repository.read_file(name) for name in repository.files()} == before
    assert "no file" in answer
    assert "compares with `>`" in answer


def test_a_task_about_something_else_is_searched_for(repository: Repository) -> None:
    """Another task is worked on by its own words, without touching anything."""
    before = {name: repository.read_file(name) for name in repository.files()}
    answer = Team(repository).run("Which weight bands and surcharges do we have?")
    assert {name: repository.read_file(name) for name in repository.files()} == before
    assert "parcels/rates.py" in answer
    assert "All 5 tests pass" in answer


def test_a_repaired_repository_is_left_alone(repository: Repository) -> None:
    """On files that are already right the coder reports so instead of inventing a change."""
    Team(repository).run()
    source = repository.read_file("parcels/quote.py")
    answer = Team(repository).run()
    assert repository.read_file("parcels/quote.py") == source
    assert "already keeps the promise" in answer


@pytest.mark.parametrize("agent", ["orchestrator", "coder", "tester"])
def test_every_edit_of_a_prompt_shows(repository: Repository, agent: str) -> None:
    """In each turn, a changed system prompt, task or further message gives another answer."""
    team = Team(repository)
    team.run()
    for name, ask, _ in team.asked:
        if name != agent:
            continue
        answer = think(ask)
        task = replace(ask.turns[0], text=ask.turns[0].text.replace("EUR 50.00", "EUR 55.00"))
        edits = {
            "a wish for length": {"system": ask.system + "\n\nAnswer in one sentence."},
            "a wish of any kind": {"system": ask.system + "\n\nMention the weather."},
            "a sentence less": {"system": ask.system[: ask.system.rindex("\n\n")]},
            "another task": {"turns": (task, *ask.turns[1:])},
            "a further message": {"turns": (*ask.turns, Turn("user", "Hurry up, please."))},
        }
        for what, changes in edits.items():
            edited = think(replace(ask, **changes))
            assert edited.text != answer.text, f"{what} in turn {len(ask.turns)}"
            assert think(replace(ask, **changes)) == edited


def test_wishes_on_form_are_obeyed(repository: Repository) -> None:
    """The last report follows length, headings, language and format asked for."""

    def report(system: str) -> str:
        return Team(Repository(copy_repository(repository.root / next(names)))).play(
            "coder", DEFAULT_TASK, system=system
        )

    names = iter("abcde")
    standard = prompt("coder")
    assert report(standard).startswith("### Cause\n")
    assert report(standard + " Answer in French.").splitlines()[2] != "### Change"
    assert report(standard + " Answer in two sentences.").count("\n") == 0
    assert report(standard + " Answer as JSON.").startswith('{\n  "cause": ')
    renamed = standard.replace("Cause, Change and Open points", "Why, What and Rest")
    assert [line for line in report(renamed).splitlines() if line.startswith("###")][:3] == [
        "### Why",
        "### What",
        "### Rest",
    ]


def test_an_agent_without_tools_still_answers() -> None:
    """A prompt tried without its tools gets a report, not a call of a tool that is not there."""
    for agent in ("orchestrator", "coder", "tester"):
        answer = think(ask_of(agent, DEFAULT_TASK, tools=()))
        assert answer.text
        assert not answer.calls
