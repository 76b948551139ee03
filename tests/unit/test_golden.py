"""Lakes written by earlier versions: each is kept as it was written and has to read as it did.

The folders under `tests/golden` are never regenerated; a new schema version adds one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tracelake import Lake
from tracelake.storage.sealer import Sealer

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LAKES = sorted(path.name for path in GOLDEN.glob("lake-v*") if path.is_dir())


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def _read(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    frames = {
        "spans": lake.spans().sort("span_id"),
        "traces": lake.traces().sort("trace_id"),
        "exchanges": lake.exchanges().sort("span_id"),
    }
    return {
        name: [
            {key: _plain(value) for key, value in row.items()} for row in frame.collect().to_dicts()
        ]
        for name, frame in frames.items()
    }


@pytest.mark.parametrize("name", LAKES)
def test_an_old_lake_reads_as_it_did(name: str, tmp_path: Path) -> None:
    """Sealed, amended, carried and hot rows of an old lake; columns added since are null."""
    shutil.copytree(GOLDEN / name, tmp_path / "lake")
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    lake = Lake(tmp_path / "lake")
    for state in ("as it was", "sealed", "compacted"):
        found = _read(lake)
        for table, rows in expected.items():
            assert len(found[table]) == len(rows), (state, table)
            for row, wanted in zip(found[table], rows, strict=True):
                assert {key: row[key] for key in wanted} == wanted, (state, table)
                assert all(row[key] is None for key in row.keys() - wanted.keys()), (state, table)
        if state == "as it was":
            Sealer(lake.location, lost_after_s=1e12).seal()
        elif state == "sealed":
            lake.compact()
    assert lake.verify().is_clean


def test_there_is_a_golden_lake() -> None:
    """A test without lakes would pass in silence."""
    assert {"lake-v1", "lake-v2"} <= set(LAKES)
