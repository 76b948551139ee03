"""Which formats there are, and which one a file is in.

files_at(path) -> [Source]      one file, or those of a folder that can be read, by name
together(sources) -> [Source]   those that may tell of one trace as one
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tracelake.errors import ImportFailed
from tracelake.importers import (
    calls_sqlite,
    envelope,
    interactions,
    otlp_lines,
    spans_jsonl,
    spans_parquet,
)
from tracelake.importers.lines import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


class Read(Protocol):
    """Reads files as events, each with where it stands there, for messages."""

    def __call__(
        self, paths: Sequence[Path], now: datetime, /
    ) -> Iterator[tuple[str, dict[str, Any]]]:
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
        is_joint: Whether several files may tell of one trace, so that they are read together.
    """

    name: str
    read: Read
    recognises: Callable[[Mapping[str, Any]], bool] | None = None
    is_bundle: bool = False
    is_joint: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import, or several that are read together.

    Attributes:
        path: The file, or the folder of the files.
        paths: The files, by name.
    """

    path: Path
    format: Format
    paths: tuple[Path, ...]


PARQUET = Format("spans as Parquet", spans_parquet.read, is_bundle=True)
LINES = (
    Format("events as JSONL", envelope.read, envelope.recognises),
    Format("spans as JSONL", spans_jsonl.read, spans_jsonl.recognises),
    Format("calls as JSONL", interactions.read, interactions.recognises, is_joint=True),
    Format("OpenTelemetry as JSON", otlp_lines.read, otlp_lines.recognises),
)
SQLITE = Format("calls in SQLite", calls_sqlite.read)
READ = ", ".join(one.name for one in (PARQUET, *LINES, SQLITE))
#: Beginnings of files that people try, and that are not read.
_ALIEN = {calls_sqlite.MAGIC: "a database without a table llm_calls", b"\x1f\x8b": "compressed"}
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
            return [Source(path, _format_of(path) or _refuse(path), (path,))]
        found: list[Source] = []
        for file in sorted(one for one in path.iterdir() if one.is_file()):
            if (format_ := _format_of(file)) is not None:
                found.append(Source(file, format_, (file,)))
            else:
                skipped(file)
    except OSError as error:
        raise ImportFailed(f"cannot read {error.filename or path}: {error.strerror}") from error
    if not found:
        raise ImportFailed(f"{path} holds no file that import reads: {READ}")
    return together(found)


def together(sources: Iterable[Source]) -> list[Source]:
    """The same files, those of one source that may tell of one trace together."""
    found: dict[Any, Source] = {}
    for source in sources:
        key = source.format.name if source.format.is_joint else source.path
        other = found.get(key)
        if other is None:
            found[key] = source
        else:
            found[key] = Source(source.path.parent, source.format, (*other.paths, *source.paths))
    return list(found.values())


def _format_of(path: Path) -> Format | None:
    """The format of a file, None for one that is in none of them.

    Raises:
        ImportFailed: It is named `*.jsonl` and does not begin with a line of JSON.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(spans_parquet.MAGIC):
        return PARQUET
    if head.startswith(calls_sqlite.MAGIC):
        return SQLITE if calls_sqlite.recognises(path) else None
    if head.lstrip()[:1] not in {b"{", b"["} and path.suffix != ".jsonl":
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
