"""The files of a folder before and after, and what changed."""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Folders that tools fill and nobody reads.
IGNORED = frozenset(
    {".git", "__pycache__", ".venv", "venv", "node_modules", ".tox", ".mypy_cache", ".pytest_cache"}
)
#: Files beyond this are told apart by their hash alone.
TEXT_MAX_BYTES = 1_000_000
#: And the contents of a folder beyond this in sum.
CONTENT_MAX_BYTES = 64_000_000
DIFF_MAX_CHARS = 200_000


@dataclass(frozen=True, slots=True)
class FileState:
    """One file: its hash, and its content where that is small enough to be kept."""

    digest: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """What became of one file.

    Attributes:
        path: Relative to the folder.
        diff: Unified diff; empty for binary or large files.
    """

    path: str
    status: Literal["added", "changed", "removed"]
    diff: str = ""

    def to_json(self) -> dict[str, str]:
        """As it is stored with the fork."""
        return {"path": self.path, "status": self.status, "diff": self.diff}


def walk(root: Path) -> Iterator[Path]:
    """Every regular file below a folder, without links, ignored folders and lakes, sorted."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in IGNORED and not is_lake(Path(folder, name))
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def is_lake(folder: Path) -> bool:
    """Whether a folder is a lake: it grows with every call and belongs to no program."""
    return (folder / "hot" / ".collector.lock").exists()


def read_tree(root: Path) -> dict[str, FileState]:
    """The files below a folder by relative path."""
    found: dict[str, FileState] = {}
    kept = 0
    for path in walk(root):
        try:
            content = path.read_bytes()
        except OSError:
            continue  # it went away, or is not ours to read: neither is a change to show
        keep = len(content) <= TEXT_MAX_BYTES and kept + len(content) <= CONTENT_MAX_BYTES
        kept += len(content) if keep else 0
        digest = hashlib.sha256(content).hexdigest()
        found[path.relative_to(root).as_posix()] = FileState(digest, content if keep else None)
    return found


def changes(before: Mapping[str, FileState], after: Mapping[str, FileState]) -> list[FileChange]:
    """What differs between two states of a folder, by path."""
    found: list[FileChange] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        status = "added" if old is None else "removed" if new is None else "changed"
        found.append(FileChange(path, status, _diff(path, old, new)))
    return found


def _diff(path: str, old: FileState | None, new: FileState | None) -> str:
    texts: list[list[str]] = []
    for state in (old, new):
        content = b"" if state is None else state.content
        if content is None or b"\0" in content:
            return ""
        texts.append(content.decode("utf-8", "replace").splitlines(keepends=True))
    names = (f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null")
    lines = difflib.unified_diff(texts[0], texts[1], *names)
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return text if len(text) <= DIFF_MAX_CHARS else text[:DIFF_MAX_CHARS] + "…\n"
