"""A lake that travelled without its hot folder: readable, and a lake like any other."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.unit.storage.actors import Actor
from tests.unit.test_golden import GOLDEN, LAKES
from tests.unit.test_lake import event, story
from tracelake import Lake
from tracelake.storage.carry import carry_path

if TYPE_CHECKING:
    from pathlib import Path


def copied(home: Path, to: Path) -> Lake:
    """The tables alone."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("hot"))
    return Lake(to)


def traces(lake: Lake) -> list[str]:
    """Every trace of the list, as often as it is there."""
    return sorted(lake.traces().collect()["trace_id"])


def test_the_tables_alone_are_a_lake(tmp_path: Path) -> None:
    """What was sealed is read; what is recorded into the copy is sealed as usual."""
    with Lake(tmp_path / "home") as home:
        story(home)
        home.append(event("agent_start", "open", 9, trace_id="unfinished", name="waits"))
        assert home.seal().carried == 1
        home.seal()
        expected = home.trace("t1")
    with copied(tmp_path / "home", tmp_path / "copy") as copy:
        assert copy.trace("t1").equals(expected)
        assert traces(copy) == ["t1"]
        assert copy.verify().is_clean
        story(copy, "t2", 60)
        copy.append(event("agent_start", "open", 90, trace_id="t3", name="waits"))
        copy.append(event("span", "l1", 91, attributes={"note": 1}))  # of a span sealed at home
        for state in ("hot", "sealed", "merged"):
            assert traces(copy) == traces(Lake(copy.path)) == ["t1", "t2", "t3"], state
            assert copy.spans().collect().height == 11, state
            assert copy.trace("t1").height == expected.height, state
            if state == "hot":
                assert copy.seal().carried == 1
            else:
                copy.compact()
        copy.append(event("agent_end", "open", 99, trace_id="t3"))
        copy.seal()
        assert copy.trace("t3")["status"].to_list() == ["ok"]
        assert copy.verify().is_clean


def test_a_copy_made_in_the_middle_of_a_seal(tmp_path: Path) -> None:
    """Spans whose roll-up nobody came to write are in the list once the copy seals."""
    home = tmp_path / "home"
    with Lake(home) as lake:
        story(lake)
        lake.seal()
        story(lake, "t2", 60)
        lake.append(event("llm_call", "more", 70, duration_ms=1.0))
    sealer = Actor(Lake(home).seal, home, by_change=True)
    while len(list((home / "spans" / "_delta_log").glob("*.json"))) < 3:
        assert sealer.advance() is not None
    sealer.kill()
    with copied(home, tmp_path / "copy") as copy:
        assert copy.spans().collect().height == 11
        copy.seal()
        assert dict(copy.traces().select("trace_id", "span_count").collect().iter_rows()) == {
            "t1": 6,
            "t2": 5,
        }


def test_a_hot_folder_that_was_thrown_away(tmp_path: Path) -> None:
    """What was sealed stays, also for who has read all the time."""
    with Lake(tmp_path / "lake") as lake:
        story(lake)
        lake.seal()
        shutil.rmtree(lake.hot)
        assert traces(lake) == ["t1"]
    with Lake(lake.path) as again:
        story(again, "t2", 60)
        assert traces(lake) == traces(again) == ["t1", "t2"]
        again.seal()
        assert traces(lake) == traces(again) == ["t1", "t2"]


def test_a_missing_carry_is_no_strangers_folder(tmp_path: Path) -> None:
    """A hot folder that is the lake's own, but not whole, is damage: it is not read anew."""
    with Lake(tmp_path / "lake") as lake:
        story(lake)
        lake.seal()
        carry_path(lake.hot, 1).unlink()
        with pytest.raises(Exception, match="hot"):
            Lake(lake.path).spans()
        assert [problem.reason for problem in lake.verify().problems] == ["the carry is missing"]


@pytest.mark.parametrize("name", LAKES)
def test_the_tables_of_an_old_lake(name: str, tmp_path: Path) -> None:
    """Before hot folders had names: the same once the copy has sealed."""
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    with copied(GOLDEN / name, tmp_path / "copy") as copy:
        sealed = copy.spans().collect()
        assert 0 < sealed.height <= len(expected["spans"])
        story(copy, "mine")
        copy.seal()
        assert copy.spans().collect().height == sealed.height + 5
        assert "mine" in traces(copy)
