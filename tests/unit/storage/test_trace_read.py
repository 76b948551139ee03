"""Reading one trace in part: the same rows and values as reading it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.test_lake import event, story
from tracelake import Lake
from tracelake.errors import NotInLake

if TYPE_CHECKING:
    from pathlib import Path

NARROW = ["kind", "status", "response"]


@pytest.fixture(params=["hot", "sealed", "amended"])
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    """A trace beside another one: not sealed yet, sealed, or sealed and amended since."""
    lake = Lake(tmp_path / "lake")
    story(lake)
    story(lake, "t2", offset_s=60)
    if request.param != "hot":
        lake.seal()
    if request.param == "amended":
        lake.append(event("llm_call", "l1", 4, parent_id="root", response="first, corrected"))
    return lake


def test_columns_are_read_in_start_order_without_the_others(lake: Lake) -> None:
    """Naming columns leaves the rows, their order and their values as they are."""
    assert lake.trace("t1", columns=NARROW).equals(lake.trace("t1").select(NARROW))


def test_single_spans_are_whole(lake: Lake) -> None:
    """A span read on its own is the row it is in its trace; ids of another trace find nothing."""
    whole = lake.trace("t1")
    assert lake.trace("t1", span_ids=["l1"]).equals(whole.filter(span_id="l1"))
    assert lake.trace("t1", span_ids=["l1", "gone"], columns=["span_id"]).rows() == [("l1",)]
    with pytest.raises(NotInLake, match="no such span"):
        lake.trace("t1", span_ids=["gone"])
