"""Unmodified programs of real agent frameworks, run again offline as a regression test.

Each is recorded as a run through a real collector with a scripted provider, then run again strict:
the provider counts what reaches it.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.replay_support import Stage
from tests.programs.runs import OFFLINE, PROGRAMS
from tests.programs.scenarios import SCENARIOS
from tests.programs.trees import expected_paths, scores
from tests.programs.upstream import ScriptedUpstream, running_upstream
from tracelake.ingest import collector
from tracelake.lake import Lake
from tracelake.replay.plan import ForkRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NEEDS = {
    "agents": ("agents", "openai-agents"),
    "langgraph": ("langchain_openai", "langchain-openai"),
    "pydantic": ("pydantic_ai", "pydantic-ai-slim"),
}
RUN_TIMEOUT_S = 180.0

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@dataclass(frozen=True, slots=True)
class Theatre:
    """A stage, and the scripted provider behind it."""

    stage: Stage
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """One collector and lake for all programs."""
    lake = Lake(tmp_path_factory.mktemp("replay_frameworks") / "lake")
    with running_upstream([]) as upstream:
        options = collector.Options(
            port=0, anthropic_backend=upstream.address, openai_backend=f"{upstream.address}/v1"
        )
        running = collector.start(lake.location, options)
        try:
            yield Theatre(Stage(lake, running, upstream.address), upstream)
        finally:
            running.stop()
            lake.close()


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_unmodified_framework_program_repeats_its_run_without_the_provider(
    theatre: Theatre, tmp_path: Path, name: str, figures: Callable[[str], None]
) -> None:
    """Every call matches exactly or by meaning, none reaches the provider, none is left over."""
    scenario = SCENARIOS[name]
    needed, package = NEEDS[scenario.program.split("_")[0]]
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{package} is not installed: install the `frameworks` extra")
    stage, upstream = theatre.stage, theatre.upstream
    upstream.parts = scenario.parts
    cwd = tmp_path / name
    cwd.mkdir()
    shutil.copy(PROGRAMS / f"{scenario.program}.py", cwd / "agent.py")
    command = [sys.executable, "agent.py", *scenario.arguments]
    trace_id = stage.record(cwd, *command, **OFFLINE)
    asked = upstream.asked
    calls = scores(expected_paths(scenario.tree), expected_paths(scenario.tree))["calls"].found
    assert len(stage.spans(trace_id, kind="llm")) == calls

    state = stage.fork(ForkRequest(trace_id, allow_live=False)).wait(RUN_TIMEOUT_S)

    levels = "  ".join(f"{level} {count}" for level, count in sorted(state.counts.items()))
    figures(f"{name:<22} calls {calls:>3}  {levels}")
    log = stage.lake.hot.parent / "forks" / state.run_id / "output.log"
    assert (state.status, state.error) == ("ok", None), log.read_text()
    assert set(state.counts) <= {"exact", "semantic"}
    assert sum(state.counts.values()) == calls
    assert state.result["all_matched"]
    assert state.result["unused"] == []
    assert upstream.asked == asked
    assert scenario.says in log.read_text()
    originals = {span["span_id"] for span in stage.spans(trace_id, kind="llm")}
    assert {s["original_span_id"] for s in stage.spans(state.run_id, kind="llm")} == originals
