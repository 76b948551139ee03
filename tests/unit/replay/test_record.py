"""What is written down about a program run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tracelake.replay.launch import client_command, client_environment
from tracelake.replay.record import capture_environment, capture_git

if TYPE_CHECKING:
    from pathlib import Path

RELAY = "http://127.0.0.1:8001"


def test_secrets_never_reach_the_record() -> None:
    """Variables that look like credentials are withheld by name; their values are nowhere."""
    environ = {
        "OPENAI_API_KEY": "sk-1",
        "MY_TOKEN": "t-2",
        "DB_PASSWORD": "p-3",
        "PROXY": "http://user:pw-4@host",
        "DATABASE_URL": "postgres://x-5",
        "LANG": "C.UTF-8",
        "PWD": "/somewhere",
    }
    captured = capture_environment(environ)
    assert captured["variables"] == {"LANG": "C.UTF-8"}
    assert captured["left_out"] == [
        "DATABASE_URL",
        "DB_PASSWORD",
        "MY_TOKEN",
        "OPENAI_API_KEY",
        "PROXY",
    ]


def test_git_state_can_be_laid_out_again(tmp_path: Path) -> None:
    """Head, the patch of tracked files and the names of new ones are enough for a second copy."""

    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    assert capture_git(tmp_path) == {}
    git("init", "-q")
    (tmp_path / "a.txt").write_text("one\n")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    (tmp_path / "a.txt").write_text("two\n")
    (tmp_path / "new.txt").write_text("new\n")
    state = capture_git(tmp_path)
    assert len(state["head"]) == 40
    assert "-one\n+two\n" in state["patch"]
    assert state["untracked"] == ["new.txt"]
    assert not state["patch_too_large"]


def test_every_known_client_is_pointed_at_the_run() -> None:
    """SDKs get base URLs with the run's prefix; Codex, which ignores them, gets flags."""
    environment = client_environment(RELAY, "run1")
    assert environment["ANTHROPIC_BASE_URL"] == f"{RELAY}/r/run1"
    assert environment["OPENAI_BASE_URL"] == f"{RELAY}/r/run1/v1"
    assert environment["OPENAI_API_BASE"] == f"{RELAY}/r/run1/v1"
    assert client_command(["python", "x.py"], RELAY, "run1") == ["python", "x.py"]
    codex = client_command(["/usr/bin/codex", "exec", "task"], RELAY, "run1")
    assert f'model_providers.tracelake.base_url="{RELAY}/r/run1/v1"' in codex
    assert codex[0] == "/usr/bin/codex"
    assert codex[-2:] == ["exec", "task"]
