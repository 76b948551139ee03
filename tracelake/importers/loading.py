"""From files to the lake: check every file, then append what they hold.

    load(lake, sources, now=…) -> [Imported]

Invariants:
- The first event is appended only once every file was read to its end and found good.
- Traces that are still marked as deleted are left out as a whole.
- What matches the lake's patterns to redact is not written.
- However large a file, what is hot stays bounded: it is sealed on the way.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed, InvalidEvent, LakeError, LakeLocked
from tracelake.importers import bundle
from tracelake.importers.lines import LINE_BYTES
from tracelake.model import from_iso
from tracelake.redaction import patterns_of
from tracelake.schema import EXCHANGES
from tracelake.storage.codec import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tracelake.importers.formats import Source
    from tracelake.lake import Lake
    from tracelake.storage.sealer import Sealer
    from tracelake.storage.tombstones import Tombstones

    #: Told what is done, how many events of it are, and how many there are in all, where known.
    Progress = Callable[[str, int, int | None], None]

_TOLD_EVERY = 500


@dataclass(frozen=True, slots=True)
class Imported:
    """What was imported of one file.

    Attributes:
        file: Its path.
        format: Name of its format.
        traces: Traces that it holds and that are in the lake now.
        spans: Spans of these that it holds.
        deleted: Further traces, which were deleted within the last day and stay away.
        others: New rows of further tables (`exchanges`, `runs`, …).
        withheld: Exchanges that were left out, since the lake has patterns to redact.
    """

    file: str
    format: str
    traces: int
    spans: int
    deleted: int
    others: dict[str, int] = field(default_factory=dict[str, int])
    withheld: int = 0


@dataclass(slots=True)
class _Found:
    """What the first reading of a file found.

    Attributes:
        spans: By hash of a span's key, whether an event of it says where it comes from.
        traces: Spans of each trace.
        deleted: Traces that stay away.
        events: Number of events.
    """

    spans: dict[int, bool] = field(default_factory=dict[int, bool])
    traces: dict[str, int] = field(default_factory=dict[str, int])
    deleted: set[str] = field(default_factory=set[str])
    events: int = 0

    def take(self, event: Mapping[str, Any], deleted: Tombstones) -> None:
        """Count an event that was found good."""
        trace_id, key = event["trace_id"], _key(event)
        if key not in self.spans:
            self.traces[trace_id] = self.traces.get(trace_id, 0) + 1
        self.spans[key] = self.spans.get(key, False) or _states_source(event)
        if deleted and deleted.hides(trace_id, _start(event)):
            self.deleted.add(trace_id)
        self.events += 1


def load(
    lake: Lake, sources: Sequence[Source], *, now: datetime, progress: Progress
) -> list[Imported]:
    """Import files: all of them or, if one is bad, none.

    Args:
        lake: Where to.
        sources: From `files_at`.
        now: The present, aware.
        progress: Told how far it is.

    Raises:
        ImportFailed: A file is bad; nothing was appended.
        LakeError: The lake could not be written; importing again goes on.
    """
    try:
        return _load(lake, sources, now, progress)
    except OSError as error:  # of the lake: what a file makes go wrong is ImportFailed
        raise LakeError(
            f"cannot write {error.filename or lake.hot}: {error.strerror}; what was imported "
            "stays, import again to go on"
        ) from error


def _load(
    lake: Lake, sources: Sequence[Source], now: datetime, progress: Progress
) -> list[Imported]:
    patterns = patterns_of(lake.location)
    deleted = _deleted(lake)
    found = [_check(source, now, deleted, progress) for source in sources]
    imported: list[Imported] = []
    for source, facts in zip(sources, found, strict=True):
        events = _told(_events(source, now, facts), f"importing {source.path}", facts, progress)
        _append(lake, map(patterns.event, events) if patterns else events)
        kept = {
            trace_id: n for trace_id, n in facts.traces.items() if trace_id not in facts.deleted
        }
        report = Imported(
            file=str(source.path),
            format=source.format.name,
            traces=len(kept),
            spans=sum(kept.values()),
            deleted=len(facts.deleted),
        )
        if source.format.is_bundle:
            without = {EXCHANGES.name} if patterns else set[str]()
            others = bundle.load(lake, source.path, deleted=facts.deleted, without=without)
            withheld = bundle.rows(source.path, EXCHANGES.name) if patterns else 0
            report = replace(report, others=others, withheld=withheld)
        imported.append(report)
    return imported


def _check(source: Source, now: datetime, deleted: Tombstones, progress: Progress) -> _Found:
    """Read a file to its end.

    Raises:
        ImportFailed: It is bad, or cannot be read.
    """
    found = _Found()
    for where, event in _read(source, now):
        try:
            size_bytes = len(encode_event(event))
        except InvalidEvent as error:
            raise ImportFailed(f"{source.path}: {where}: {error}") from error
        if size_bytes > LINE_BYTES:
            raise ImportFailed(f"{source.path}: {where} holds more than {LINE_BYTES >> 20} MB")
        found.take(event, deleted)
        if found.events % _TOLD_EVERY == 0:
            progress(f"checking {source.path}", found.events, None)
    if not found.events:
        raise ImportFailed(f"{source.path} holds no span")
    if source.format.is_bundle:
        bundle.check(source.path, found.traces)
    return found


def _read(source: Source, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        yield from source.format.read(source.paths, now)
    except OSError as error:
        raise ImportFailed(f"cannot read {source.path}: {error.strerror}") from error


def _events(source: Source, now: datetime, found: _Found) -> Iterator[dict[str, Any]]:
    """The events to append: those of traces that may come, each span with where it comes from."""
    for _, event in _read(source, now):
        if event["trace_id"] in found.deleted:
            continue
        if found.spans.get(_key(event)):
            yield event
        else:
            yield {**event, "data": {**(event.get("data") or {}), "source": "import"}}


def _told(
    events: Iterable[dict[str, Any]], what: str, found: _Found, progress: Progress
) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(events):
        if number % _TOLD_EVERY == 0:
            progress(what, number, found.events)
        yield event


def _append(lake: Lake, events: Iterable[Mapping[str, Any]]) -> None:
    sealer = lake.sealer()
    is_large = False
    for number, event in enumerate(events, 1):
        lake.append(event)
        if number % _TOLD_EVERY == 0 and sealer.due():
            is_large = True
            _seal(sealer)
    if is_large:
        _seal(sealer)


def _seal(sealer: Sealer) -> None:
    with suppress(LakeLocked):  # another process seals
        sealer.seal(timeout_s=0.0)


def _deleted(lake: Lake) -> Tombstones:
    from tracelake.storage import tombstones
    from tracelake.storage.options import storage_options
    from tracelake.storage.table import DeltaStore

    location = lake.location
    marks = DeltaStore(location.tables, tombstones.TOMBSTONES, storage_options(location))
    return tombstones.read(marks.snapshot())


def _key(event: Mapping[str, Any]) -> int:
    return hash((event["trace_id"], event["span_id"]))


def _states_source(event: Mapping[str, Any]) -> bool:
    return bool(event.get("source") or (event.get("data") or {}).get("source"))


def _start(event: Mapping[str, Any]) -> datetime:
    """When an event says that its span began, as far as it says so."""
    moment = (event.get("data") or {}).get("start_time", event["timestamp"])
    try:
        return from_iso(moment) if isinstance(moment, str) else moment
    except ValueError:
        return from_iso(event["timestamp"])
