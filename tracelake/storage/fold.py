"""The one fold from events to spans, used by the sealer, every reader and the live view.

    fold_event(span | None, event) -> span       events in any order of arrival
    amend(row, span) -> span                     later facts on top of a row that is already sealed
    fold_events(events) -> {(trace_id, span_id): span}

A span is a dict of every column of `schema.SPANS` (times as aware datetimes, JSON columns as
text), with the bookkeeping that makes the fold independent of the order of arrival beside it.

Invariants:
- Order is by (timestamp, segment, offset); the last non-null value of a column wins.
- A terminal status beats `running`; a real end beats `lost`.
- Folding the same event twice changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from tracelake.model import ENDED
from tracelake.schema import SPANS
from tracelake.storage.codec import PLACE
from tracelake.storage.columns import read_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: When an event was, then where it stands: what "last" means.
Stamp = tuple[datetime, str, int]
Key = tuple[str, str]

_RANK = {None: 0, "running": 1, "lost": 2, "ok": 3, "error": 3, "cancelled": 3}
_EMPTY: dict[str, Any] = dict.fromkeys(SPANS.names)
_LATEST = datetime.max.replace(tzinfo=UTC)


class FoldedSpan(dict[str, Any]):
    """A span as columns, with the stamp of every value.

    Attributes:
        stamps: Column to the stamp of the value it holds; a derived default has none.
        extra: Attribute key to (stamp, value).
        status_at: Rank and stamp of the status that counts, None while no event stated one.
        opened: Earliest opening event.
        closed: Time of the closing event that counts, with its rank and stamp.
        first: Earliest and latest event of any sort.
        call: A lone call without status is finished.
        places: Segments its events stand in.
    """

    __slots__ = (
        "call", "closed", "extra", "first", "last", "opened", "places", "stamps", "status_at",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(_EMPTY)
        self.stamps: dict[str, Stamp] = {}
        self.extra: dict[str, tuple[Stamp, Any]] = {}
        self.status_at: tuple[int, Stamp, str] | None = None
        self.opened: datetime | None = None
        self.closed: tuple[int, Stamp] | None = None
        self.first: datetime = _LATEST
        self.last: datetime = datetime.min.replace(tzinfo=UTC)
        self.call = False
        self.places: set[str] = set()

    @property
    def key(self) -> Key:
        """(trace_id, span_id)."""
        return self["trace_id"], self["span_id"]

    @property
    def is_finished(self) -> bool:
        """Whether the span has ended, or is given up as lost."""
        return self["status"] != "running"


def fold_event(span: dict[str, Any] | None, event: Mapping[str, Any]) -> FoldedSpan:
    """Fold one decoded event into its span.

    Args:
        span: What earlier calls returned for the same key; changed in place. None for the first.
        event: As `codec.decode_events` or `Tail.poll` gives it.

    Returns:
        The span, with every column of `spans`.
    """
    if span is None:
        folded = FoldedSpan()
        folded["trace_id"], folded["span_id"] = event["trace_id"], event["span_id"]
        folded["revision"] = 0
    else:
        folded = span if isinstance(span, FoldedSpan) else _from_row(span)
    moment: datetime = event["timestamp"]
    segment, offset = event.get(PLACE, ("", 0))
    stamp: Stamp = (moment, segment, offset)
    reading = read_event(event)
    stamps = folded.stamps
    for column, value in reading.values.items():
        held = stamps.get(column)
        if held is None or stamp >= held:
            folded[column] = value
            stamps[column] = stamp
    for key, value in reading.attributes.items():
        _put_extra(folded, key, stamp, value)
    folded.first = min(folded.first, moment)
    folded.last = max(folded.last, moment)
    folded.call = folded.call or reading.call
    folded.places.add(segment)
    if reading.status is not None:
        _put_status(folded, (_RANK[reading.status], stamp, reading.status))
    if reading.opens and (folded.opened is None or moment < folded.opened):
        folded.opened = moment
    if reading.closes and reading.status != "lost":
        _put_closed(folded, (_RANK[reading.status], stamp))
    _settle(folded)
    return folded


def fold_events(events: Iterable[Mapping[str, Any]]) -> dict[Key, FoldedSpan]:
    """Fold any number of events, of any number of spans."""
    spans: dict[Key, FoldedSpan] = {}
    for event in events:
        key = (event["trace_id"], event["span_id"])
        spans[key] = fold_event(spans.get(key), event)
    return spans


def amend(row: Mapping[str, Any], later: FoldedSpan) -> FoldedSpan:
    """Facts folded from events on top of a sealed row of the same span.

    The row's values count as stated when the span ended, so that an event from after the end wins
    and a straggler from before only fills gaps.

    Returns:
        A new span with the row's revision; `differs` tells whether it says anything new.
    """
    folded = _from_row(row)
    for column, stamp in later.stamps.items():
        held = folded.stamps.get(column)
        if held is None or stamp >= held:
            folded[column] = later[column]
            folded.stamps[column] = stamp
    for key, (stamp, value) in later.extra.items():
        _put_extra(folded, key, stamp, value)
    folded.first = min(folded.first, later.first)
    folded.last = max(folded.last, later.last)
    folded.call = folded.call or later.call
    folded.places |= later.places
    if later.status_at is not None:
        _put_status(folded, later.status_at)
    if later.opened is not None and (folded.opened is None or later.opened < folded.opened):
        folded.opened = later.opened
    if later.closed is not None:
        _put_closed(folded, later.closed)
    _settle(folded)
    return folded


def differs(span: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a span says anything that the sealed row does not."""
    return any(span[name] != row[name] for name in SPANS.names if name != "revision")


def _put_status(span: FoldedSpan, stated: tuple[int, Stamp, str]) -> None:
    if span.status_at is None or stated >= span.status_at:
        span.status_at = stated


def _put_closed(span: FoldedSpan, closing: tuple[int, Stamp]) -> None:
    if span.closed is None or closing >= span.closed:
        span.closed = closing


def _put_extra(span: FoldedSpan, key: str, stamp: Stamp, value: Any) -> None:
    held = span.extra.get(key)
    if held is None or stamp >= held[0]:
        span.extra[key] = (stamp, value)


def _from_row(row: Mapping[str, Any]) -> FoldedSpan:
    """The bookkeeping of a row whose events are gone."""
    span = FoldedSpan()
    span.update(row)
    start: datetime = row["start_time"]
    end: datetime | None = row["end_time"]
    stamp: Stamp = (end or start, "", 0)
    span.opened = start
    defaults = _defaults(span)
    for column in SPANS.names:
        value = row[column]
        if value is not None and column not in _NOT_STATED and value != defaults.get(column):
            span.stamps[column] = stamp
    if end is not None and row["duration_ms"] == _milliseconds(start, end):
        span.stamps.pop("duration_ms", None)
    attributes = orjson.loads(row["attributes"]) if row["attributes"] else {}
    span.extra = {key: (stamp, value) for key, value in attributes.items()}
    if end is not None and row["duration_ms"] is None:  # it ended, nobody knows after how long
        span.opened, span.call = None, True
    status = row["status"] or "ok"
    span.status_at = (_RANK[status], stamp, status)
    span.first = start
    span.last = end or start
    if end is not None and status in ENDED:
        span.closed = (_RANK[status], stamp)
    return span


_NOT_STATED = frozenset(
    {"trace_id", "span_id", "status", "attributes", "revision", "date", "start_time", "end_time"}
)


def _settle(span: FoldedSpan) -> None:
    """Decide what no single event says: status, times, and defaults of what nobody stated."""
    if span.status_at is not None:
        status = span.status_at[2]
    elif span.call or "end_time" in span.stamps:
        status = "error" if span["error"] or span["error_type"] else "ok"
    else:
        status = "running"
    span["status"] = status
    _settle_times(span, ended=status in ENDED)
    stamps = span.stamps
    for column, value in _defaults(span).items():
        if column not in stamps:
            span[column] = value
    if span.extra:
        plain = {key: span.extra[key][1] for key in sorted(span.extra)}
        span["attributes"] = orjson.dumps(plain, option=orjson.OPT_UTC_Z).decode()
    span["date"] = span["start_time"].date()


def _settle_times(span: FoldedSpan, *, ended: bool) -> None:
    stamps = span.stamps
    length = span["duration_ms"] if "duration_ms" in stamps else None
    opened = span["start_time"] if "start_time" in stamps else span.opened
    closed = span.closed[1][0] if span.closed is not None else None
    end: datetime | None = span["end_time"] if "end_time" in stamps else None
    if opened is not None:
        start = opened
        if end is None and ended:
            alone = "start_time" in stamps and span.opened is None and length is not None
            end = _after(start, length) if alone else (closed or _after(start, length))
    elif span.call or closed is None:
        start = end if end is not None and end < span.first else span.first
        if end is None and ended:
            end = _after(start, length)
    else:
        end = end or closed
        start = _after(end, -length if length is not None else None)
    if end is not None and end < start:
        end = start
    span["start_time"], span["end_time"] = start, end
    if "duration_ms" not in stamps:
        known = end is not None and (opened is not None or "end_time" in stamps)
        span["duration_ms"] = _milliseconds(start, end) if known else None


def _after(moment: datetime, milliseconds: float | None) -> datetime:
    try:
        return moment + timedelta(milliseconds=milliseconds or 0)
    except OverflowError:
        return moment


def _milliseconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - start) / timedelta(milliseconds=1), 3)


def _defaults(span: Mapping[str, Any]) -> dict[str, Any]:
    kind = span["kind"] or "other"
    named = {"agent": "agent_name", "llm": "model", "tool": "tool_name"}.get(kind)
    role = None
    if kind == "agent":
        role = "agent" if span["parent_id"] else "orchestrator"
    return {
        "kind": kind,
        "role": role,
        "name": (span[named] if named else None) or kind,
        "source": "sdk",
        "evidence": "recorded",
    }
