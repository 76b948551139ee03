"""Prints how many calls a second of CPU time the inference takes in one long trace.

    python benchmarks/infer_calls.py [CALLS]

Shapes of one trace: an orchestrator whose agents work long, one with very many agents, one
conversation that never ends, and a loop of short conversations without delegation. Counted in CPU
time, so that a busy machine does not matter; parsing of bodies is not in it.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tracelake.infer import Inference
from tracelake.model import Exchange
from tracelake.wire import Atom, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
CLIENT = {"host": "127.0.0.1", "pid": 7, "started": 1, "command": ["python", "program.py"]}
FILLER = "The quick brown fox looked at the configuration of the service and noted the result. " * 8

Turn = tuple[str, tuple[Atom, ...], tuple[Atom, ...]]


def text(role: str, value: str) -> Atom:
    """A plain message."""
    return Atom(role, "text", value)


def call(name: str, call_id: str, **arguments: str) -> Atom:
    """A tool call."""
    return Atom("assistant", "tool_call", "", call_id, name, json.dumps(arguments))


def result(call_id: str, value: str) -> Atom:
    """A tool result."""
    return Atom("user", "tool_result", value, call_id)


def conversation(agent: str, task: str, turns: int) -> Iterator[Turn]:
    """An agent that calls a tool in every turn and then answers."""
    atoms = [text("user", task)]
    for turn in range(turns - 1):
        call_id = f"{agent}-{turn}"
        answer = call("read_file", call_id, path=f"src/{agent}/{turn}.py")
        yield agent, tuple(atoms), (answer,)
        atoms += [answer, result(call_id, f"{turn} {FILLER}")]
    yield agent, tuple(atoms), (text("assistant", f"{agent} is done with: {task} {FILLER}"),)


def one_conversation(calls: int) -> Iterator[Turn]:
    """All calls in one conversation."""
    yield from conversation("worker", "Do the long task", calls)


def delegation(calls: int, *, turns: int = 50) -> Iterator[Turn]:
    """An orchestrator that delegates to agents of fifty calls each."""
    atoms = [text("user", "Do the big task")]
    for number in range(calls // (turns + 1)):
        call_id = f"delegate-{number}"
        task = f"Subtask {number}: look through module {number} and report what it does, please."
        answer = call("delegate", call_id, task=task)
        yield "orchestrator", tuple(atoms), (answer,)
        yield from conversation(f"agent {number % 7}", task, turns)
        atoms += [answer, result(call_id, f"agent {number} is done")]


def many_agents(calls: int) -> Iterator[Turn]:
    """An orchestrator that delegates to agents of two calls each."""
    yield from delegation(calls, turns=2)


def short_conversations(calls: int) -> Iterator[Turn]:
    """Unrelated questions under one prompt."""
    for number in range(calls):
        question = f"Question {number}: what is {number} plus {number}? {FILLER}"
        yield "helper", (text("user", question),), (text("assistant", f"It is {2 * number}."),)


def measure(shape: Callable[[int], Iterator[Turn]], calls: int) -> str:
    """Feed one shape twice, for time and for memory; a line of figures."""
    spent = feed(shape, calls)
    tail = spent[-len(spent) // 10 :]
    tracemalloc.start()
    kept = Inference()
    feed(shape, calls // 5, kept)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (
        f"{shape.__name__:<22}{len(spent):>7} calls {len(spent) / sum(spent):>9.0f} calls/s"
        f" {len(tail) / sum(tail):>9.0f} calls/s at the end"
        f" {memory / (calls // 5) / 1000:>7.1f} kB a call"
    )


def feed(
    shape: Callable[[int], Iterator[Turn]], calls: int, inference: Inference | None = None
) -> list[float]:
    """Seconds that each call of a shape took."""
    inference = inference or Inference()
    spent: list[float] = []
    for number, (agent, atoms, answer) in enumerate(shape(calls)):
        begun = START + timedelta(seconds=number)
        exchange = Exchange(
            f"{number:032x}", begun, "POST", "/v1/messages", "anthropic", (), b"", client=CLIENT,
            end_time=begun + timedelta(milliseconds=500), status=200, outcome="ok",
        )  # fmt: skip
        request = Request(
            "messages", "anthropic", "model", False, f"You are the {agent}. {FILLER}", [], None,
            {}, atoms, (),
        )  # fmt: skip
        response = Response(text="", atoms=answer)
        started = time.process_time()
        inference.opened(exchange, request)
        inference.ended(exchange, request, response)
        spent.append(time.process_time() - started)
    return spent


def main() -> None:
    """Print one line a shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", type=int, nargs="?", default=5000)
    calls = parser.parse_args().calls
    for shape in (delegation, many_agents, one_conversation, short_conversations):
        print(measure(shape, calls))


if __name__ == "__main__":
    main()
