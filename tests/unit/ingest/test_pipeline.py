"""Exchanges in, events out, whatever the order in which processes come and go."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tracelake import Exchange, Lake
from tracelake.infer import Inference
from tracelake.ingest.pipeline import Pipeline, in_order
from tracelake.ingest.recover import read_recent
from tracelake.ingest.reindex import reindex
from tracelake.model import utc_now
from tracelake.storage.sealer import Sealer
from tracelake.storage.xlog import ExchangeLog, Record, ended_record, opened_record, read_records

if TYPE_CHECKING:
    from pathlib import Path

NOW = utc_now()


def call(number: int, *, start_s: float, end_s: float, **changes: Any) -> Exchange:
    """A finished chat call of one conversation."""
    question = {"role": "user", "content": f"question {number}"}
    body = {"model": "gpt-4o", "messages": [{"role": "system", "content": "You count."}, question]}
    answer = {
        "id": f"chatcmpl-{number}",
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": f"answer {number}"},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
    values: dict[str, Any] = {
        "span_id": f"call-{number}",
        "start_time": NOW + timedelta(seconds=start_s),
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "openai",
        "request_headers": (("content-type", "application/json"),),
        "request_body": json.dumps(body).encode(),
        "run_id": "run-1",
        "first_byte_time": NOW + timedelta(seconds=start_s),
        "end_time": NOW + timedelta(seconds=end_s),
        "status": 200,
        "response_headers": (("content-type", "application/json"),),
        "response_body": json.dumps(answer).encode(),
        "outcome": "ok",
        **changes,
    }
    return Exchange(**values)


def records(exchange: Exchange) -> list[Record]:
    """Both sides of an exchange as the relay writes them."""
    return [opened_record(exchange), ended_record(exchange)]


def new_pipeline(lake: Lake) -> Pipeline:
    """A pipeline as a fresh ingest process has it."""
    return Pipeline(
        inference=Inference(),
        append=lake.append,
        done=ExchangeLog(lake.hot).done,
        identify=lambda _exchange: {},
    )


def test_a_call_in_flight_is_running_and_then_ends(tmp_path: Path) -> None:
    """The span is there as soon as the request is, and its end completes it."""
    lake = Lake(tmp_path)
    pipeline = new_pipeline(lake)
    opened, ended = records(call(1, start_s=0, end_s=1))
    pipeline.handle(opened)
    running = lake.spans().filter(kind="llm").collect().row(0, named=True)
    assert (running["status"], running["response"]) == ("running", None)
    assert pipeline.in_flight == 1
    pipeline.handle(ended)
    finished = lake.spans().filter(kind="llm").collect().row(0, named=True)
    assert (finished["status"], finished["response"]) == ("ok", "answer 1")
    assert finished["span_id"] == "call-1"
    assert finished["trace_id"] == "run-1"
    assert pipeline.in_flight == 0


@pytest.mark.parametrize("read_before", [0, 1, 2, 3])
def test_another_process_goes_on_where_one_died(tmp_path: Path, read_before: int) -> None:
    """However much an earlier process had read, the spans are those of an undisturbed one."""
    undisturbed = Lake(tmp_path / "undisturbed")
    whole = [*records(call(1, start_s=0, end_s=1)), *records(call(2, start_s=2, end_s=3))]
    pipeline = new_pipeline(undisturbed)
    for record in whole:
        pipeline.handle(record)

    lake = Lake(tmp_path / "lake")
    relay = ExchangeLog(lake.hot)
    relay.write(whole)
    first = new_pipeline(lake)
    for record in whole[:read_before]:
        first.handle(record)
    second = new_pipeline(lake)
    second.recover(read_recent(lake, NOW))
    for segment in sorted(lake.hot.glob("*.xlog")):
        for record in read_records(segment)[0]:
            second.handle(record)
    columns = ["span_id", "parent_id", "kind", "status", "response", "trace_id"]
    assert (
        lake.spans().select(columns).sort("span_id").collect().to_dicts()
        == undisturbed.spans().select(columns).sort("span_id").collect().to_dicts()
    )
    assert lake.exchanges().collect()["trace_id"].to_list() == ["run-1", "run-1"]


def test_one_unreadable_exchange_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in reading one call is logged, counted and passed over."""
    lake = Lake(tmp_path)
    pipeline = new_pipeline(lake)

    def explode(*_: object) -> None:
        raise ZeroDivisionError("a fault in a parser")

    with monkeypatch.context() as patched:
        patched.setattr("tracelake.ingest.pipeline.read_response", explode)
        for record in records(call(1, start_s=0, end_s=1)):
            pipeline.handle(record)
    assert pipeline.counters.failed == 1
    assert "call-1" in caplog.text
    for record in records(call(2, start_s=2, end_s=3)):
        pipeline.handle(record)
    answers = lake.spans().filter(kind="llm").sort("start_time").collect()["response"].to_list()
    assert answers[-1] == "answer 2"


def test_a_recorded_run_names_its_trace(tmp_path: Path) -> None:
    """The name that a user gave a run is the name of the trace; agents keep their own."""
    lake = Lake(tmp_path)
    pipeline = Pipeline(
        inference=Inference(),
        append=lake.append,
        done=ExchangeLog(lake.hot).done,
        identify=lambda _exchange: {},
        name_of_run={"run-1": "nightly check"}.get,
    )
    for record in records(call(1, start_s=0, end_s=1)):
        pipeline.handle(record)
    assert lake.traces().collect()["name"].to_list() == ["nightly check"]
    assert lake.traces().collect()["agents"].to_list() != ['["nightly check"]']


def test_openings_and_ends_come_in_order_of_time() -> None:
    """An end at the moment of an opening comes first; a call in flight has no end."""
    calls = [
        call(1, start_s=0, end_s=5),
        call(2, start_s=1, end_s=2),
        call(3, start_s=2, end_s=3, end_time=None),
    ]
    told = [(e.span_id, opens) for e, _, opens in in_order((c, True) for c in calls)]
    assert told == [
        ("call-1", True),
        ("call-2", True),
        ("call-2", False),
        ("call-3", True),
        ("call-1", False),
    ]


def test_reindex_changes_nothing_when_nothing_changed(tmp_path: Path) -> None:
    """Deriving again keeps ids and rows, sealed or not, and adds no revision."""
    lake = Lake(tmp_path)
    relay = ExchangeLog(lake.hot)
    pipeline = new_pipeline(lake)
    for number in range(3):
        both = records(call(number, start_s=number * 2, end_s=number * 2 + 1))
        relay.write(both)
        for record in both:
            pipeline.handle(record)
    later = NOW + timedelta(days=1)
    report = reindex(lake, later)
    assert (report.exchanges, report.failed) == (3, 0)
    lake.seal()
    before = lake.spans().sort("span_id").collect().to_dicts()
    assert {row["status"] for row in before} == {"ok"}
    reindex(lake, later)
    lake.seal()
    assert lake.spans().sort("span_id").collect().to_dicts() == before


def test_a_call_of_a_dead_relay_is_lost(tmp_path: Path) -> None:
    """The sealer's end of an exchange that nobody else will end ends its span, and says why."""
    lake = Lake(tmp_path)
    log, pipeline = ExchangeLog(lake.hot), new_pipeline(lake)
    log.opened(call(1, start_s=0, end_s=0))
    log.close()
    (segment,) = lake.hot.glob("*.xlog")
    for record in read_records(segment)[0]:
        pipeline.handle(record)
    assert Sealer(lake.location, lost_after_s=-60).seal().lost_exchanges == 1
    (ends,) = set(lake.hot.glob("[0-9]*.xlog")) - {segment}
    for record in read_records(ends)[0]:
        pipeline.handle(record)
    row = lake.spans().filter(span_id="call-1").collect().row(0, named=True)
    assert (row["status"], row["error_type"]) == ("lost", "lost")
    assert Sealer(lake.location).seal().exchanges == 1
