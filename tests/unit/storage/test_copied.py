"""A lake that travelled without its hot folder: readable, and a lake like any other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.unit.test_lake import event, story
from tracelake import Lake

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tables_alone_are_a_lake(tmp_path: Path) -> None:
    """What was sealed is read; what is recorded into the copy is sealed as usual."""
    with Lake(tmp_path / "home") as home:
        story(home)
        home.append(event("agent_start", "open", 9, trace_id="unfinished", name="waits"))
        assert home.seal().carried == 1
        expected = home.trace("t1")
    shutil.copytree(tmp_path / "home", tmp_path / "copy", ignore=shutil.ignore_patterns("hot"))
    with Lake(tmp_path / "copy") as copy:
        assert copy.trace("t1").equals(expected)
        assert copy.traces().collect()["trace_id"].to_list() == ["t1"]
        story(copy, "t2", 60)
        copy.append(event("agent_start", "open", 90, trace_id="t3", name="waits"))
        assert copy.seal().carried == 1
        assert sorted(copy.traces().collect()["trace_id"]) == ["t1", "t2", "t3"]
        copy.append(event("agent_end", "open", 99, trace_id="t3"))
        copy.seal()
        assert copy.trace("t3")["status"].to_list() == ["ok"]
        assert copy.compact() is not None
        assert copy.trace("t1").equals(expected)
