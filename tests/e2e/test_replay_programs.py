"""Programs run again: unmodified, edited, side by side; with real SDKs and real processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.replay_support import (
    PARALLEL,
    SEQUENTIAL,
    TIMEOUT_S,
    Stage,
    environment,
    staged,
    write_program,
)
from tracelake.demo.launch import copy_repository
from tracelake.replay import tree
from tracelake.replay.checkpoints import find_checkpoint, set_checkpoint
from tracelake.replay.compare import compare
from tracelake.replay.fork import forks_of
from tracelake.replay.plan import ForkRequest, plan_fork
from tracelake.replay.session import Edit
from tracelake.replay.streams import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

DEMO = (sys.executable, "-m", "tracelake.demo.program", "--workdir", ".")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole module."""
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    """One stage for the whole module."""
    with staged(folder) as ready:
        yield ready


@pytest.fixture(scope="module")
def demo(stage: Stage, folder: Path) -> str:
    """A recorded run of the demo program; its trace id."""
    return stage.record(copy_repository(folder / "demo"), *DEMO)


@pytest.mark.parametrize("source", [SEQUENTIAL, PARALLEL], ids=["sequential", "parallel"])
def test_an_unmodified_program_repeats_its_run_without_the_provider(
    stage: Stage, folder: Path, source: str, request: pytest.FixtureRequest
) -> None:
    """Every call matches exactly or by meaning, and not one reaches the provider."""
    cwd = write_program(folder / f"plain-{request.node.callspec.id}", source)
    trace_id = stage.record(cwd, sys.executable, "agent.py")
    asked = len(stage.calls())
    state = stage.fork(ForkRequest(trace_id, allow_live=False)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert set(state.counts) <= {"exact", "semantic"}
    assert state.counts["exact"] >= 3
    assert state.result["unused"] == []
    assert len(stage.calls()) == asked
    comparison = _compare(stage, trace_id, state.run_id)
    assert set(comparison.counts) == {"same"}
    assert not comparison.output_changed


def test_the_demo_repeats_its_run_without_the_provider(stage: Stage, demo: str) -> None:
    """Parallel agents, tools that change files, two SDKs: all exact, the same spans."""
    asked = len(stage.calls())
    state = stage.fork(ForkRequest(demo, allow_live=False)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert set(state.counts) <= {"exact", "semantic"}
    assert state.result["all_matched"]
    assert state.result["unused"] == []
    assert len(stage.calls()) == asked
    fork = stage.trace(state.run_id)
    assert (fork["status"], fork["forked_from_trace_id"]) == ("ok", demo)
    llm = stage.spans(state.run_id, kind="llm")
    assert {span["source"] for span in llm} == {"replay"}
    originals = {span["span_id"] for span in stage.spans(demo, kind="llm")}
    assert {span["original_span_id"] for span in llm} == originals


def test_an_edited_answer_of_a_sub_agent_changes_what_follows(
    stage: Stage, demo: str, folder: Path
) -> None:
    """Calls before it are not sent, it is replaced, what follows is live, the output differs."""
    before_files = tree.read_tree(folder / "demo")
    before_spans = stage.spans(demo)
    asked = len(stage.calls())
    coder = stage.spans(demo, kind="agent", agent_name="coder")[0]
    edit = Edit(response_text="### Cause\n\nI found nothing wrong and changed nothing.\n")
    state = stage.fork(ForkRequest(demo, coder["span_id"], edit)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert set(state.counts) <= {"exact", "semantic", "edited", "live"}
    assert state.counts["edited"] == 1
    assert state.counts["live"] >= 1
    assert len(stage.calls()) - asked == state.counts["live"]
    comparison = _compare(stage, demo, state.run_id)
    assert comparison.output_changed
    assert any("nothing wrong" in c.text for c in comparison.output if c.op == "added")
    edited = next(row for row in comparison.rows if row.match == "edited")
    assert (edited.status, edited.parts) == ("changed", ("output",))
    assert {row.status for row in comparison.rows if row.agent_name == "tester"} == {"same"}
    assert "README.md" in {change["path"] for change in state.result["files"]}
    assert tree.read_tree(folder / "demo") == before_files
    assert stage.spans(demo) == before_spans


def test_an_edited_request_is_sent_exactly(stage: Stage, demo: str) -> None:
    """The provider gets the edited body and no other; the span shows what was sent."""
    first = stage.spans(demo, kind="llm", agent_name="coder")[0]
    exchanges = stage.lake.exchanges().filter(span_id=first["span_id"]).collect()
    body = json.loads(exchanges.row(0, named=True)["request_body"])
    body["messages"][-1]["content"] += "\n\nBe brief."
    asked = len(stage.calls())
    edit = Edit(request_body=body)
    state = stage.fork(ForkRequest(demo, first["span_id"], edit)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert state.counts["edited"] == 1
    sent = stage.calls()[asked:]
    assert sent[0]["sha256"] == hashlib.sha256(dump(body).encode()).hexdigest()
    assert len(sent) == 1 + state.counts.get("live", 0)
    span = stage.spans(state.run_id, match="edited")[0]
    assert json.loads(span["messages"]) == body["messages"]


def test_an_edited_result_of_a_tool_is_what_the_model_is_told(stage: Stage, demo: str) -> None:
    """The tool really runs again, the request after it carries the edit, and so do later ones."""
    tool = stage.spans(demo, kind="tool", tool_name="run_tests")[0]
    assert tool["result"].endswith("OK")
    told = "1 failed: test_delivery"
    edit = Edit(response_text=told)
    state = stage.fork(ForkRequest(demo, tool["span_id"], edit)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert state.counts["edited"] == 1
    edited = stage.spans(state.run_id, kind="llm", match="edited")[0]
    calls = stage.spans(state.run_id, kind="llm", agent_name=edited["agent_name"])
    later = [span for span in calls if span["start_time"] >= edited["start_time"]]
    assert all(told in span["messages"] for span in later)
    assert {span["match"] for span in later} <= {"edited", "live"}
    shown = stage.spans(state.run_id, kind="tool", tool_name="run_tests")[0]
    assert (shown["result"], shown["match"]) == (told, "edited")
    row = next(r for r in _compare(stage, demo, state.run_id).rows if r.before == tool["span_id"])
    assert (row.status, row.parts, row.after) == ("changed", ("output",), shown["span_id"])


def test_a_recorded_run_is_launched_again(stage: Stage, folder: Path) -> None:
    """The same command in the same folder and environment, live, linked to the run it repeats."""
    source = SEQUENTIAL + "print(__import__('os').environ['GREETING'])"
    cwd = write_program(folder / "again", source)
    first = stage.record(cwd, sys.executable, "agent.py", GREETING="good day")
    asked = len(stage.calls())
    tracelake = [sys.executable, "-m", "tracelake.cli", "run", "--json", "--lake", stage.lake.path]
    options = {"cwd": folder, "env": environment(), "capture_output": True, "text": True}
    ran = subprocess.run([*tracelake, "--again", first], check=True, timeout=120, **options)
    *_, greeting, told = ran.stdout.splitlines()
    assert greeting == "good day"
    again = json.loads(told)
    assert (again["again"], again["exit_code"], again["llm_calls"]) == (first, 0, 3)
    assert len(stage.calls()) - asked == 3
    listed = subprocess.run([*tracelake, "--list"], check=True, timeout=60, **options).stdout
    runs = {run["run_id"]: run for run in map(json.loads, listed.splitlines())}
    repeated, original = runs[again["trace_id"]], runs[first]
    assert repeated["forked_from_run_id"] == first
    assert (repeated["command"], repeated["cwd"]) == (original["command"], original["cwd"])
    assert repeated["fork"] is None


def test_two_forks_at_once_do_not_mix(stage: Stage, demo: str) -> None:
    """Each has its own answer, directory and trace."""
    coder = stage.spans(demo, kind="agent", agent_name="coder")[0]["span_id"]
    texts = ("The first fork's cause.", "The second fork's cause.")
    edits = [Edit(response_text=f"### Cause\n\n{text}\n") for text in texts]
    forks = [stage.fork(ForkRequest(demo, coder, edit)) for edit in edits]
    states = [fork.wait(TIMEOUT_S) for fork in forks]
    assert [state.status for state in states] == ["ok", "ok"]
    assert states[0].cwd != states[1].cwd
    for state, own, other in zip(states, texts, reversed(texts), strict=True):
        output = stage.trace(state.run_id)["final_output"]
        assert own in output
        assert other not in output
        assert state.counts["edited"] == 1
    listed = {record.run_id for record in forks_of(stage.lake, demo)}
    assert {state.run_id for state in states} <= listed


def test_a_program_that_asks_something_new_is_stopped_when_offline(
    stage: Stage, folder: Path
) -> None:
    """The first call without a recording ends the replay and names the nearest one."""
    source = SEQUENTIAL.replace("Name a city.", "Name a city, please, seed XX.")
    cwd = write_program(folder / "changing", source)
    trace_id = stage.record(cwd, sys.executable, "agent.py")
    (cwd / "agent.py").write_text(source.replace("And its river?", "And its tallest tower?"))
    asked = len(stage.calls())
    request = ForkRequest(trace_id, allow_live=False, fuzzy=False, copy="present")
    state = stage.fork(request).wait(TIMEOUT_S)
    assert state.status == "refused"
    assert state.counts == {"exact": 1, "refused": 1}
    detail = "\n".join(state.result["refused"]["detail"])
    assert "tallest tower" in detail
    assert len(state.result["unused"]) == 2
    assert len(stage.calls()) == asked
    log = (stage.lake.hot.parent / "forks" / state.run_id / "output.log").read_text()
    assert "no recorded call matches this one" in log


def test_the_plan_says_what_really_runs_again(stage: Stage, demo: str) -> None:
    """Tools by name and number; those that only delegate are told apart."""
    plan = plan_fork(stage.lake, ForkRequest(demo))
    tools = {tool.name: tool for tool in plan.tools}
    assert tools["run_tests"].calls == 1
    assert tools["delegate"].is_delegation
    assert not tools["edit_file"].is_delegation
    calls = sorted(stage.spans(demo, kind="llm"), key=lambda call: call["end_time"])
    assert (plan.calls_recorded, plan.calls_after) == (len(calls), 0)
    plans = (plan_fork(stage.lake, ForkRequest(demo, call["span_id"])) for call in calls)
    after = [plan.calls_after for plan in plans]
    assert (after[0], after[-1]) == (len(calls) - 1, 0)
    assert after == sorted(after, reverse=True)


def _compare(stage: Stage, before: str, after: str):  # noqa: ANN202 - a Comparison
    return compare(stage.trace(before), stage.spans(before), stage.trace(after), stage.spans(after))


def test_a_checkpoint_can_be_forked_where_the_lake_was_taken(tmp_path: Path) -> None:
    """The lake alone is enough: another machine has neither the folder nor the collector."""
    source = tmp_path / "source" / "project"
    answer = "### Cause\n\nSomething else.\n"
    with staged(tmp_path / "here") as here:
        trace_id = here.record(write_program(source, SEQUENTIAL), sys.executable, "agent.py")
        span_id = here.spans(trace_id, kind="llm")[1]["span_id"]
        edit = Edit(response_text=answer)
        made = set_checkpoint(here.lake, trace_id, span_id, "before the bridge", edit)
    taken = shutil.ignore_patterns(".collector.lock", "collector.json", "forks")
    shutil.copytree(tmp_path / "here" / "lake", tmp_path / "there" / "lake", ignore=taken)
    shutil.rmtree(tmp_path / "here")
    shutil.rmtree(source)
    with staged(tmp_path / "there") as there:
        found = find_checkpoint(there.lake, "before the bridge")
        assert found == made
        request = ForkRequest(found.trace_id, found.span_id, found.edit)
        plan = plan_fork(there.lake, request)
        assert plan.copy.kind == "copy"
        state = there.fork(request).wait(TIMEOUT_S)
        assert (state.status, state.error) == ("ok", None)
        assert state.counts == {"exact": 1, "edited": 1, "live": 1}
        said = there.spans(state.run_id, kind="llm")[2]["messages"]
        assert json.dumps(answer)[1:-1] in said
        assert [one["path"] for one in state.result["files"]] == ["result.txt"]
