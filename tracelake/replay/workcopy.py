"""Where a fork works: a copy of the recorded directory, so that the original stays as it is.

Four kinds:

- git: a clone that shares the objects of the recorded repository, at the recorded commit, with the
  recorded changes applied. Not a `git worktree`: that would write into the original's `.git`, and
  what the program commits would land there.
- copy: the folder with the files kept in the record, also where the folder itself is not here; as
  it is now where they were too large.
- present: the folder as it is now, to try changed code against recorded answers.
- in_place: the recorded directory itself, only when asked for.

Invariant: making a copy changes nothing in the recorded directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tracelake.errors import ConfigError, LakeError
from tracelake.replay.snapshot import unpack
from tracelake.replay.spellings import from_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracelake.replay.record import RunRecord

CopyKind = Literal["git", "copy", "present", "in_place"]

#: A folder beyond this is not copied without being asked for.
COPY_MAX_BYTES = 1_000_000_000
#: Ignored files up to this are taken along into a git copy (`.env` and the like).
_IGNORED_MAX_BYTES = 1_000_000
_GIT_TIMEOUT_S = 120.0
#: Folders of installed packages: linked, since copying would take long and gain nothing.
_LINKED = frozenset({".venv", "venv", "env", "node_modules", ".tox"})
_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """How the working directory of a fork is made.

    Attributes:
        source: Recorded working directory.
        root: What is copied: the repository's root, or the directory.
        cwd: Where the program will run.
        why: One line for the user.
        warnings: What will not be as it was.
    """

    kind: CopyKind
    source: Path
    root: Path
    target: Path
    cwd: Path
    why: str
    warnings: tuple[str, ...] = field(default_factory=tuple)

    @property
    def paths(self) -> dict[str, str]:
        """Recorded folders and what stands for them in the fork."""
        if self.kind == "in_place":
            return {}
        pairs = {str(self.root): str(self.target), str(self.source): str(self.cwd)}
        real = {str(self.root.resolve()): str(self.target)}
        found = {old: new for old, new in {**real, **pairs}.items() if old != new}
        home = Path.home()
        short = {from_home(old, home): from_home(new, home) or new for old, new in found.items()}
        return {**found, **{old: new for old, new in short.items() if old is not None}}

    def words(self, command: Sequence[str]) -> list[str]:
        """A command line with the recorded folders replaced where the copy has such a file."""
        return [self._word(word) for word in command]

    def _word(self, word: str) -> str:
        for old, new in self.paths.items():
            if word == old or word.startswith(old + os.sep):
                moved = new + word[len(old) :]
                return moved if Path(moved).exists() else word
        return word


def plan_copy(record: RunRecord, target: Path, kind: CopyKind | None = None) -> CopyPlan:
    """Choose how to make the working directory of a fork.

    Args:
        record: The recorded run.
        target: Where a copy goes, under the name of what is copied, since programs tell the name
            of the directory they work in; must not exist.
        kind: What the user asked for; None chooses.

    Raises:
        ConfigError: The recorded directory is gone or too large for what is asked.
    """
    source = Path(record.cwd)
    if not source.is_dir():
        if kind in {None, "copy"} and record.has_all_files:
            return _plan_recorded(record, source, target)
        raise ConfigError(
            f"the recorded directory {source} does not exist here: replay on the machine that "
            "recorded the run, or as a conversation"
        )
    if kind == "in_place":
        why = "in the recorded directory itself: the program changes its files"
        return CopyPlan("in_place", source, source, source, source, why)
    git_problem = _git_problem(record)
    if kind == "git" and git_problem:
        raise ConfigError(f"no git copy can be made: {git_problem}")
    if kind in {None, "git"} and not git_problem:
        return _plan_git(record, source, target)
    if record.has_all_files and kind != "present":
        why = f"a copy of the folder as it was before the run ({git_problem or 'as asked'})"
        return replace(_plan_recorded(record, source, target), why=why)
    target /= source.name
    size = _size(source)
    if size > COPY_MAX_BYTES:
        raise ConfigError(
            f"{source} holds more than {COPY_MAX_BYTES // 1_000_000_000} GB: put it under git, "
            "or replay in place"
        )
    if kind == "present":
        return CopyPlan("present", source, source, target, target, "a copy of the folder as it is")
    warning = "files are copied as they are now, not as they were before the recorded run"
    why = f"a copy of the folder ({git_problem or 'as asked'})"
    return CopyPlan("copy", source, source, target, target, why, (warning,))


def make_copy(plan: CopyPlan, record: RunRecord, *, leave_out: Path | None = None) -> None:
    """Make the working directory.

    Args:
        plan: What `plan_copy` chose.
        record: The recorded run, for its patch.
        leave_out: A folder inside the source that is not copied (the lake itself).

    Raises:
        LakeError: It could not be made; nothing of it is left.
    """
    if plan.kind == "in_place":
        return
    try:
        if plan.kind == "git":
            _clone(plan, record)
        elif plan.kind == "copy" and record.files is not None and record.has_all_files:
            plan.target.mkdir(parents=True)
            unpack(record.files, plan.target, present=plan.root)
            plan.cwd.mkdir(parents=True, exist_ok=True)
            _link_packages(plan)
        else:
            _copy_folder(plan.root, plan.target, leave_out)
            _link_packages(plan)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(plan.target, ignore_errors=True)
        raise LakeError(f"the working copy could not be made: {error}") from error
    except LakeError:
        shutil.rmtree(plan.target, ignore_errors=True)
        raise


def _git_problem(record: RunRecord) -> str | None:
    """Why no git copy can be made, or None."""
    git = record.git
    if not git.get("head"):
        return "the directory was not in a git repository"
    if git.get("patch_withheld"):
        return "the recorded changes hold a secret and were not kept"
    if git.get("patch_too_large"):
        return "the recorded changes were too large to keep"
    root = Path(str(git.get("root") or ""))
    if not root.is_dir():
        return f"the repository {root} does not exist here"
    if _git(root, "cat-file", "-e", f"{git['head']}^{{commit}}", check=False) is None:
        return f"commit {str(git['head'])[:10]} is not in the repository any more"
    return None


def _plan_recorded(record: RunRecord, source: Path, target: Path) -> CopyPlan:
    """A copy out of the record alone."""
    root = Path(str(record.git.get("root") or source))
    target /= root.name
    inside = source.relative_to(root) if source.is_relative_to(root) else Path()
    why = f"a copy of the recorded files ({source} does not exist here)"
    return CopyPlan("copy", source, root, target, target / inside, why)


def _plan_git(record: RunRecord, source: Path, target: Path) -> CopyPlan:
    root = Path(str(record.git["root"]))
    target /= root.name
    inside = source.resolve().relative_to(root.resolve())
    warnings: list[str] = []
    if _untracked(record) and record.files is None:
        warnings.append("untracked files were too large to keep: they are copied as they are now")
    if (root / ".gitmodules").exists():
        warnings.append("submodules are not filled")
    patched = " with the recorded changes" if record.git.get("patch") else ""
    why = f"a git copy at commit {str(record.git['head'])[:10]}{patched}"
    return CopyPlan("git", source, root, target, target / inside, why, tuple(warnings))


def _untracked(record: RunRecord) -> list[str]:
    names = record.git.get("untracked") or []
    return [str(name) for name in names]


def _clone(plan: CopyPlan, record: RunRecord) -> None:
    plan.target.parent.mkdir(parents=True, exist_ok=True)
    head, branch = str(record.git["head"]), str(record.git.get("branch") or "")
    words = ["clone", "--quiet", "--shared", "--no-checkout", str(plan.root), str(plan.target)]
    _git(plan.root, *words)
    # pushing must not reach the original
    _git(plan.target, "remote", "remove", "origin", check=False)
    if branch and branch != "HEAD":
        _git(plan.target, "checkout", "--quiet", "--force", "-B", branch, head)
    else:
        _git(plan.target, "checkout", "--quiet", "--force", "--detach", head)
    if patch := str(record.git.get("patch") or ""):
        _git(plan.target, "apply", "--binary", "--whitespace=nowarn", "-", stdin=patch)
    if record.files is not None:
        unpack(record.files, plan.target, present=plan.root)
    for name in _untracked(record):
        _take_along(plan.root / name, plan.target / name)
    ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory")
    for line in (_git(plan.root, *ignored, check=False) or "").splitlines():
        path = plan.root / line.rstrip("/")
        if path.name in _LINKED and path.is_dir():
            _link(path, plan.target / line.rstrip("/"))
        elif path.is_file() and path.stat().st_size <= _IGNORED_MAX_BYTES:
            _take_along(path, plan.target / line)
    plan.cwd.mkdir(parents=True, exist_ok=True)


def _take_along(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source, target_is_directory=True)


def _copy_folder(source: Path, target: Path, leave_out: Path | None) -> None:
    apart = {path.resolve() for path in (leave_out, target) if path is not None}

    def ignore(folder: str, names: list[str]) -> set[str]:
        found = {name for name in names if name in _LEFT_OUT or name in _LINKED}
        return found | {name for name in names if Path(folder, name).resolve() in apart}

    shutil.copytree(source, target, symlinks=True, ignore=ignore)


def _link_packages(plan: CopyPlan) -> None:
    for name in _LINKED:
        if (plan.root / name).is_dir():
            _link(plan.root / name, plan.target / name)


def _size(root: Path) -> int:
    """Bytes that a copy of a folder would take, counted up to the limit."""
    total = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LINKED | _LEFT_OUT]
        for name in names:
            path = Path(folder, name)
            total += path.lstat().st_size if path.is_symlink() or path.exists() else 0
        if total > COPY_MAX_BYTES:
            break
    return total


def _git(cwd: Path, *words: str, stdin: str | None = None, check: bool = True) -> str | None:
    """Output of a git command; None when it fails and `check` is off."""
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=_GIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    if check:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LakeError(f"git {words[0]} failed: {last}")
    return None
