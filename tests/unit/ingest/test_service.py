"""What an ingest process tells of its own troubles, for as long as they last."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.support import eventually
from tracelake.config import SETTINGS_FILE, Location
from tracelake.ingest import service
from tracelake.ingest.settings import Settings, write_settings
from tracelake.ingest.state import problem_of, read_state
from tracelake.model import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_problem_is_told_until_it_is_cured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged settings are told at every look, although sealing works, until they are mended."""
    for name in ("SEAL_CHECK_EVERY_S", "STATE_EVERY_S", "TICK_EVERY_S", "RETRY_EVERY_S"):
        monkeypatch.setattr(service, name, 0.02)
    location = Location(str(tmp_path), tmp_path / "hot")
    location.hot.mkdir()
    (location.hot / SETTINGS_FILE).write_text("{")
    stopping = threading.Event()
    running = threading.Thread(
        target=service.Service(location, relay_port=1).run, args=(stopping,), daemon=True
    )
    running.start()

    def problem() -> str:
        return problem_of(read_state(location.hot), utc_now()) or ""

    def at() -> str:
        return str((read_state(location.hot) or {}).get("at"))

    try:
        eventually(lambda: "old traces are not deleted" in problem())
        for _ in range(5):
            before = at()
            eventually(lambda before=before: at() != before)
            assert "settings.json" in problem()
        write_settings(location, Settings())
        eventually(lambda: not problem())
    finally:
        stopping.set()
        running.join(20)
    assert not running.is_alive()
