"""Properties of the lake: nothing appended is lost or doubled, whatever order it arrives in."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracelake import Lake
from tracelake.model import EVENT_TYPES, STATUSES
from tracelake.schema import SPANS
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import amend, differs, fold_events
from tracelake.storage.segment import SegmentWriter, list_segments, read_segment
from tracelake.storage.tail import Tail

T0 = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)

ids = st.sampled_from(["a", "b", "c:1", "d.e_f-g"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.sampled_from([*SPANS.names, "tokens", "unknown"]) | st.text(max_size=8)
datas = st.dictionaries(keys, json_values, max_size=6)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Any envelope that an append accepts."""
    data = draw(datas)
    status = draw(st.none() | st.sampled_from(sorted(STATUSES)))
    if status is not None:
        data["status"] = status
    seconds = draw(st.integers(0, 200))
    return {
        "event_type": draw(st.sampled_from(sorted(EVENT_TYPES))),
        "trace_id": draw(ids),
        "span_id": draw(ids),
        "parent_id": draw(st.none() | ids),
        "timestamp": T0 + timedelta(seconds=seconds),
        "agent_name": draw(st.none() | st.text(max_size=5)),
        "data": data,
    }


lists = st.lists(events(), min_size=1, max_size=12)
relaxed = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@relaxed
@given(lists, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_span(appended: list[dict[str, Any]], chance: Any) -> None:
    """Any permutation of the same events, each in its place, folds to the same spans."""
    lines = b"".join(encode_event(event) for event in appended)
    decoded = decode_events(lines, "1.jsonl")
    assert len(decoded) == len(appended)
    shuffled = decoded * 2
    chance.shuffle(shuffled)
    assert fold_events(shuffled) == fold_events(decoded)


def _life(kind: str, begin: int, length: int, data: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one span as a writer that keeps to the contract appends them."""
    plain = {key: value for key, value in data.items() if key not in {"status", "start_time"}}
    base = {"trace_id": "t", "span_id": "s"}
    start, end = T0 + timedelta(seconds=begin), T0 + timedelta(seconds=begin + length)
    if kind == "agent":
        return [
            {**base, "event_type": "agent_start", "timestamp": start, "data": plain},
            {**base, "event_type": "agent_end", "timestamp": end, "data": {"result": "x"}},
        ]
    if kind == "call":
        running = {**plain, "status": "running"}
        return [
            {**base, "event_type": "llm_call", "timestamp": start, "data": running},
            {**base, "event_type": "llm_call", "timestamp": end, "data": {"status": "ok"}},
        ]
    return [{**base, "event_type": "tool_call", "timestamp": start, "data": plain}]


@relaxed
@given(st.sampled_from(["agent", "call", "lone"]), st.integers(0, 99), st.integers(0, 99), datas)
def test_a_sealed_row_is_at_rest(kind: str, begin: int, length: int, data: dict[str, Any]) -> None:
    """Amending a row by the events it was made of says nothing new."""
    lines = b"".join(encode_event(event) for event in _life(kind, begin, length, data))
    (span,) = fold_events(decode_events(lines, "1.jsonl")).values()
    assert span.is_finished
    again = amend(dict(span), span)
    assert not differs(again, span), [
        (name, again[name], span[name]) for name in SPANS.names if again[name] != span[name]
    ]


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(lists, st.integers(0, 12))
def test_what_is_appended_is_scanned(appended: list[dict[str, Any]], cut: int) -> None:
    """Each span once, with its values, whether hot, sealed, or part of each."""
    with tempfile.TemporaryDirectory() as folder, Lake(folder) as lake, Lake(folder) as other:
        for number, event in enumerate(appended):
            if number == cut:
                lake.seal()
            (lake if number % 3 else other).append(event)
        hot = lake.spans().collect()
        assert set(hot.select("trace_id", "span_id").iter_rows()) == {
            (event["trace_id"], event["span_id"]) for event in appended
        }
        assert hot.select("trace_id", "span_id").is_unique().all()
        assert lake.traces().collect()["span_count"].sum() == hot.height
        lake.seal()
        sealed = lake.spans().collect()
        order = ["trace_id", "span_id"]
        left = hot.drop("revision").sort(order)
        assert sealed.drop("revision").sort(order).equals(left)
        assert lake.traces().collect()["span_count"].sum() == hot.height


@settings(max_examples=5)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_a_segment_cut_at_every_byte(texts: list[str]) -> None:
    """Whatever prefix of a segment survives, its whole lines are read and no other."""
    base = {"event_type": "span", "trace_id": "t", "timestamp": T0}
    lines = [
        encode_event({**base, "span_id": f"s{n}", "data": {"name": text}})
        for n, text in enumerate(texts)
    ]
    whole = b"".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1-h-1-0.jsonl")
        tail = Tail(Path(folder))
        seen = 0
        for end in range(len(whole) + 1):
            path.write_bytes(whole[:end])
            complete = whole[:end].count(b"\n")
            data, offset = read_segment(path, 0)
            assert len(decode_events(data, path.name)) == complete
            assert offset == len(b"".join(lines[:complete]))
            seen += len(tail.poll())
            assert seen == complete


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"") + b"\n"), max_size=20))
def test_segments_hold_what_was_written(records: list[bytes]) -> None:
    """Rolling, closing and syncing never drop, double or reorder a record."""
    with tempfile.TemporaryDirectory() as folder:
        writer = SegmentWriter(folder, roll_bytes=50)
        for number, record in enumerate(records):
            writer.append(record, durable=number % 3 == 0)
            if number % 5 == 4:
                writer.close()
        paths = sorted(
            list_segments(Path(folder)).values(), key=lambda p: int(p.stem.rsplit("-", 1)[1])
        )
        assert b"".join(path.read_bytes() for path in paths) == b"".join(records)
        writer.close()


def test_json_columns_always_hold_json() -> None:
    """Whatever is put into a JSON column can be read back as JSON."""
    names = [column.name for column in SPANS.columns if column.dtype == "json"]
    for value in ("text", '"quoted"', "[1", 7, True, {"a": 1}, [None], ""):
        line = encode_event(
            {
                "event_type": "span",
                "trace_id": "t",
                "span_id": "s",
                "timestamp": T0,
                "data": dict.fromkeys(names, value),
            }
        )
        (span,) = fold_events(decode_events(line, "1.jsonl")).values()
        for name in names:
            orjson.loads(span[name] or "null")
