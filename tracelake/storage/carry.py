"""The carry: what one seal hands on to the next.

    carry_path(hot, number, suffix)
    write_carry(hot, number, suffix, offsets, body)     before the commit that names the number
    read_head(path) -> (offsets, where the body begins)
    consumed(hot, snapshot, key, suffix) -> Consumed    how far each segment is sealed
    missing(path) -> LakeError                          what to raise where there is none

A carry begins with one line of JSON, `{"offsets": {segment: bytes}, "body": bytes}`: how far the
commit has read each segment that was there, and how long what follows is. That is what has not
ended yet: events (`.jsonl`) or records (`.xlog`) in the form of their segments.

Invariants:
- A commit names one carry by its number, and with it the offsets: rows and what they were read from
  are one atomic fact, while the table's log remembers one number for ever, however many segments
  come and go.
- Carries of a lake of schema version 1 have no such line; the offsets stand in the table's log.
  Hot folders had no names then.
- Without its first line a carry is damage, and nothing is guessed of what was sealed; of a body
  that was cut what is there counts, and the log says so.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tracelake.errors import LakeError
from tracelake.storage import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracelake.storage.table import Snapshot

log = logging.getLogger(__name__)

_HEAD = b'{"offsets":'
#: Application id of the carry of a hot folder without a name of its own.
OLD_KEY = "carry"


@dataclass(frozen=True, slots=True)
class Consumed:
    """How far the segments of a hot folder are sealed, by one commit.

    Attributes:
        number: Of the carry; 0 before the first seal.
        body: Where the carry's body begins, bytes.
        offsets: By name of the segment, bytes; None where `snapshot` tells them (schema version 1).
        snapshot: The version of the table that the commit made.
    """

    number: int
    body: int
    offsets: Mapping[str, int] | None
    snapshot: Snapshot

    def of(self, name: str) -> int:
        """Offset up to which a segment is sealed."""
        if self.offsets is None:
            return self.snapshot.offset(name)
        return self.offsets.get(name, 0)


def carry_path(hot: Path, number: int, suffix: str = ".jsonl") -> Path:
    """The carry that belongs to one commit."""
    return hot / f"carry-{number}{suffix}"


def write_carry(
    hot: Path, number: int, suffix: str, offsets: Mapping[str, int], body: bytes
) -> None:
    """Write a carry, on the disk when this returns."""
    said = {"offsets": offsets, "body": len(body)}
    head = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
    files.atomic_write(carry_path(hot, number, suffix), head + body)


def read_head(path: Path) -> tuple[dict[str, int] | None, int]:
    """Offsets of a carry, None in one of schema version 1, and where its body begins.

    Raises:
        FileNotFoundError: The carry is gone: there is a newer one.
        LakeError: Its first line is torn.
    """
    with path.open("rb") as file:
        if file.read(len(_HEAD)) != _HEAD:
            return None, 0
        file.seek(0)
        line = file.readline()
        there = file.seek(0, 2) - len(line)
    try:
        head = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _damaged(path) from error
    if (told := head.get("body", there)) != there:
        log.error("%s is damaged: of %d bytes after its first line %d are left", path, told, there)
    return head["offsets"], len(line)


def why_no_carry(path: Path, key: str) -> str | None:
    """What is wrong with the carry of the newest commit, None when nothing."""
    try:
        with path.open("rb") as file:
            line = file.readline()
            there = file.seek(0, 2) - len(line)
        if key == OLD_KEY and not line.startswith(_HEAD):
            return None
        told = orjson.loads(line).get("body", there)
    except FileNotFoundError:
        return "the carry is missing"
    except (orjson.JSONDecodeError, AttributeError):
        return "the carry is damaged"
    return None if told == there else f"the carry has {there} bytes of {told}"


def missing(path: Path) -> LakeError:
    """What to raise where the carry of the newest commit is not there."""
    return LakeError(f"{path} is missing, without which nobody knows what was sealed: restore it")


def _damaged(path: Path) -> LakeError:
    return LakeError(f"{path} is damaged, nobody knows what was sealed: restore it")


def consumed(hot: Path, snapshot: Snapshot, key: str, suffix: str = ".jsonl") -> Consumed:
    """How far a version of a table has consumed the segments of a hot folder.

    Args:
        hot: The hot folder.
        snapshot: Version of the table that the segments are sealed into.
        key: Application id of the folder's carry.
        suffix: Of the segments.

    Raises:
        FileNotFoundError: The carry of that version is gone: a newer version exists.
        LakeError: It does not say what was consumed: it is damaged.
    """
    number = snapshot.offset(key)
    if not number:
        return Consumed(0, 0, {}, snapshot)
    path = carry_path(hot, number, suffix)
    offsets, body = read_head(path)
    if offsets is None and key != OLD_KEY:
        raise _damaged(path)
    return Consumed(number, body, offsets, snapshot)
