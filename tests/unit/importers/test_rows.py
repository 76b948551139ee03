"""One span as events: folding them gives the span again."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.property.test_lake_events import lists
from tracelake.importers import spans_jsonl
from tracelake.importers.rows import STORED, check_columns, events_of
from tracelake.model import ENDED
from tracelake.query.jsonable import jsonable_row
from tracelake.schema import SPANS
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import FoldedSpan, amend, differs, fold_events

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
NOW = START + timedelta(days=3)
ROW: dict[str, Any] = {"trace_id": "t", "span_id": "s", "start_time": START, "status": "ok"}


def folded(events: list[dict[str, Any]]) -> list[FoldedSpan]:
    """The spans of events that went through a segment."""
    lines = b"".join(encode_event(event) for event in events)
    return list(fold_events(decode_events(lines, "1.jsonl")).values())


def _is_contradiction(row: dict[str, Any]) -> bool:
    """It ended and did not: only an `agent_end` with status running says so."""
    return row["status"] not in ENDED and row["end_time"] and row["duration_ms"] is None


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(lists)
def test_a_row_comes_back_as_it_was(appended: list[dict[str, Any]]) -> None:
    """Whatever a lake may hold: its row, imported, is that row, also twice and on top of itself."""
    for span in folded(appended):
        row = dict(span)
        if _is_contradiction(row):
            continue
        (again,) = folded(events_of(row, now=NOW) * 2)
        assert {name: again[name] for name in SPANS.names} == row
        if span.is_finished:
            assert not differs(amend(row, again), row)


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(lists)
def test_a_row_comes_back_from_a_line_of_json(appended: list[dict[str, Any]]) -> None:
    """Written as `export` writes it, every column has its value again, JSON columns as values."""
    rows = [dict(span) for span in folded(appended)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.jsonl")
        file.write_text(
            "".join(json.dumps(jsonable_row(r, SPANS), ensure_ascii=False) + "\n" for r in rows)
        )
        events = [event for _, event in spans_jsonl.read([file], NOW)]
    again = folded(events)
    for row, span in zip(rows, again, strict=True):
        left, right = jsonable_row(row, SPANS), jsonable_row(span, SPANS)
        if not _is_contradiction(row):
            assert left == {**right, "revision": row["revision"]}


def test_numbers_of_any_length_come_back_from_a_line(tmp_path: Path) -> None:
    """An argument of more digits than a float or 64 bits hold is kept, as Parquet keeps it."""
    parameters = '{"id":123456789012345678901234567890,"text":"ü"}'
    row = {**ROW, "start_time": START.isoformat(), "parameters": json.loads(parameters)}
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    (span,) = folded([event for _, event in spans_jsonl.read([file], NOW)])
    assert span["parameters"] == parameters


def test_a_running_span_is_heard_of_at_the_import() -> None:
    """It keeps its start and its status, and the time until it is given up begins anew."""
    events = events_of({**ROW, "status": "running"}, now=NOW)
    (span,) = folded(events)
    assert (span["status"], span["start_time"], span["end_time"]) == ("running", START, None)
    assert span.last == NOW


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("span_id", "a b", "span_id is no id: 'a b'"),
        ("span_id", None, "span_id is null"),
        ("parent_id", "x" * 201, "parent_id is no id"),
        ("original_span_id", "", "original_span_id is no id"),
        ("status", "fine", "status is unknown: 'fine'"),
        ("kind", "robot", "kind is unknown"),
        ("start_time", None, "start_time is null"),
        ("start_time", datetime(2026, 1, 1), "start_time is not a time"),  # noqa: DTZ001
        ("model", 7, "model is not text: 7"),
        ("messages", "[1", "messages is not JSON"),
        ("attributes", "[]", "attributes is no JSON object"),
        ("cost_usd", float("nan"), "cost_usd is not a finite number"),
        ("tokens_input", 2**63, "tokens_input is not a whole number"),
        ("tokens_input", True, "tokens_input is not a whole number"),
        ("auxiliary", 1, "auxiliary is not true or false"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_named(column: str, value: Any, said: str) -> None:
    """Nothing wrong is put aside silently: the message names the column and shows the value."""
    with pytest.raises(ValueError, match="^" + said):
        events_of({**ROW, column: value}, now=NOW)


def test_columns_that_are_no_spans_are_refused() -> None:
    """A newer lake's columns would be lost, and a table without ids is none of spans."""
    check_columns(ROW)
    with pytest.raises(ValueError, match=r"unknown columns \(colour\): upgrade"):
        check_columns([*ROW, "colour"])
    with pytest.raises(ValueError, match="span_id and status missing"):
        check_columns(["trace_id", "start_time"])


@pytest.mark.parametrize("column", [name for name in SPANS.names if name not in STORED])
def test_every_column_has_a_rule(column: str) -> None:
    """A column that is added to the schema is not forgotten: what it cannot hold is refused."""
    with pytest.raises(ValueError, match=f"^{column} is not "):
        events_of({**ROW, column: {"an": "object"}}, now=NOW)
