"""Spans as lines of JSON, as `tracelake export *.jsonl` writes them: JSON columns nested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.lines import json_text, read_objects
from tracelake.importers.rows import STORED, check_columns, events_of
from tracelake.model import from_iso
from tracelake.schema import SPANS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

_JSON = tuple(c.name for c in SPANS.columns if c.dtype == "json")
_TIMES = tuple(c.name for c in SPANS.columns if c.dtype == "timestamp")


def recognises(first: Mapping[str, Any]) -> bool:
    """Whether the first object of a file is a span's row."""
    return {"trace_id", "span_id", "start_time"} <= first.keys()


def read(paths: Sequence[Path], now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of every row.

    Raises:
        ImportFailed: A line is no row of a span.
        OSError: The file cannot be read.
    """
    (path,) = paths
    for where, found in read_objects(path):
        try:
            check_columns(found)
            events = events_of(_row(found), now=now)
        except (ValueError, OverflowError) as error:
            raise ImportFailed(f"{path}: {where}: {error}") from error
        for event in events:
            yield where, event


def _row(found: dict[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in found.items() if name not in STORED}
    for name in _TIMES:
        if isinstance(value := row.get(name), str):
            try:
                row[name] = from_iso(value)
            except ValueError as error:
                raise ValueError(f"{name} is not a time: {value[:60]!r}") from error
    for name in _JSON:
        if (value := row.get(name)) is not None:
            row[name] = json_text(value)
    return row
