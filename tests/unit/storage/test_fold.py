"""The fold: what several events of one span say together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tracelake.schema import SPANS
from tracelake.storage.fold import FoldedSpan, amend, differs, fold_event, fold_events

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """That many seconds after the beginning."""
    return T0 + timedelta(seconds=seconds)


def event(event_type: str, seconds: float, **data: Any) -> dict[str, Any]:
    """A decoded event."""
    envelope = {"event_type": event_type, "trace_id": "t", "span_id": "s", "timestamp": at(seconds)}
    return {**envelope, "data": data}


def fold(*events: dict[str, Any]) -> FoldedSpan:
    """The one span of these events."""
    (span,) = fold_events(events).values()
    return span


def test_a_span_has_every_column() -> None:
    """Readers may index any column of the table."""
    assert set(fold(event("llm_call", 0))) == set(SPANS.names)


def test_a_lone_call_is_finished_and_lasts_as_long_as_it_says() -> None:
    """The seed's one-event calls are complete spans."""
    span = fold(event("llm_call", 0, duration_ms=1500.0, model="m"))
    assert (span["status"], span["start_time"], span["end_time"]) == ("ok", at(0), at(1.5))
    assert (span["kind"], span["name"], span["duration_ms"]) == ("llm", "m", 1500.0)
    assert fold(event("tool_call", 0, error="no such file"))["status"] == "error"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_call_in_flight_and_its_end(order: tuple[int, int]) -> None:
    """Start and end give one span, whichever is read first."""
    both = (
        event("llm_call", 0, status="running", messages=[{"role": "user"}], model="asked"),
        event("llm_call", 2, status="ok", response="hi", model="answered", tokens={"input": 7}),
    )
    span = fold(*(both[i] for i in order))
    assert (span["status"], span["start_time"], span["end_time"]) == ("ok", at(0), at(2))
    assert (span["model"], span["tokens_input"], span["duration_ms"]) == ("answered", 7, 2000.0)
    assert orjson.loads(span["messages"]) == [{"role": "user"}]


def test_a_running_span_has_no_end() -> None:
    """Nothing is guessed of what has not happened."""
    span = fold(event("agent_start", 0, name="a"))
    assert (span["status"], span["end_time"], span["duration_ms"]) == ("running", None, None)


def test_agent_start_and_end() -> None:
    """`agent_start` and `agent_end` open and close an agent span."""
    span = fold(event("agent_start", 0), event("agent_end", 3))
    assert (span["kind"], span["status"], span["duration_ms"]) == ("agent", "ok", 3000.0)
    assert fold(event("agent_start", 0), event("agent_end", 3, error="x"))["status"] == "error"


def test_terminal_beats_running_and_real_beats_lost() -> None:
    """A late `running` opens nothing again; a late real end replaces the guess `lost`."""
    assert fold(event("span", 2, status="ok"), event("span", 5, status="running"))["status"] == "ok"
    lost = event("span", 9, status="lost")
    start, end = event("agent_start", 0), event("agent_end", 3)
    assert fold(start, lost)["status"] == "lost"
    assert fold(start, lost)["end_time"] is None
    assert fold(start, lost, end)["status"] == "ok"
    assert fold(start, end, lost)["end_time"] == at(3)


def test_the_last_value_that_is_not_null_wins() -> None:
    """By time, then by segment and offset; null says nothing."""
    first = event("span", 0, status="running", error="early", name="kept")
    second = event("span", 1, error="late", name=None)
    assert fold(second, first)["error"] == "late"
    assert fold(second, first)["name"] == "kept"
    same = [
        {**event("span", 0, name=name), "_at": place}
        for name, place in (("b", ("2.jsonl", 0)), ("a", ("1.jsonl", 9)), ("c", ("2.jsonl", 5)))
    ]
    assert fold(*same)["name"] == "c"


def test_values_a_column_cannot_take_are_kept_as_attributes() -> None:
    """No event is lost for one odd value, and the value itself is not lost either."""
    span = fold(
        event(
            "span", 0, kind="nonsense", status="weird", tokens_input="many", cost_usd="0.5",
            duration_ms=float("inf"), start_time="noon", revision=7, unknown={"a": 1},
            tokens={"output": 3, "odd": 4}, parent_id="a/b", auxiliary="yes", confidence=True,
        )
    )  # fmt: skip
    attributes = orjson.loads(span["attributes"])
    assert set(attributes) == {
        "kind", "status", "tokens_input", "duration_ms", "start_time", "revision", "unknown",
        "tokens.odd", "parent_id", "auxiliary", "confidence",
    }  # fmt: skip
    assert (span["kind"], span["cost_usd"], span["tokens_output"]) == ("other", 0.5, 3)
    assert span["revision"] == 0


def test_json_columns_hold_json_text() -> None:
    """Lists and objects are serialised, JSON text is kept as it is, other text is quoted."""
    span = fold(event("tool_call", 0, parameters={"a": 1}, tools="[1, 2]", messages="plain"))
    assert span["parameters"] == '{"a":1}'
    assert span["tools"] == "[1, 2]"
    assert span["messages"] == '"plain"'


def test_attributes_merge_key_by_key() -> None:
    """Two writers of attributes keep both their keys."""
    span = fold(event("span", 0, attributes={"a": 1, "b": 1}), event("span", 1, b=2, c=3))
    assert orjson.loads(span["attributes"]) == {"a": 1, "b": 2, "c": 3}


def test_roles_follow_the_parent() -> None:
    """An agent without a parent orchestrates until a parent becomes known."""
    start = event("agent_start", 0, name="a")
    assert fold(start)["role"] == "orchestrator"
    assert fold(start, event("span", 1, parent_id="p"))["role"] == "agent"


def test_folding_twice_changes_nothing() -> None:
    """Ingesting the same exchange again is harmless."""
    both = (event("agent_start", 0, task="x"), event("agent_end", 1, result="y"))
    assert fold(*both, *both) == fold(*both)


def test_a_late_fact_amends_a_sealed_row() -> None:
    """A row from the tables takes later facts, and an echo of what it says is no news."""
    start, end = event("agent_start", 0, name="a", x=1), event("agent_end", 2, result="r")
    row = dict(fold(start, end))
    assert not differs(amend(row, fold(start, end)), row)
    later = amend(row, fold(event("span", 5, error_type="Late", y=2)))
    assert (later["error_type"], later["status"], later["end_time"]) == ("Late", "ok", at(2))
    assert orjson.loads(later["attributes"]) == {"x": 1, "y": 2}
    straggler = amend(row, fold(event("span", 1, name="old", run_id="r1")))
    assert (straggler["name"], straggler["run_id"]) == ("a", "r1")


def test_a_real_end_amends_a_lost_row() -> None:
    """A span given up as lost is completed when its end turns up after all."""
    row = dict(fold(event("agent_start", 0), event("span", 0, status="lost")))
    later = amend(row, fold(event("agent_end", 4)))
    assert (later["status"], later["end_time"], later["duration_ms"]) == ("ok", at(4), 4000.0)


def test_clock_skew_never_gives_a_negative_duration() -> None:
    """An end that is stamped before its start ends the span at its start."""
    span = fold(event("agent_start", 5), event("agent_end", 4))
    assert (span["duration_ms"], span["end_time"]) == (0.0, at(5))


def test_fold_event_extends_what_it_returned() -> None:
    """The live view folds one event at a time."""
    span = fold_event(None, event("agent_start", 0))
    assert fold_event(span, event("agent_end", 1))["status"] == "ok"
