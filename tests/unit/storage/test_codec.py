"""Events as lines: light checks, nothing of an application's data makes an append fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest

from tracelake.errors import InvalidEvent
from tracelake.model import Event
from tracelake.storage.codec import PLACE, decode_carry, decode_events, encode, encode_event

GOOD: dict[str, Any] = {
    "event_type": "llm_call",
    "trace_id": "t",
    "span_id": "s",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"event_type": "nonsense"},
        {"trace_id": ""},
        {"trace_id": "a b"},
        {"span_id": None},
        {"span_id": "x" * 201},
        {"parent_id": "no/slash"},
        {"timestamp": "yesterday"},
        {"timestamp": None},
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
        {"data": [1]},
        {"timestamp": datetime(2026, 11, 22, tzinfo=UTC), "data": [1]},
    ],
)
def test_an_event_no_reader_could_place_is_refused(change: dict[str, Any]) -> None:
    """The caller hears of it at once, in one line that says what to do."""
    with pytest.raises(InvalidEvent, match=r"^[^\n]+$"):
        encode_event({**GOOD, **change})


def test_values_that_json_cannot_say_become_text() -> None:
    """Sets, bytes, huge numbers, broken text, cycles and hostile objects never fail an append."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    cycle: list[Any] = []
    cycle.append(cycle)
    data = {
        "set": {1},
        "bytes": b"\xff",
        "huge": 2**80,
        "text": "\ud83d",
        "cycle": cycle,
        "hostile": Hostile(),
        "nan": float("nan"),
        3: "number as key",
        "when": datetime(2026, 1, 1, tzinfo=UTC),
    }
    line = encode_event({**GOOD, "data": data})
    (event,) = decode_events(line, "1.jsonl")
    assert event["data"]["huge"] == str(2**80)
    assert event["data"]["set"] == [1]
    assert event["data"]["3"] == "number as key"
    assert "Hostile" in event["data"]["hostile"]
    assert line.count(b"\n") == 1


def test_an_event_object_and_its_dict_are_the_same_line() -> None:
    """Both forms of the public API write the same."""
    event = Event("span", "t", "s", datetime(2026, 11, 22, tzinfo=UTC), data={"name": "x"})
    assert encode_event(event) == encode_event(event.to_dict())


def test_times_of_any_zone_are_one_instant() -> None:
    """A time with an offset is read back as the same instant in UTC."""
    moment = datetime(2026, 11, 22, 10, tzinfo=timezone(timedelta(hours=13)))
    (event,) = decode_events(encode_event({**GOOD, "timestamp": moment}), "1.jsonl")
    assert event["timestamp"] == moment
    assert event["timestamp"].utcoffset() == timedelta(0)


def test_a_damaged_line_costs_itself_only() -> None:
    """Lines around one that is no event are read, each with its own offset."""
    good = encode_event(GOOD)
    for damage in (b"{\n", b"[]\n", b"\xff\xfe\n", b'{"event_type":"span"}\n', b"\n"):
        events = decode_events(good + damage + good, "7.jsonl", 100)
        assert [e[PLACE] for e in events] == [
            ("7.jsonl", 100),
            ("7.jsonl", 100 + len(good + damage)),
        ]


def test_the_carry_keeps_the_place_of_an_event() -> None:
    """An event carried over a seal orders as it did in its segment."""
    (event,) = decode_events(encode_event(GOOD), "7.jsonl", 42)
    assert decode_carry(encode(event))[0][PLACE] == ("7.jsonl", 42)
    assert PLACE in orjson.loads(encode(event))
