"""The ways in which programs write down a folder, beside its path as it is.

A client names its own folders and caches after the directory it works in, and tells them in its
prompts: `~/.claude/projects/-home-me-app`, `vscode://file/%2Fhome%2Fme%2Fapp`, `~/app`. A copy that
works elsewhere has to be recognised in each of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OTHER = re.compile(r"[^0-9A-Za-z]")
#: Below this many folders an encoded path is too short to be told from ordinary words.
_FOLDERS_MIN = 2


def _dashed(path: str) -> str:
    return _OTHER.sub("-", path)


def _slashes_dashed(path: str) -> str:
    return path.replace("/", "-")


def _underlined(path: str) -> str:
    return _OTHER.sub("_", path)


def _escaped(path: str) -> str:
    return quote(path, safe="/")


def _escaped_whole(path: str) -> str:
    return quote(path, safe="")


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    _escaped,
    _escaped_whole,
    _dashed,
    _slashes_dashed,
    _underlined,
)


def spelled(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Both of two absolute paths in each spelling that tells them apart from ordinary words.

    The paths as they are come not among them; of texts that are no such paths there is nothing.
    """
    if not all(_is_deep(path) for path in (old, new)):
        return
    for spell in _SPELLINGS:
        if (written := spell(old)) != old:
            yield written, spell(new)


def from_home(path: str, home: Path) -> str | None:
    """A path as a shell shows it, beginning with `~`; None for one outside of the home."""
    inner = Path(path)
    if inner == home or not inner.is_relative_to(home):
        return None
    return f"~/{inner.relative_to(home).as_posix()}"


def _is_deep(path: str) -> bool:
    return path.startswith("/") and len(Path(path).parts) > _FOLDERS_MIN
