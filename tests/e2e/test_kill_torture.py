"""The short form of the torture test; for hours of it, `python -m tests.e2e.torture`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.torture import torture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.e2e
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_torture(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Killed writers, sealers and compactors: nothing lost, doubled, backwards; no reader fails."""
    seconds = float(os.environ.get("TRACELAKE_TORTURE_S", "60"))
    counts = torture(tmp_path, seconds, tell=figures)
    assert counts == {"lost": 0, "doubled": 0, "backwards": 0, "errors": 0}
