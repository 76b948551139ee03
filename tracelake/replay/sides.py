"""The two sides of a comparison as they are read from the lake.

A fork works in a copy, so its texts name another folder than the original's. Here the copy's folder
is put back to the recorded one, also for forks of forks: what is left differs in fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.replay.compare import Comparison, compare
from tracelake.replay.rebind import Substitution
from tracelake.replay.source import find_run, spans_of

if TYPE_CHECKING:
    from tracelake.lake import Lake

_GENERATIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Side:
    """One trace of a comparison.

    Attributes:
        trace: Its row of `traces`.
        spans: Its spans in start order, with the recorded folders.
    """

    trace: dict[str, Any]
    spans: list[dict[str, Any]]

    @property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """The spans by id, in start order."""
        return {str(span["span_id"]): span for span in self.spans}


def read_side(lake: Lake, trace_id: str) -> Side | None:
    """One side of a comparison; None while the trace has no spans."""
    found = lake.answer(lambda: lake.traces().filter(trace_id=trace_id).collect())
    rows = found.rows(named=True)
    spans = spans_of(lake, trace_id)
    if not rows or not spans:
        return None
    put_back = Substitution(folders_of(lake, trace_id))
    if not put_back:
        return Side(rows[0], spans)
    return Side(put_back.value(rows[0]), [put_back.value(span) for span in spans])


def compare_sides(before: Side, after: Side) -> Comparison:
    """Two traces side by side."""
    return compare(before.trace, before.spans, after.trace, after.spans)


def folders_of(lake: Lake, trace_id: str) -> dict[str, str]:
    """The folders that a fork worked in, and the recorded ones that they stand for."""
    found: dict[str, str] = {}
    wanted: str | None = trace_id
    for _ in range(_GENERATIONS_MAX):
        record = find_run(lake, wanted) if wanted else None
        if record is None or record.fork is None:
            break
        paths: dict[str, str] = record.fork.get("paths") or {}
        parent = {new: old for old, new in reversed(list(paths.items()))}
        above = {folder: parent.get(stands_for, stands_for) for folder, stands_for in found.items()}
        found = {**parent, **above}
        wanted = record.fork.get("trace_id")
    return found
