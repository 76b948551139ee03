"""Collectors of one lake, found from outside."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

from tests.support import eventually
from tracelake.config import Location
from tracelake.ingest.collector import (
    LOCK_NAME,
    STATE_NAME,
    Collector,
    State,
    ensure_running,
    find_running,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_collector_that_is_being_started_is_waited_for(tmp_path: Path) -> None:
    """Who needs a collector while another program starts one gets that one, and no error."""
    location = Location(str(tmp_path), tmp_path)
    lock = os.open(tmp_path / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    found: list[Collector] = []
    waiting = threading.Thread(target=lambda: found.append(ensure_running(location)), daemon=True)
    waiting.start()
    assert find_running(location) is None
    state = State(os.getpid(), "http://127.0.0.1:1", "secret")
    (tmp_path / STATE_NAME).write_bytes(state.to_json())
    eventually(lambda: not waiting.is_alive())
    assert [collector.state for collector in found] == [state]
    assert not found[0].is_owned
    os.close(lock)
