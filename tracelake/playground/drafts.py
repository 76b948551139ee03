"""Edits that no test has recorded yet, each draft a small file of its own.

    keep(folder, call, edits, kept) -> Kept     write them, under their id or under a new one
    read(folder, call, draft_id)                the edits that an id names, and when they were kept
    latest(folder, call) -> Kept | None         the last draft of a call, unread
    discard(folder, call, kept)                 take a draft away
    sweep(folder, now)                          take away what is old or too much

Invariants:
- A file is there whole or not at all; its time is when the edits were kept.
- What another session kept under the same id is never written over nor taken away.
- Nothing but the call is kept: no address that it is sent to and no key that it is sent with. Edits
  that a user's patterns keep off the disk are not kept, not even in part.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tracelake.errors import LakeError
from tracelake.playground.draft import PROVIDER_OF, Draft
from tracelake.redaction import Patterns
from tracelake.storage.drafts import prefix_of
from tracelake.storage.files import atomic_write, read_or_none, remove

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

#: Ids of the trace and the span that a draft edits, None for a prompt from scratch.
Call = tuple[str, str] | None
VERSION: Final = 1
DRAFTS_MAX: Final = 200
AGE_MAX: Final = timedelta(days=30)
DRAFT_BYTES_MAX: Final = 16_000_000
FOLDER_BYTES_MAX: Final = 256_000_000
NO_PATTERNS: Final = Patterns()
#: What a draft is made of, and of which JSON each part is.
_TYPES: Final[dict[str, Any]] = {
    "api": str,
    "provider": str,
    "system": str,
    "messages": (list, str, dict),
    "tools": (list, type(None)),
    "parameters": dict,
}
_ID = re.compile(r"[0-9a-f]{16}")
#: Sessions of one process must not write the same file at once.
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Edits:
    """A call under edit.

    Attributes:
        drafts: As it was left in each format that it came through, the last as it stands.
        values: What goes in the place of its `{{variables}}`, by name.
    """

    drafts: tuple[Draft, ...]
    values: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Kept:
    """A draft on the disk.

    Attributes:
        id: Names it in URLs.
        at: When it was kept, UTC.
        state: Differs when somebody else kept other edits under its id.
    """

    id: str
    at: datetime
    state: tuple[int, int]


def keep(
    folder: Path, call: Call, edits: Edits, kept: Kept | None, *, patterns: Patterns = NO_PATTERNS
) -> Kept:
    """Write edits to the disk.

    Args:
        folder: Of the drafts; made where it is not there.
        call: What is edited.
        edits: All of them.
        kept: What they go on from: its id is used again unless others have written there.
        patterns: What must not reach the disk.

    Raises:
        LakeError: They are too large, or hold what a pattern matches.
        OSError: The disk is full or the folder cannot be written.
    """
    data = _encoded(call, edits, patterns)
    with _LOCK:
        folder.mkdir(parents=True, exist_ok=True)
        # what was taken away meanwhile comes back, so that its link holds
        if kept is None or _state(_path(folder, call, kept.id)) not in {kept.state, None}:
            sweep(folder, datetime.now(UTC), room_bytes=len(data))
            draft_id = secrets.token_hex(8)
        else:
            draft_id = kept.id
        path = _path(folder, call, draft_id)
        atomic_write(path, data)
        return _kept(draft_id, path.stat())


def read(folder: Path, call: Call, draft_id: str) -> tuple[Kept, Edits]:
    """The edits of a call that an id names.

    Raises:
        LakeError: There are none, they are another call's, or the file is damaged; says which.
        OSError: The file cannot be read.
    """
    if not _ID.fullmatch(draft_id):
        raise LakeError("this link names no edits that could have been kept")
    path = _path(folder, call, draft_id)
    with _LOCK:
        data = read_or_none(path)
        kept = _kept(draft_id, path.stat()) if data is not None else None
    if data is None or kept is None:
        if any(folder.glob(f"*-{draft_id}.json")):
            raise LakeError("the edits of this link are those of another call")
        raise LakeError("the edits of this link are no longer kept")
    try:
        return kept, _decoded(call, data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LakeError("the edits of this link are damaged") from error


def latest(folder: Path, call: Call) -> Kept | None:
    """The draft of a call that was kept last; its file is not read.

    Raises:
        OSError: The folder cannot be read.
    """
    prefix = _name(call)
    found = [
        _kept(path.stem.removeprefix(prefix), status)
        for path, status in _files(folder, f"{prefix}*.json")
    ]
    return max(found, key=lambda kept: kept.at, default=None)


def discard(folder: Path, call: Call, kept: Kept) -> None:
    """Take a draft away, unless others have written to it since.

    Raises:
        OSError: It cannot be taken away.
    """
    with _LOCK:
        path = _path(folder, call, kept.id)
        if _state(path) == kept.state:
            remove(path)


def sweep(folder: Path, now: datetime, *, room_bytes: int = 0) -> None:
    """Take away what is older than `AGE_MAX`, and the oldest of what is too much.

    Args:
        folder: Of the drafts.
        now: Ages are counted to it.
        room_bytes: Make place for one more draft, of this size.

    Raises:
        OSError: Something cannot be taken away.
    """
    count, total = (1, room_bytes) if room_bytes else (0, 0)
    newest_first = sorted(_files(folder, "*"), key=lambda entry: entry[1].st_mtime_ns, reverse=True)
    for path, status in newest_first:
        count += 1
        total += status.st_size
        is_old = now - _moment(status) > AGE_MAX
        if is_old or count > DRAFTS_MAX or total > FOLDER_BYTES_MAX:
            remove(path)


def _encoded(call: Call, edits: Edits, patterns: Patterns) -> bytes:
    trace_id, span_id = call or (None, None)
    said = {"drafts": [_held(draft) for draft in edits.drafts], "values": edits.values}
    if patterns and patterns.event({"data": said})["data"] != said:
        raise LakeError("they hold what your patterns keep off the disk")
    try:
        whole = {"version": VERSION, "trace_id": trace_id, "span_id": span_id, **said}
        data = json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except RecursionError as error:
        raise LakeError("they are nested too deeply") from error
    if len(data) > DRAFT_BYTES_MAX:
        raise LakeError(f"they are larger than {DRAFT_BYTES_MAX // 1_000_000} MB")
    return data


def _decoded(call: Call, data: bytes) -> Edits:
    held = json.loads(data)
    if held["version"] != VERSION or (held["trace_id"], held["span_id"]) != (call or (None, None)):
        raise ValueError("another version, or another call")
    values = {str(name): str(value) for name, value in held["values"].items()}
    drafts = tuple(_draft(draft) for draft in held["drafts"])
    if not drafts:
        raise ValueError("no draft")
    return Edits(drafts, values)


def _held(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in _TYPES}


def _draft(held: dict[str, Any]) -> Draft:
    is_whole = held.keys() == _TYPES.keys() and all(
        isinstance(held[name], kind) for name, kind in _TYPES.items()
    )
    if not is_whole or held["api"] not in PROVIDER_OF:
        raise ValueError("no draft")
    return Draft(**held)


def _name(call: Call) -> str:
    """What the names of a call's files begin with."""
    if call is None:
        return "new-"
    trace_id, span_id = call
    return f"{prefix_of(trace_id)}{hashlib.blake2b(span_id.encode(), digest_size=6).hexdigest()}-"


def _path(folder: Path, call: Call, draft_id: str) -> Path:
    return folder / f"{_name(call)}{draft_id}.json"


def _files(folder: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.glob(pattern):
        try:
            yield path, path.stat()
        except FileNotFoundError:
            continue  # taken away meanwhile


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _kept(draft_id: str, status: os.stat_result) -> Kept:
    return Kept(draft_id, _moment(status), (status.st_ino, status.st_mtime_ns))


def _moment(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
