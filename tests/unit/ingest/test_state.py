"""What ingest says of itself, read by others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tracelake.ingest.state import STATE_NAME, problem_of, read_state
from tracelake.model import to_iso

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2025, 11, 22, 10, tzinfo=UTC)
FINE: dict[str, Any] = {"at": to_iso(NOW), "unsealed_bytes": 70 << 20, "problems": {}}


def test_all_is_well() -> None:
    """Nothing to report before the first state, nor while sealing keeps up."""
    assert problem_of(None, NOW) is None
    assert problem_of(FINE, NOW + timedelta(seconds=5)) is None


@pytest.mark.parametrize(
    ("change", "later_s", "says"),
    [
        ({"problems": {"sealing": "No space left on device"}}, 1, "No space left on device"),
        ({"problems": {"retention": "mend it"}}, 1, "old traces are not deleted: mend it"),
        ({"problems": {"retention": "A", "sealing": "B"}}, 1, "deleted: A; sealing fails"),
        ({"unsealed_bytes": 400 << 20}, 1, "400 MB wait in the hot folder"),
        ({}, 60, "silent for 60 s"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], later_s: int, says: str) -> None:
    """A seal that fails, a hot folder that grows, an ingest process that hangs or cannot write."""
    problem = problem_of({**FINE, **change}, NOW + timedelta(seconds=later_s))
    assert problem is not None
    assert says in problem


def test_the_state_is_read_from_the_hot_folder(tmp_path: Path) -> None:
    """A missing or torn file is no state."""
    assert read_state(tmp_path) is None
    (tmp_path / STATE_NAME).write_text("{")
    assert read_state(tmp_path) is None
    (tmp_path / STATE_NAME).write_text(json.dumps(FINE))
    assert read_state(tmp_path) == FINE
