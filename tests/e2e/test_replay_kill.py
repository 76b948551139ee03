"""Forks that are cancelled or lose whoever started them: nothing runs on, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.replay_support import SLOW, TIMEOUT_S, Stage, environment, staged, write_program
from tests.support import eventually
from tracelake.replay.fork import forks_of
from tracelake.replay.plan import ForkRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STARTER = """
import os, sys
from pathlib import Path
from tracelake.config import Location
from tracelake.ingest.collector import find_running
from tracelake.lake import Lake
from tracelake.replay.fork import start_fork
from tracelake.replay.plan import ForkRequest, plan_fork

os.environ["SLOW_NOW"] = "1"
lake = Lake(sys.argv[1])
fork = start_fork(lake, plan_fork(lake, ForkRequest(sys.argv[2])), find_running(lake.location))
print(fork.run_id, flush=True)
fork.wait()
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for the whole module."""
    with staged(tmp_path_factory.mktemp("kill")) as ready:
        yield ready


@pytest.fixture(scope="module")
def trace_id(stage: Stage) -> str:
    """A recorded run that was quick; run again with SLOW_NOW it goes on for minutes."""
    cwd = write_program(stage.lake.hot.parent.parent / "slow", SLOW)
    return stage.record(cwd, sys.executable, "agent.py", "quick")


def pids_of(folder: Path) -> list[int]:
    """The processes of the slow program in a fork's folder, once it has written them down."""
    file = folder / "work" / "slow" / "pids"
    text = file.read_text() if file.exists() else ""
    return [int(word) for word in text.split()] if len(text.split()) == 2 else []


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_marked(stage: Stage, run_id: str) -> bool:
    """Whether both the run and its trace say that the fork was cancelled."""
    records = [one for one in forks_of(stage.lake) if one.run_id == run_id]
    return (
        bool(records)
        and (records[0].fork or {}).get("status") == "cancelled"
        and records[0].end_time is not None
        and stage.trace(run_id)["status"] == "cancelled"
    )


def test_cancelling_ends_the_program_and_its_children(
    stage: Stage, trace_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole process group is ended, the fork is marked, and its calls are kept."""
    monkeypatch.setenv("SLOW_NOW", "1")
    fork = stage.fork(ForkRequest(trace_id))
    folder = stage.lake.hot.parent / "forks" / fork.run_id
    pids = eventually(lambda: pids_of(folder))
    fork.cancel()
    state = fork.wait(TIMEOUT_S)
    assert state.status == "cancelled"
    assert state.counts == {"exact": 1}
    eventually(lambda: not any(map(is_running, pids)))
    assert is_marked(stage, fork.run_id)
    assert [span["match"] for span in stage.spans(fork.run_id, kind="llm")] == ["exact"]


@pytest.mark.parametrize("victim", ["starter", "runner", "program"])
def test_a_killed_process_leaves_nothing_running_and_a_cancelled_fork(
    stage: Stage, trace_id: str, victim: str
) -> None:
    """`kill -9` of whoever started it, of the fork's own process, or of the program."""
    words = [sys.executable, "-c", STARTER, stage.lake.path, trace_id]
    starter = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert starter.stdout is not None
        run_id = starter.stdout.readline().strip()
        folder = stage.lake.hot.parent / "forks" / run_id
        pids = eventually(lambda: pids_of(folder))
        runner = psutil.Process(starter.pid).children()[0]
        assert "tracelake.replay.runner" in runner.cmdline()
        target = {"starter": starter.pid, "runner": runner.pid, "program": pids[0]}[victim]
        os.kill(target, signal.SIGKILL)
        eventually(lambda: not any(map(is_running, pids)))
        eventually(lambda: not is_running(runner.pid))
        eventually(lambda: is_marked(stage, run_id))
    finally:
        starter.kill()
        starter.wait()
        if starter.stdout:
            starter.stdout.close()
