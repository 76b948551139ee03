"""The benchmark's questions to a lake of half a million spans."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(300)]


def test_half_a_million_spans_are_asked(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Every question is answered with rows; tells how long each took beside its target."""
    command = [sys.executable, "-m", "tracelake.cli", "bench", "lake", "queries"]
    command += ["--spans", "500k", "--keep", str(tmp_path / "lake"), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    asked = [line for line in lines if "rows" in line]
    figures(
        "\n".join(
            f"{line['name']:<28}{line['median_ms']:6.1f} ms, target {line.get('target', 'none')}"
            for line in asked
        )
    )
    assert len(asked) >= 5
    assert all(line["rows"] > 0 for line in asked)
