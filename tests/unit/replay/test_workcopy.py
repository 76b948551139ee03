"""Where forks work, and that the recorded directory stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tracelake.errors import ConfigError
from tracelake.replay import tree
from tracelake.replay.record import RunRecord, capture_git, capture_run
from tracelake.replay.secrets import Secrets
from tracelake.replay.workcopy import make_copy, plan_copy


def git(cwd: Path, *words: str) -> str:
    """Run git with an identity of its own."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(
        ["git", *identity, *words], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout


def record(cwd: Path) -> RunRecord:
    """The record of a run in that folder."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return RunRecord(
        "r1", "run", ("python", "a.py"), str(cwd), moment, git=capture_git(cwd, Secrets({}))
    )


def everything(root: Path) -> dict[str, bytes]:
    """Every file below a folder, `.git` included."""
    return {
        str(Path(folder, name).relative_to(root)): Path(folder, name).read_bytes()
        for folder, _, names in os.walk(root)
        for name in names
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a commit, a change, an untracked and an ignored file."""
    root = tmp_path / "repo"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_text("one\n")
    (root / "sub" / "b.py").write_text("two\n")
    (root / ".gitignore").write_text(".env\n.venv/\n")
    git(root, "init", "-q", "-b", "trunk")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    (root / "a.py").write_text("one, changed\n")
    (root / "new.txt").write_text("untracked\n")
    (root / ".env").write_text("KEY=1\n")
    (root / ".venv").mkdir()
    (root / ".venv" / "marker").write_text("x")
    return root


def test_a_git_copy_has_the_recorded_state_and_leaves_the_repository_alone(
    repository: Path, tmp_path: Path
) -> None:
    """Commit, changes, untracked and ignored files are there; what happened since is not."""
    recorded = record(repository)
    (repository / "a.py").write_text("changed by the run\n")
    (repository / "made.txt").write_text("made by the run\n")
    before = everything(repository)
    plan = plan_copy(recorded, tmp_path / "fork" / "work")
    make_copy(plan, recorded)
    assert plan.kind == "git"
    assert (plan.cwd / "a.py").read_text() == "one, changed\n"
    assert (plan.cwd / "new.txt").read_text() == "untracked\n"
    assert (plan.cwd / ".env").read_text() == "KEY=1\n"
    assert (plan.cwd / ".venv" / "marker").exists()
    assert not (plan.cwd / "made.txt").exists()
    assert git(plan.cwd, "rev-parse", "--abbrev-ref", "HEAD").strip() == "trunk"
    git(plan.cwd, "commit", "-q", "-am", "in the copy")
    assert everything(repository) == before


def test_a_program_that_ran_in_a_subfolder_runs_there_again(
    repository: Path, tmp_path: Path
) -> None:
    """The whole repository is copied, the working directory lies inside, and paths are mapped."""
    recorded = record(repository / "sub")
    plan = plan_copy(recorded, tmp_path / "fork" / "work")
    make_copy(plan, recorded)
    assert plan.cwd == tmp_path / "fork" / "work" / repository.name / "sub"
    assert plan.words(["python", str(repository / "a.py"), "/elsewhere"]) == [
        "python",
        str(tmp_path / "fork" / "work" / repository.name / "a.py"),
        "/elsewhere",
    ]


def test_a_folder_without_git_is_copied_as_it_is(tmp_path: Path) -> None:
    """The copy says that it shows the present state; the lake inside is left out."""
    source = tmp_path / "plain"
    (source / "lake").mkdir(parents=True)
    (source / "lake" / "big").write_text("x")
    (source / "a.py").write_text("one\n")
    recorded = record(source)
    plan = plan_copy(recorded, source / "lake" / "forks" / "f" / "work")
    make_copy(plan, recorded, leave_out=source / "lake")
    assert plan.kind == "copy"
    assert plan.warnings
    assert (plan.cwd / "a.py").read_text() == "one\n"
    assert not (plan.cwd / "lake").exists()


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    """There is nothing to copy on another machine."""
    gone = RunRecord("r", "n", ("x",), str(tmp_path / "gone"), datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigError, match="does not exist here"):
        plan_copy(gone, tmp_path / "work")


def test_a_run_of_a_small_repository_can_be_laid_out_where_there_is_none(
    repository: Path, tmp_path: Path
) -> None:
    """The record alone is enough: tracked, changed and untracked files, but none with keys."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    cwd = repository / "sub"
    recorded = capture_run(["python", "b.py"], run_id="r", cwd=cwd, environ={}, now=moment)
    recorded = RunRecord.from_row(_as_read(recorded))
    repository.rename(tmp_path / "moved")
    plan = plan_copy(recorded, tmp_path / "fork")
    make_copy(plan, recorded)
    assert plan.kind == "copy"
    assert "does not exist here" in plan.why
    root = tmp_path / "fork" / "repo"
    assert plan.cwd == root / "sub"
    assert (root / "a.py").read_text() == "one, changed\n"
    assert (root / "new.txt").read_text() == "untracked\n"
    assert (root / "sub" / "b.py").read_text() == "two\n"
    assert not (root / ".env").exists()
    with pytest.raises(ConfigError, match="does not exist here"):
        plan_copy(recorded, tmp_path / "fork", "present")


def _as_read(record: RunRecord) -> dict[str, object]:
    """The row of a record as a lake gives it, JSON columns as text."""
    columns = ("command", "environment", "git", "client", "fork")
    row = record.to_row()
    return {k: json.dumps(v) if k in columns else v for k, v in row.items()}


def test_in_place_is_never_chosen_but_only_asked_for(tmp_path: Path) -> None:
    """Without being asked, a fork does not touch the recorded directory."""
    recorded = record(tmp_path)
    assert plan_copy(recorded, tmp_path / "f", "in_place").cwd == tmp_path
    assert plan_copy(recorded, tmp_path / "f").cwd == tmp_path / "f" / tmp_path.name


def test_a_folder_in_the_home_is_recognised_as_a_shell_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/app` stands for the copy too; a copy outside of the home has only its whole path."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    source = tmp_path / "home" / "app"
    source.mkdir(parents=True)
    recorded = record(source)
    inside = plan_copy(recorded, tmp_path / "home" / "forks" / "f")
    assert inside.paths["~/app"] == "~/forks/f/app"
    outside = plan_copy(recorded, tmp_path / "f")
    assert outside.paths["~/app"] == str(tmp_path / "f" / "app")


def test_changes_of_a_folder_are_told_as_diffs(tmp_path: Path) -> None:
    """Added, changed and removed files; binary ones without text."""
    (tmp_path / "kept").write_text("same")
    (tmp_path / "changed").write_text("old\n")
    (tmp_path / "gone").write_text("bye\n")
    before = tree.read_tree(tmp_path)
    (tmp_path / "changed").write_text("new\n")
    (tmp_path / "gone").unlink()
    (tmp_path / "added").write_bytes(b"\0\1")
    found = {change.path: change for change in tree.changes(before, tree.read_tree(tmp_path))}
    assert {path: change.status for path, change in found.items()} == {
        "added": "added",
        "changed": "changed",
        "gone": "removed",
    }
    assert "-old\n+new\n" in found["changed"].diff
    assert found["added"].diff == ""


def test_a_folder_without_git_is_copied_as_it_was_before_the_run(tmp_path: Path) -> None:
    """What the first run left behind is not in the copy; files with keys come from the folder."""
    source = tmp_path / "plain"
    (source / "sub").mkdir(parents=True)
    (source / "a.py").write_text("before\n")
    (source / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (source / "sub" / "run.sh").chmod(0o755)
    (source / ".env").write_text("KEY=secret\n")
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    recorded = capture_run(
        ["python", "a.py"], run_id="r1", cwd=source, environ=dict(os.environ), now=moment
    )
    assert recorded.files is not None
    assert b"KEY=secret" not in recorded.files
    (source / "a.py").write_text("after\n")
    (source / "made.txt").write_text("made by the run\n")
    plan = plan_copy(recorded, tmp_path / "fork" / "work")
    make_copy(plan, recorded)
    assert (plan.kind, plan.warnings) == ("copy", ())
    assert (plan.cwd / "a.py").read_text() == "before\n"
    assert (plan.cwd / ".env").read_text() == "KEY=secret\n"
    assert os.access(plan.cwd / "sub" / "run.sh", os.X_OK)
    assert not (plan.cwd / "made.txt").exists()
