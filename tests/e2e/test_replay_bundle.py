"""A bundle handed to a colleague: opened in another lake, where the program is not."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.e2e.replay_support import SEQUENTIAL, TIMEOUT_S, staged, write_program
from tracelake.cli import main
from tracelake.lake import Lake
from tracelake.replay.plan import ForkRequest
from tracelake.replay.session import Edit

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_colleague_repeats_a_run_from_its_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the folder it ran in: the files and every answer come out of the bundle."""
    bundle = tmp_path / "run.parquet"
    with staged(tmp_path / "mine") as mine:
        cwd = write_program(tmp_path / "mine" / "work", SEQUENTIAL)
        trace_id = mine.record(cwd, sys.executable, "agent.py")
        recorded = mine.lake.trace(trace_id)
        exported = ["export", str(bundle), "--trace", trace_id, "--json"]
        assert main([*exported, "--lake", mine.lake.path]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["spans"], told["exchanges"], told["runs"]) == (recorded.height, 3, 1)
    assert pl.read_parquet(bundle)["span_id"].to_list() == recorded["span_id"].to_list()
    shutil.rmtree(tmp_path / "mine")

    theirs = tmp_path / "theirs" / "lake"
    for _ in range(2):
        assert main(["import", str(bundle), "--lake", str(theirs)]) == 0
    with Lake(theirs) as lake:
        assert lake.trace(trace_id)["span_id"].to_list() == recorded["span_id"].to_list()
        assert lake.exchanges().collect().height == 3
    with staged(tmp_path / "theirs") as stage:
        state = stage.fork(ForkRequest(trace_id, allow_live=False)).wait(TIMEOUT_S)
        assert (state.status, state.error) == ("ok", None)
        assert state.result["all_matched"]
        assert stage.calls() == []
        first = stage.spans(trace_id, kind="llm")[0]
        edit = Edit(response_text="Lisbon")
        changed = stage.fork(ForkRequest(trace_id, first["span_id"], edit)).wait(TIMEOUT_S)
        assert (changed.status, changed.counts) == ("ok", {"edited": 1, "live": 2})
        assert len(stage.calls()) == 2
