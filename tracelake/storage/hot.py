"""The hot tier as one reader sees it: unsealed events folded to spans, kept up to date.

    HotView(location).refresh(segments, spans_snapshot)
        .spans       {(trace_id, span_id): FoldedSpan}
        .by_trace    {trace_id: set of span ids}
        .carried     keys from the carry: they have no sealed row
        .changed     keys that changed since `take_changed`
        .generation  rises whenever a seal moved the base; everything is new then

Invariants:
- The caller lists the segments before it loads the snapshot: whatever the snapshot's commit has
  consumed is skipped, everything else is read.
- A refresh reads only bytes that are new since the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.storage.carry import Consumed, carry_path, consumed
from tracelake.storage.claim import carry_key
from tracelake.storage.codec import decode_carry, decode_events
from tracelake.storage.fold import FoldedSpan, Key, fold_event
from tracelake.storage.segment import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from tracelake.config import Location
    from tracelake.storage.table import Snapshot


class Moved(Exception):  # noqa: N818 - a signal to look again, never seen by a caller
    """A seal moved the base while it was being read."""


class HotView:
    """Unsealed events of one hot folder, folded."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._base: tuple[str, int] | None = None
        self._consumed: Consumed | None = None
        self._offsets: dict[str, int] = {}
        self.generation = 0
        self.spans: dict[Key, FoldedSpan] = {}
        self.by_trace: dict[str, set[str]] = {}
        self.carried: set[Key] = set()
        self.changed: set[Key] = set()

    def refresh(self, segments: Mapping[str, Path], snapshot: Snapshot) -> None:
        """Take in what is new.

        Raises:
            Moved: A seal happened meanwhile: list and load again.
        """
        key = carry_key(self._location)
        base = (key, snapshot.offset(key))
        sealed = self._consumed
        if base != self._base or sealed is None:
            sealed = self._rebase(base, snapshot)
        for name in self._offsets.keys() - segments.keys():
            del self._offsets[name]
        for name, path in segments.items():
            offset = self._offsets.get(name)
            if offset is None:
                offset = sealed.of(name)
            try:
                if path.stat().st_size <= offset:
                    self._offsets[name] = offset
                    continue
                lines, after = read_segment(path, offset)
            except FileNotFoundError as error:
                self._base = None
                raise Moved(name) from error
            self._take(decode_events(lines, name, offset))
            self._offsets[name] = after

    def take_changed(self) -> set[Key]:
        """Keys that changed since the last call."""
        changed, self.changed = self.changed, set()
        return changed

    def _rebase(self, base: tuple[str, int], snapshot: Snapshot) -> Consumed:
        key, number = base
        carried = b""
        try:
            sealed = consumed(self._location.hot, snapshot, key)
            if number:
                carried = carry_path(self._location.hot, number).read_bytes()
        except FileNotFoundError as error:
            self._base = None
            raise Moved(f"carry {number}") from error
        self.spans, self.by_trace, self._offsets, self.changed = {}, {}, {}, set()
        self.generation += 1
        self._take(decode_carry(carried[sealed.body :]))
        self.carried = set(self.spans)
        self._base, self._consumed = base, sealed
        return sealed

    def _take(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            key = (event["trace_id"], event["span_id"])
            self.spans[key] = fold_event(self.spans.get(key), event)
            self.by_trace.setdefault(key[0], set()).add(key[1])
            self.changed.add(key)
