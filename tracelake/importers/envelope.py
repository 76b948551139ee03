"""Events as lines of JSON: the envelope that writers append, as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.importers.lines import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


def recognises(first: Mapping[str, Any]) -> bool:
    """Whether the first object of a file is an event."""
    return {"event_type", "trace_id", "span_id"} <= first.keys()


def read(paths: Sequence[Path], _now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events as they stand; whoever appends them checks the envelope.

    Raises:
        ImportFailed: A line is no JSON object.
        OSError: The file cannot be read.
    """
    (path,) = paths
    return read_objects(path)
