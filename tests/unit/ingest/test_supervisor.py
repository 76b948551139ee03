"""The supervising process, run for real."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import eventually
from tracelake.ingest.collector import LOCK_NAME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_taken", [False, True], ids=["serves", "cannot start"])
def test_a_starter_that_died_leaves_nothing_behind(tmp_path: Path, *, is_taken: bool) -> None:
    """Nobody reads the first line any more: relay and ingest are stopped, without a traceback."""
    hot = tmp_path / "hot"
    hot.mkdir()
    lock = os.open(hot / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    if is_taken:
        fcntl.flock(lock, fcntl.LOCK_EX)
    command = [sys.executable, "-m", "tracelake.ingest.supervisor", "--tables", str(tmp_path)]
    command += ["--hot", str(hot), "--port", "0", "--otlp-port", "0"]
    for name in ("anthropic", "openai"):
        command += [f"--{name}-backend", "http://127.0.0.1:9"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        process.stdout.close()
        eventually(lambda: process.poll() is not None)
    os.close(lock)
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "BrokenPipe" not in told
    assert process.returncode == (1 if is_taken else 0)
    assert not (hot / "collector.json").exists()
