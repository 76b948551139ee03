"""Unmodified programs of real agent frameworks, recorded through a real collector.

Each program runs twice at once: under a run prefix of its own, and without one, where only the
process tells whose a call is. Some run a third time beside them, without a prefix too.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.programs.runs import Recording, Run, client_pid
from tests.programs.scenarios import SCENARIOS
from tests.programs.trees import difference, expected_paths, found_paths, scores
from tests.programs.upstream import ScriptedUpstream, running_upstream
from tracelake.config import Location
from tracelake.ingest.collector import Options, start
from tracelake.model import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.programs.trees import Path as TreePath

NEEDS = {
    "agents": ("agents", "openai-agents"),
    "langgraph": ("langchain_openai", "langchain-openai"),
    "pydantic": ("pydantic_ai", "pydantic-ai-slim"),
}
#: Programs that run twice without a prefix at the same time.
TWINS = ("agents_responses",)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all the programs share: a collector, its lake as seen by others, a provider."""

    relay: str
    recording: Recording
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    """A running collector whose upstreams are a scripted provider."""
    lake: Path = tmp_path_factory.mktemp("frameworks") / "lake"
    location = Location(str(lake), lake / "hot")
    with running_upstream([]) as upstream:
        backends = Options(
            port=0,
            anthropic_backend=upstream.address,
            openai_backend=f"{upstream.address}/v1",
        )
        collector = start(location, backends)
        recording = Recording(location.hot)
        try:
            yield Bench(collector.state.relay, recording, upstream)
        finally:
            recording.close()
            collector.stop()


@dataclass(frozen=True, slots=True)
class Found:
    """The trace of one run, and how often a span in it was hung elsewhere afterwards."""

    run: Run
    paths: Counter[TreePath]
    moved: int


def record(bench: Bench, name: str) -> list[Found]:
    """Run a program several times at once; what was found of each run."""
    scenario = SCENARIOS[name]
    needed, package = NEEDS[scenario.program.split("_")[0]]
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{package} is not installed: install the `frameworks` extra")
    bench.upstream.parts = scenario.parts
    command = [f"{scenario.program}.py", *scenario.arguments]
    prefixes = [f"{name}-{new_id()}", None, *([None] if name in TWINS else [])]
    bench.upstream.together = len(prefixes)
    runs = [Run(command, relay=bench.relay, run_id=prefix) for prefix in prefixes]
    try:
        while any(run.is_running for run in runs):
            bench.recording.wait()
        for run in runs:
            assert scenario.says in run.finish()
    finally:
        for run in runs:
            run.stop()
    assert bench.upstream.unscripted == []
    found: list[Found] = []
    calls = scores(expected_paths(scenario.tree), Counter())["calls"].found
    for run in runs:
        traces = bench.recording.finished(run.process.pid, calls=calls)
        assert len(traces) == 1, f"one run is one trace: {list(traces)}"
        (trace_id, spans), *_ = traces.items()
        if run.run_id is not None:
            assert trace_id == run.run_id
        pids = {client_pid(span) for span in spans if span["kind"] == "llm"}
        assert pids == {run.process.pid}, "calls of another run"
        moved = sum(span["span_id"] in bench.recording.moved for span in spans)
        found.append(Found(run, found_paths(spans), moved))
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_structure_of_an_unmodified_program(
    bench: Bench, name: str, figures: Callable[[str], None]
) -> None:
    """Agents, names, parents, tools with results and errors are right, in each of the runs."""
    true = expected_paths(SCENARIOS[name].tree)
    found = record(bench, name)
    for one in found:
        cells = "  ".join(f"{kind} {s!s}" for kind, s in scores(one.paths, true).items())
        by = "prefix" if one.run.run_id else "process"
        figures(f"{name:<22} {by:<8} {cells}  moved {one.moved}")
    for one in found:
        assert one.paths == true, difference(one.paths, true)
