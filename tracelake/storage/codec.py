"""Events as lines: checking and encoding them for a segment, decoding them back.

    encode_event(event) -> bytes              one JSON line; raises InvalidEvent
    decode_events(lines, segment, offset) -> list of events, each with its place under `_at`

Invariants:
- What an application puts into `data` never makes an append fail: what JSON cannot say is said as
  text. Only an envelope that no reader could place raises.
- `_at` is `(segment, offset)`, the tie-break between events of one timestamp; it is never stored in
  a segment, only in the carry.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

import orjson

from tracelake.errors import InvalidEvent
from tracelake.model import EVENT_TYPES, Event, from_iso, is_valid_id

log = logging.getLogger(__name__)

#: Key under which a decoded event says where it stood: (segment name, offset of its line).
PLACE = "_at"

_OPTIONS = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
)
_DEPTH_MAX = 100


def encode_event(event: Mapping[str, Any] | Event) -> bytes:
    """One event as one JSON line.

    Raises:
        InvalidEvent: Without a known type, valid ids or a readable timestamp.
    """
    record: Mapping[str, Any] = event.to_dict() if isinstance(event, Event) else event
    _check(record)
    return encode(record)


def encode(record: Mapping[str, Any]) -> bytes:
    """A mapping as one JSON line; values that JSON has no word for become text."""
    try:
        return orjson.dumps(record, default=_as_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        return orjson.dumps(_sayable(record, 0), option=_OPTIONS)


def _check(record: Mapping[str, Any]) -> None:
    kind = record.get("event_type")
    if kind not in EVENT_TYPES:
        raise InvalidEvent(
            f"unknown event_type {kind!r}: use one of {', '.join(sorted(EVENT_TYPES))}"
        )
    for key in ("trace_id", "span_id"):
        if not is_valid_id(record.get(key)):
            raise InvalidEvent(
                f"{key} {record.get(key)!r} is no id: 1 to 200 letters, digits or ._:- are"
            )
    parent = record.get("parent_id")
    if parent is not None and not is_valid_id(parent):
        raise InvalidEvent(f"parent_id {parent!r} is no id: leave it out or give a span id")
    if not isinstance(record.get("data", {}), Mapping | None):
        raise InvalidEvent("data is not an object: give a dict or leave it out")
    moment = record.get("timestamp")
    if isinstance(moment, datetime):
        if MINYEAR < moment.year < MAXYEAR:
            return
        moment = moment.isoformat()  # in UTC it may be of no year that there is
    try:
        from_iso(moment)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEvent(
            f"timestamp {moment!r} is not a time: give a datetime or ISO 8601 text"
        ) from error


def _as_plain(value: Any) -> Any:
    """What orjson should write for a value it does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, type):
        return value.__qualname__
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else _text(value)


def _text(value: Any) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - an object of the host may do anything here
        text = f"<{type(value).__name__} without text: {type(error).__name__}>"
    return text.encode("utf-8", "replace").decode()


def _sayable(value: Any, depth: int) -> Any:
    """A copy that JSON can say: the slow road, taken only when orjson refused."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value
    if depth >= _DEPTH_MAX:
        return _text(value)[:1000]
    if isinstance(value, Mapping):
        return {_text(key): _sayable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_sayable(item, depth + 1) for item in value]
    try:
        plain = _as_plain(value)
    except Exception:  # noqa: BLE001 - as in _text
        plain = _text(value)
    return _sayable(plain, depth + 1) if plain is not value else _text(value)


def decode_events(lines: bytes, segment: str, offset: int = 0) -> list[dict[str, Any]]:
    """Events of complete lines that begin at `offset` of `segment`, in order.

    `timestamp` becomes an aware UTC `datetime`, `data` is always a dict. A line that is not an
    event (a damaged disk, an alien file) is logged and left out.
    """
    events: list[dict[str, Any]] = []
    for line in lines.split(b"\n")[:-1]:
        event = _decode(line)
        if event is None:
            log.warning("skipped a line that is no event: %s at byte %d", segment, offset)
        else:
            event[PLACE] = (segment, offset)
            events.append(event)
        offset += len(line) + 1
    return events


def decode_carry(data: bytes) -> list[dict[str, Any]]:
    """Events of a carry file, each with the place in the segment that it first stood at."""
    events = [event for line in data.split(b"\n")[:-1] if (event := _decode(line)) is not None]
    for event in events:
        segment, offset = event.get(PLACE) or ("", 0)
        event[PLACE] = (str(segment), int(offset))
    return events


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        event: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict) or event.get("event_type") not in EVENT_TYPES:
        return None
    if not (is_valid_id(event.get("trace_id")) and is_valid_id(event.get("span_id"))):
        return None
    try:
        event["timestamp"] = from_iso(event["timestamp"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not isinstance(event.get("data"), dict):
        event["data"] = {}
    return event
