"""Named places to fork from, kept with the trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.replay.exchanges import START
from tracelake.cli.main import main
from tracelake.errors import ConfigError, NotInLake
from tracelake.lake import Lake
from tracelake.replay.checkpoints import (
    checkpoints_of,
    find_checkpoint,
    remove_checkpoint,
    set_checkpoint,
)
from tracelake.replay.session import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with two traces of one call."""
    with Lake(tmp_path / "lake") as made:
        for trace_id in ("t1", "t2"):
            data = {"response": "hello", "duration_ms": 1.0}
            event = {"event_type": "llm_call", "trace_id": trace_id, "span_id": "call"}
            made.append({**event, "timestamp": START, "agent_name": "solo", "data": data})
        yield made


def test_a_checkpoint_is_kept_with_its_edit_until_it_is_taken_back(lake: Lake) -> None:
    """Another process finds it by name or id, with the edit as it was typed."""
    edit = Edit(response_text="another answer")
    made = set_checkpoint(lake, "t1", "call", "  before  the mail ", edit)
    assert made.name == "before the mail"
    again = Lake(lake.path)
    assert find_checkpoint(again, "before the mail") == made
    assert find_checkpoint(again, made.checkpoint_id, "t1") == made
    assert checkpoints_of(again, "t2") == []
    remove_checkpoint(again, "before the mail")
    assert checkpoints_of(lake) == []
    with pytest.raises(NotInLake):
        remove_checkpoint(lake, "before the mail")


def test_names_are_told_apart(lake: Lake) -> None:
    """One of a name in a trace; of two traces the trace must be named."""
    set_checkpoint(lake, "t1", "call", "here")
    with pytest.raises(ConfigError, match="take another name"):
        set_checkpoint(lake, "t1", "call", "here")
    with pytest.raises(ConfigError, match="1 to 120"):
        set_checkpoint(lake, "t1", "call", "  ")
    with pytest.raises(NotInLake):
        set_checkpoint(lake, "t1", "nowhere", "there")
    set_checkpoint(lake, "t2", "call", "here")
    with pytest.raises(ConfigError, match="2 traces have a checkpoint"):
        find_checkpoint(lake, "here")
    found = find_checkpoint(lake, "here", "t2")
    assert found is not None
    assert found.trace_id == "t2"


def test_the_command_line_sets_lists_and_removes(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is set is listed with its edit; replay finds it by its name."""
    answer = tmp_path / "answer.txt"
    answer.write_text("told otherwise\n")
    where = ["--lake", lake.path]
    asked = ["checkpoint", "call", "here", "--trace", "t1", "--response", str(answer)]
    assert main([*asked, *where]) == 0
    assert main(["checkpoints", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["trace_id"], told["span_id"]) == ("here", "t1", "call")
    assert told["edit"]["response_text"] == "told otherwise"
    assert main(["replay", "here", "--dry-run", *where]) == 1  # found, but nothing was recorded
    assert "no recorded exchanges" in capsys.readouterr().err
    assert main(["checkpoints", "--remove", "here", *where]) == 0
    assert checkpoints_of(lake) == []
