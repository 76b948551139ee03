"""Whatever calls come, in whatever order, each trace is one tree.

Conversations go on from any earlier one, with some of the results, with words that others said, and
under other prompts; calls overlap and are cut off. No program need be like that, but none may stop
the recording or be told as spans that lead nowhere.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.infer.programs import CLIENT, Script, Spans, got, say, use

if TYPE_CHECKING:
    from tracelake.wire import Atom

TEXTS = (
    "Find the winter timetable of the ferries.",
    "Look through the northern cellar of it.",
    "Judge the text that was written.",
    "ok",
    "Summarize the conversation so far, please.",
    "The ferries go twice a week in winter.",
)
SYSTEMS = ("You are the planner.", "You are the researcher.", "", "You are a worker named Ann.")
TOOLS = ("ask_researcher", "fork", "grep")
RUNS = 60


def answer(chance: random.Random, number: int) -> list[Atom]:
    """Words, tool calls, or both; ids may come round again or be missing."""
    said = [say("assistant", chance.choice(TEXTS))]
    if chance.random() < 0.4:
        return said
    ids = [chance.choice([f"c{number}{place}", "same", None]) for place in range(3)]
    calls = [use(i, chance.choice(TOOLS), task=chance.choice(TEXTS)) for i in ids]
    return [*said[: chance.random() < 0.3], *calls[: chance.randint(1, 3)]]


def going_on(chance: random.Random, atoms: list[Atom]) -> list[Atom]:
    """A conversation with most of the results that it lacks, or only its end."""
    answered = {atom.id for atom in atoms if atom.kind == "tool_result"}
    open_ids = [a.id for a in atoms if a.kind == "tool_call" and a.id not in answered]
    grown = [*atoms, *(got(i, chance.choice(TEXTS)) for i in open_ids if chance.random() < 0.75)]
    if chance.random() < 0.4:
        grown.append(say("user", chance.choice(TEXTS)))
    return grown[chance.randrange(len(grown)) :] if chance.random() < 0.1 else grown


def any_calls(seed: int) -> Script:
    """Some calls, the same for each seed."""
    chance = random.Random(seed)
    client: dict[str, Any] = chance.choice([{"host": "10.0.0.9"}, CLIENT])
    script = Script(client=dict(client))
    known: list[list[Atom]] = []
    clock = 0
    for number in range(chance.randint(3, 14)):
        clock += chance.choice([0, 3, 20, 60])
        goes_on = known and chance.random() < 0.65
        atoms = going_on(chance, chance.choice(known)) if goes_on else []
        atoms = atoms or [say("user", chance.choice(TEXTS))]
        said = answer(chance, number)
        script.call(
            clock,
            clock + chance.choice([5, 30, 80]),
            atoms,
            said,
            system=chance.choice(SYSTEMS),
            outcome=chance.choice([*["ok"] * 6, "client_disconnected"]),
            tools=chance.choice([None, [{"name": "grep"}]]),
        )
        known.append([*atoms, *said])
    return script


@pytest.mark.parametrize("block", range(5))
def test_each_trace_is_one_tree(block: int) -> None:
    """One root a trace, every span below it, and every call told and ended."""
    for seed in range(block * RUNS, (block + 1) * RUNS):
        script = any_calls(seed)
        spans = script.spans()
        assert {step.exchange.span_id for step in script.steps} <= set(spans), seed
        for trace_id in spans.traces:
            assert_tree(Spans(s for s in spans.values() if s["trace_id"] == trace_id), seed)


def assert_tree(spans: Spans, seed: int) -> None:
    """Every span leads to the one root, and has ended."""
    root = spans.root
    for span in spans.values():
        assert span["status"] != "running", seed
        above, steps = span, 0
        while above is not root:
            above = spans[above["parent_id"]]
            steps += 1
            assert steps <= len(spans), f"seed {seed}: {span['span_id']} hangs below itself"
