"""What is written down about a program run, so that it can be run again.

Invariant: no secret is written: variables whose names tell of one are left out, by name.
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

from tracelake.replay.snapshot import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|COOKIE|SESSION|PRIVATE|DSN|_URL$|_URI$",
    re.IGNORECASE,
)
#: Set anew by whoever launches, so worthless in a record.
_VOLATILE = re.compile(
    r"(_|PWD|OLDPWD|SHLVL|TERM.*|COLUMNS|LINES|SSH_.*|DBUS_.*|XDG_.*|DISPLAY|WINDOWID|PS1|"
    r"LS_COLORS|TRACELAKE_.*|ANTHROPIC_BASE_URL|OPENAI_BASE_URL|OPENAI_API_BASE)\Z"
)
_URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
_PATCH_MAX_BYTES = 5_000_000
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
            are too large.
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
    kept: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in sorted(environ.items()):
        if _VOLATILE.match(name):
            continue
        if _SECRET.search(name) or _URL_WITH_PASSWORD.search(value):
            left_out.append(name)
        else:
            kept[name] = value
    return {"variables": kept, "left_out": left_out}


def capture_git(cwd: Path) -> dict[str, Any]:
    """Head, branch, patch of tracked files and names of untracked ones; empty outside a repository.

    A patch beyond 5 MB is left out and `patch_too_large` is true.
    """
    head = _git(cwd, "rev-parse", "HEAD")
    if head is None:
        return {}
    root = Path((_git(cwd, "rev-parse", "--show-toplevel") or str(cwd)).strip())
    patch = _git(cwd, "diff", "HEAD", "--binary") or ""
    too_large = len(patch.encode()) > _PATCH_MAX_BYTES
    return {
        "head": head.strip(),
        "branch": (_git(cwd, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "root": str(root),
        "patch": "" if too_large else patch,
        "patch_too_large": too_large,
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
    git = capture_git(cwd)
    untracked = [str(name) for name in git["untracked"]] if git else None
    root = Path(str(git["root"])) if git.get("root") else cwd
    return RunRecord(
        run_id=run_id,
        name=name or _name_of(command),
        command=tuple(command),
        cwd=str(cwd),
        start_time=now,
        environment=capture_environment(environ),
        git=git,
        client={"user": getpass.getuser(), "host": socket.gethostname(), "pid": os.getpid()},
        forked_from_run_id=forked_from_run_id,
        files=None if untracked == [] else pack(root, untracked),
    )


def _name_of(command: Sequence[str]) -> str:
    words = [os.path.basename(command[0]), *command[1:]]  # noqa: PTH119 - a name, not a path
    return " ".join(words)[:120]
