"""What a comparison reads of a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.replay.exchanges import START
from tracelake.lake import Lake
from tracelake.replay.record import RunRecord
from tracelake.replay.sides import compare_sides, read_side

if TYPE_CHECKING:
    from pathlib import Path


def _write(lake: Lake, trace_id: str, folder: str, fork: dict[str, Any] | None = None) -> None:
    """A run with one tool call that names its folder."""
    record = RunRecord(trace_id, "run", ("x",), folder, START, fork=fork)
    lake.write("runs", [record.to_row()])
    data = {
        "tool_name": "run_tests",
        "parameters": {"path": f"{folder}/tests"},
        "result": f'File "{folder}/a.py", line 3',
        "duration_ms": 1.0,
    }
    root = {"name": "main", "role": "orchestrator", "status": "ok"}
    for event_type, span_id, parent_id, told in (
        ("agent_start", "root", None, root),
        ("tool_call", "tool", "root", data),
        ("agent_end", "root", None, {"status": "ok"}),
    ):
        lake.append(
            {
                "event_type": event_type,
                "trace_id": trace_id,
                "span_id": span_id,
                "parent_id": parent_id,
                "timestamp": START,
                "agent_name": "main",
                "data": told,
            }
        )


def test_the_folder_of_a_copy_is_no_difference(tmp_path: Path) -> None:
    """Also not of a fork of a fork; what else differs is told."""
    lake = Lake(tmp_path / "lake")
    _write(lake, "first", "/home/u/project")
    paths = {"/home/u/project": "/lake/forks/second/work"}
    _write(lake, "second", "/lake/forks/second/work", {"trace_id": "first", "paths": paths})
    paths = {"/lake/forks/second/work": "/lake/forks/third/work"}
    _write(lake, "third", "/lake/forks/third/work", {"trace_id": "second", "paths": paths})
    _write(lake, "other", "/elsewhere")
    sides = {one: read_side(lake, one) for one in ("first", "second", "third", "other")}
    first = sides["first"]
    assert first is not None
    for name in ("second", "third"):
        side = sides[name]
        assert side is not None
        assert set(compare_sides(first, side).counts) == {"same"}
        assert "/home/u/project/a.py" in side.by_id["tool"]["result"]
    other = sides["other"]
    assert other is not None
    assert compare_sides(first, other).counts["changed"] >= 1
    assert read_side(lake, "nothing") is None
    lake.close()
