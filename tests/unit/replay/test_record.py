"""What is written down about a program run."""

from __future__ import annotations

import io
import subprocess
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tracelake.errors import ConfigError
from tracelake.replay.launch import client_command, client_environment
from tracelake.replay.record import capture_environment, capture_git, capture_run
from tracelake.replay.secrets import WITHHELD, Secrets

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

    assert capture_git(tmp_path, Secrets({})) == {}
    git("init", "-q")
    (tmp_path / "a.txt").write_text("one\n")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    (tmp_path / "a.txt").write_text("two\n")
    (tmp_path / "new.txt").write_text("new\n")
    state = capture_git(tmp_path, Secrets({}))
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


def test_a_command_with_a_secret_is_not_written_down(tmp_path: Path) -> None:
    """The word is withheld, whatever tells of it, and the run is not launched again without it."""
    words = ["agent", "--max-tokens", "100", "--api-key", "abc", "--token=xyz", "--model", "m"]
    words += [f"sk-{'a' * 24}", "internal-4711"]
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    environ = {"TRACELAKE_REDACT": "internal-\\d+", "PLAIN": "a", "NOTE": "see internal-12"}
    recorded = capture_run(words, run_id="r", cwd=tmp_path, environ=environ, now=moment)
    assert recorded.command == (
        *("agent", "--max-tokens", "100", "--api-key", WITHHELD, f"--token={WITHHELD}"),
        *("--model", "m", WITHHELD, WITHHELD),
    )
    assert recorded.environment["variables"] == {"PLAIN": "a"}
    assert recorded.environment["left_out"] == ["NOTE"]
    assert not [word for word in ("abc", "xyz", "4711") if word in recorded.name]
    with pytest.raises(ConfigError, match="held a secret"):
        recorded.check_command()


def test_changes_and_files_that_the_users_patterns_match_are_not_kept(tmp_path: Path) -> None:
    """A patch with such a text is withheld whole, a file is only named."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    (tmp_path / "a.txt").write_text("one\n")
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "one"], cwd=tmp_path, check=True)
    (tmp_path / "a.txt").write_text("codename BLUEBIRD\n")
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    environ = {"TRACELAKE_REDACT": "BLUEBIRD"}
    recorded = capture_run(["x"], run_id="r", cwd=tmp_path, environ=environ, now=moment)
    assert recorded.git["patch"] == ""
    assert recorded.git["patch_withheld"]
    assert recorded.files is not None
    with zipfile.ZipFile(io.BytesIO(recorded.files)) as packed:
        assert all(b"BLUEBIRD" not in packed.read(name) for name in packed.namelist())
