"""What is written down about a program run, so that it can be run again.

Invariant: no secret is written: variables whose names or values tell of one are left out, by name;
so are such words of the command, and changes and files that the user's patterns match.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError
from tracelake.replay.secrets import WITHHELD, Secrets
from tracelake.replay.snapshot import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

#: Set anew by whoever launches, so worthless in a record.
_VOLATILE = re.compile(
    r"(_|PWD|OLDPWD|SHLVL|TERM.*|COLUMNS|LINES|SSH_.*|DBUS_.*|XDG_.*|DISPLAY|WINDOWID|PS1|"
    r"LS_COLORS|TRACELAKE_.*|ANTHROPIC_BASE_URL|OPENAI_BASE_URL|OPENAI_API_BASE)\Z"
)
_PATCH_MAX_BYTES = 5_000_000
#: Of a repository that is kept whole with each of its runs.
_WHOLE_MAX_BYTES = 2_000_000
_GIT_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a program; a row of the table `runs`.

    Attributes:
        run_id: Id, also the id of its trace.
        command: argv.
        environment: Variables worth having on a second run; `left_out` lists the names withheld.
        git: `head`, `branch`, `patch` (of tracked files against head), `untracked` (names);
            empty outside a repository.
        client: `pid`, `user`, `host`.
        fork: How a fork was made and how it ended, see `tracelake.replay.fork`; None otherwise.
        files: The files that git does not hold, see `tracelake.replay.snapshot`; None where they
            are too large. Of a small repository all files (`files_complete` in `git`).
    """

    run_id: str
    name: str
    command: tuple[str, ...]
    cwd: str
    start_time: datetime
    environment: dict[str, Any] = field(default_factory=dict[str, Any])
    git: dict[str, Any] = field(default_factory=dict[str, Any])
    client: dict[str, Any] = field(default_factory=dict[str, Any])
    end_time: datetime | None = None
    exit_code: int | None = None
    forked_from_run_id: str | None = None
    fork: dict[str, Any] | None = None
    files: bytes | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> RunRecord:
        """The record of a row of the table `runs`, JSON columns as text."""
        return cls(
            run_id=row["run_id"],
            name=row["name"] or "",
            command=tuple(json.loads(row["command"] or "[]")),
            cwd=row["cwd"] or "",
            start_time=row["start_time"],
            environment=json.loads(row["environment"] or "{}"),
            git=json.loads(row["git"] or "{}"),
            client=json.loads(row["client"] or "{}"),
            end_time=row["end_time"],
            exit_code=row["exit_code"],
            forked_from_run_id=row["forked_from_run_id"],
            fork=json.loads(row.get("fork") or "null"),
            files=row.get("files"),
        )

    @property
    def has_all_files(self) -> bool:
        """Whether the record holds every file that the run started from."""
        return self.files is not None and (not self.git or bool(self.git.get("files_complete")))

    def check_command(self) -> None:
        """See to it that the command can be launched again.

        Raises:
            ConfigError: None was recorded, or part of it was withheld.
        """
        if not self.command:
            raise ConfigError("no command is recorded with this run")
        if any(WITHHELD in word for word in self.command):
            raise ConfigError(
                "the command held a secret, which is not recorded: start it again as "
                "`tracelake run -- CMD`, with the secret in a variable of the environment"
            )

    def environ(self, present: Mapping[str, str]) -> dict[str, str]:
        """The environment for running it again: the present one, the recorded variables on top."""
        variables: dict[str, Any] = self.environment.get("variables") or {}
        environ = {**present, **{name: str(value) for name, value in variables.items()}}
        environ.pop("OLDPWD", None)
        environ.pop("PWD", None)
        return environ

    def to_row(self) -> dict[str, Any]:
        """The columns of the table `runs`; JSON columns as values."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "command": list(self.command),
            "cwd": self.cwd,
            "environment": self.environment,
            "git": self.git,
            "client": self.client,
            "exit_code": self.exit_code,
            "forked_from_run_id": self.forked_from_run_id,
            "fork": self.fork,
            "files": self.files,
        }


def capture_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The variables to keep, and the names of those withheld as likely secrets.

    Returns:
        `{"variables": {name: value}, "left_out": [name, …]}`.
    """
    secrets = Secrets(environ)
    kept: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in sorted(environ.items()):
        if _VOLATILE.match(name):
            continue
        if secrets.is_secret_variable(name, value):
            left_out.append(name)
        else:
            kept[name] = value
    return {"variables": kept, "left_out": left_out}


def capture_git(cwd: Path, secrets: Secrets) -> dict[str, Any]:
    """Head, branch, patch of tracked files and names of untracked ones; empty outside a repository.

    A patch beyond 5 MB is left out and `patch_too_large` is true; so is one that the user's
    patterns match, with `patch_withheld`.
    """
    head = _git(cwd, "rev-parse", "HEAD")
    if head is None:
        return {}
    root = Path((_git(cwd, "rev-parse", "--show-toplevel") or str(cwd)).strip())
    patch = _git(cwd, "diff", "HEAD", "--binary") or ""
    too_large = len(patch.encode("utf-8", "replace")) > _PATCH_MAX_BYTES
    withheld = not too_large and secrets.is_redacted(patch)
    return {
        "head": head.strip(),
        "branch": (_git(cwd, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "root": str(root),
        "patch": "" if too_large or withheld else patch,
        "patch_too_large": too_large or withheld,
        "patch_withheld": withheld,
        "untracked": (_git(root, "ls-files", "--others", "--exclude-standard") or "").splitlines(),
    }


def _git(cwd: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def capture_run(
    command: Sequence[str],
    *,
    run_id: str,
    cwd: Path,
    environ: Mapping[str, str],
    now: datetime,
    name: str | None = None,
    forked_from_run_id: str | None = None,
) -> RunRecord:
    """Everything about a run that is known before it starts."""
    secrets = Secrets(environ)
    git = capture_git(cwd, secrets)
    files = _files_of(cwd, git, secrets)
    return RunRecord(
        run_id=run_id,
        name=name or _name_of(secrets.command(command)),
        command=secrets.command(command),
        cwd=str(cwd),
        start_time=now,
        environment=capture_environment(environ),
        git=git,
        client={"user": getpass.getuser(), "host": socket.gethostname(), "pid": os.getpid()},
        forked_from_run_id=forked_from_run_id,
        files=files,
    )


def _files_of(cwd: Path, git: dict[str, Any], secrets: Secrets) -> bytes | None:
    """The files to keep: of a small repository all, of a larger one those that git does not hold.

    Notes in `git` whether they are all of them: the run can then be forked where there is no clone.
    """
    if not git:
        return pack(cwd, is_secret=secrets.is_redacted)
    root = Path(str(git["root"]))
    untracked = [str(name) for name in git["untracked"]]
    tracked = [name for name in (_git(root, "ls-files", "-z") or "").split("\0") if name]
    is_secret, names = secrets.is_redacted, [*tracked, *untracked]
    whole = pack(root, names, is_secret=is_secret, total_max_bytes=_WHOLE_MAX_BYTES)
    # links and submodules are not packed
    others = any((root / name).is_symlink() or (root / name).is_dir() for name in names)
    git["files_complete"] = whole is not None and not others
    if git["files_complete"]:
        return whole
    return pack(root, untracked, is_secret=is_secret) if untracked else None


def _name_of(command: Sequence[str]) -> str:
    words = [os.path.basename(command[0]), *command[1:]]  # noqa: PTH119 - a name, not a path
    return " ".join(words)[:120]
