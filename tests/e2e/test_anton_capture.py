"""A captured run of Anton, sent through the relay in its own timing: right while it runs.

Anton names only its run (`X-Task-ID`); which agent calls, which tools answered and who delegated
to whom is read off the conversations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.infer_support import CAPTURES
from tests.programs.recorded import running_recorded
from tests.programs.runs import Recording, Run
from tests.programs.trees import difference, expected_paths, found_paths
from tracelake.config import Location
from tracelake.graph import GraphBuilder
from tracelake.ingest.collector import Options, start
from tracelake.model import new_id

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CAPTURE = CAPTURES / "anton_openai.jsonl"
CALLS = 13
ROOT = "Orchestrator Agent"
MODULES = ("auth", "billing", "report")
_PARTS = [
    f"""
  specialist agent for the {module} module
    llm
    llm
    llm
    tool read_file(modules/{module}/{module}.py) ok
    tool grep_codebase({module}) ok
    tool read_file(modules/{module}/missing.py) error
"""
    for module in MODULES
]
TREE = f"""
{ROOT}
  llm
  llm
  llm
  llm
  tool grep_codebase(*.py, def ) ok
  tool read_file(modules/auth/auth.py) ok
{"".join(_PARTS)}
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CAPTURE.is_file(), reason=f"no captured Anton run: {CAPTURE} is absent"),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Path]]:
    """A collector in front of a provider that answers as captured: relay address, hot folder."""
    lake: Path = tmp_path_factory.mktemp("anton") / "lake"
    location = Location(str(lake), lake / "hot")
    with running_recorded([CAPTURE]) as (address, provider):
        collector = start(location, Options(port=0, openai_backend=f"{address}/v1"))
        try:
            yield collector.state.relay, location.hot
            assert provider.unknown == []
        finally:
            collector.stop()


class Watch:
    """Checks one trace after every event of it.

    Attributes:
        side_by_side: Agents that were seen to call at the same moment, the largest set.
        lanes: Titles of the lanes that the live graph has drawn.
    """

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.side_by_side: set[str] = set()
        self.graph = GraphBuilder(trace_id)
        self.seen = 0

    def __call__(self, trace_id: str, spans: list[dict[str, Any]]) -> None:
        """Take the spans as they stand after an event."""
        if trace_id != self.trace_id:
            return
        self.seen = len(spans)
        assert_placed(spans)
        self.graph.apply_all(spans)
        calling = {s["agent_name"] for s in spans if (s["kind"], s["status"]) == ("llm", "running")}
        self.side_by_side = max(self.side_by_side, calling, key=len)


def assert_placed(spans: list[dict[str, Any]]) -> None:
    """What is known at a moment of the run is a part of the tree of its end."""
    by_id = {span["span_id"]: span for span in spans}
    roots = [span for span in spans if span["parent_id"] is None]
    assert [(s["kind"], s["role"], s["name"]) for s in roots] == [("agent", "orchestrator", ROOT)]
    for span in spans:
        if span is roots[0]:
            continue
        above = by_id[span["parent_id"]]
        assert above["kind"] == "agent"
        if span["kind"] == "agent":
            assert above is roots[0]
            assert any(module in span["name"] for module in MODULES)
        else:
            assert above["name"] == span["agent_name"]


@pytest.mark.parametrize("base", ["/", ""], ids=["docs-base-url", "sdk-base-url"])
def test_orchestrator_module_agents_and_tools_are_right_while_they_run(
    bench: tuple[str, Path], base: str
) -> None:
    """The known part of the tree is right after every event, and known while the program runs.

    Anton's documentation sets the base URL without `/v1`; both forms work.
    """
    relay, hot = bench
    task = new_id()
    watch = Watch(task)
    recording = Recording(hot, watch)
    run = Run(["play.py", str(CAPTURE), relay + base, f"X-Task-ID={task}"], relay=relay)
    seen_running: set[int] = set()
    try:
        while run.is_running:
            recording.wait(0.02)
            seen_running.add(watch.seen if run.is_running else 0)
        run.finish()
        traces = recording.finished(run.process.pid, calls=CALLS)
    finally:
        run.stop()
        recording.close()
    assert list(traces) == [task]
    found, true = found_paths(traces[task], results=False), expected_paths(TREE)
    assert found == true, difference(found, true)
    assert recording.moved == {}, "nothing was hung elsewhere first"
    assert len(watch.side_by_side) > 1, "module agents work side by side"
    assert len(seen_running) > 5, "the tree grows while the program runs"
    drawn = {lane["name"] for lane in watch.graph.since(0).lanes}
    assert drawn == {ROOT, *(f"specialist agent for the {module} module" for module in MODULES)}
