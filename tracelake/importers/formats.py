"""Which formats there are, and which one a file is in.

files_at(path) -> [Source]      one file, or those of a folder that can be read, by name
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tracelake.errors import ImportFailed
from tracelake.importers import envelope, interactions, spans_jsonl, spans_parquet
from tracelake.importers.lines import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path


class Read(Protocol):
    """Reads a file as events, each with where it stands there, for messages."""

    def __call__(self, path: Path, now: datetime, /) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read it; raises `ImportFailed` for what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: Its name, for people.
        read: Its reader.
        recognises: Whether the first line's object is of this format; None: no lines of JSON.
        is_bundle: Whether it may hold further tables.
    """

    name: str
    read: Read
    recognises: Callable[[Mapping[str, Any]], bool] | None = None
    is_bundle: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import."""

    path: Path
    format: Format


PARQUET = Format("spans as Parquet", spans_parquet.read, is_bundle=True)
LINES = (
    Format("events as JSONL", envelope.read, envelope.recognises),
    Format("spans as JSONL", spans_jsonl.read, spans_jsonl.recognises),
    Format("LLM interactions as JSONL", interactions.read, interactions.recognises),
)
READ = ", ".join(one.name for one in (PARQUET, *LINES))
#: Beginnings of files that people try, and that are not read.
_ALIEN = {b"SQLite format 3\0": "a SQLite database", b"\x1f\x8b": "compressed"}
_HEAD_BYTES = 16


def files_at(path: Path, skipped: Callable[[Path], None] = lambda _: None) -> list[Source]:
    """What to import at a path.

    Args:
        path: A file, or a folder of which every file in one of the formats is meant.
        skipped: Told of each file of a folder that is in none.

    Returns:
        The files, by name.

    Raises:
        ImportFailed: There is nothing to import, or a file cannot be read.
    """
    try:
        if path.exists() and not (path.is_dir() or path.is_file()):
            raise ImportFailed(f"{path} is no file: a pipe cannot be read twice, save it first")
        if not path.is_dir():
            return [Source(path, _format_of(path) or _refuse(path))]
        found: list[Source] = []
        for file in sorted(one for one in path.iterdir() if one.is_file()):
            if (format_ := _format_of(file)) is not None:
                found.append(Source(file, format_))
            else:
                skipped(file)
    except OSError as error:
        raise ImportFailed(f"cannot read {error.filename or path}: {error.strerror}") from error
    if not found:
        raise ImportFailed(f"{path} holds no file that import reads: {READ}")
    return found


def _format_of(path: Path) -> Format | None:
    """The format of a file, None for one that is in none of them.

    Raises:
        ImportFailed: It is named `*.jsonl` and does not begin with a line of JSON.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(spans_parquet.MAGIC):
        return PARQUET
    if head.lstrip()[:1] != b"{" and path.suffix != ".jsonl":
        return None
    try:
        _, first = next(read_objects(path), ("", {}))
    except ImportFailed:
        if path.suffix == ".jsonl":
            raise
        return None
    return next(
        (one for one in LINES if one.recognises is not None and one.recognises(first)), None
    )


def _refuse(path: Path) -> Format:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    what = next((name for magic, name in _ALIEN.items() if head.startswith(magic)), None)
    if not head:
        what = "empty"
    raise ImportFailed(f"{path} is {what or 'of no known format'}: import reads {READ}")
