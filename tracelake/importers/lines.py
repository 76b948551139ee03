"""Lines of JSON out of a file, bounded.

    read_objects(path) -> iterator of (where, object)      `where` reads as `line 17`

A file that is one JSON document, an object or a list of objects, is read too.
    json_text(value) -> str

Invariant: a number that a line holds is the number that is read, however many digits it has.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from tracelake.errors import ImportFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Longest line that is read, and largest event that is written; as much as one OTLP body may hold.
LINE_BYTES = 64 << 20
#: What orjson may read as a float instead of the integer that it is.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON object of every line; empty lines are passed over.

    Raises:
        ImportFailed: A line is no JSON object, or longer than `LINE_BYTES`.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES + 1):
            number += 1
            if len(line) > LINE_BYTES:
                raise ImportFailed(f"{path}: line {number} is longer than {LINE_BYTES >> 20} MB")
            text = line.strip()
            if text[:1] == b"[" or text == b"{":  # no object ends on this line
                rest = file.read(LINE_BYTES + 1)
                yield from _document(line + rest, path, number)
                return
            if text:
                yield f"line {number}", _object(text, path, number)


def json_text(value: Any) -> str:
    """A value out of such a line as JSON text, compact."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _document(text: bytes, path: Path, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if len(text) > LINE_BYTES:
        raise ImportFailed(f"{path} is longer than {LINE_BYTES >> 20} MB")
    try:
        found = orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImportFailed(f"{path}: line {number} is no JSON: {error}") from error
    objects = found if isinstance(found, list) else [found]
    for place, one in enumerate(objects, 1):
        if not isinstance(one, dict):
            raise ImportFailed(f"{path}: line {number} is no JSON object")
        yield f"item {place}" if len(objects) > 1 else "the document", one


def _object(text: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        value = orjson.loads(text)  # strict, as the standard library is not
        if _LONG_INTEGER.search(text):
            value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImportFailed(f"{path}: line {number} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ImportFailed(f"{path}: line {number} is no JSON object")
    return value
