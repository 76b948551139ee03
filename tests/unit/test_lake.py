"""The lake as its users see it: append, read, seal, read the same."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

from tracelake import Lake, Tracer
from tracelake.config import Location
from tracelake.errors import ConfigError, LakeLocked, NotInLake, SchemaTooNew
from tracelake.exporters.bundle import write_bundle
from tracelake.model import Exchange, to_iso
from tracelake.schema import EXCHANGES, SPANS, TRACES, polars_schema
from tracelake.storage import derive
from tracelake.storage.claim import carry_key
from tracelake.storage.compactor import Compactor
from tracelake.storage.lock import sealer_lock
from tracelake.storage.sealer import Sealer
from tracelake.storage.segment import list_segments
from tracelake.storage.xlog import ExchangeLog

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)


def event(event_type: str, span_id: str, seconds: float, **data: Any) -> dict[str, Any]:
    """An event envelope, `trace_id` and `parent_id` by name."""
    trace_id = data.pop("trace_id", "t1")
    parent_id = data.pop("parent_id", None)
    return {
        "event_type": event_type,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_id": parent_id,
        "timestamp": T0 + timedelta(seconds=seconds),
        "data": data,
    }


def story(lake: Lake, trace_id: str = "t1", offset_s: float = 0) -> None:
    """A finished trace: an agent, two calls and a failed tool."""
    for item in (
        event("agent_start", "root", offset_s, name="boss", trace_id=trace_id),
        event(
            "llm_call", "l1", offset_s + 1, parent_id="root", duration_ms=500.0, response="first",
            tokens={"input": 10, "output": 2}, cost_usd=0.25, model="m1", trace_id=trace_id,
        ),
        event(
            "tool_call", "x1", offset_s + 2, parent_id="root", tool_name="grep", error="none",
            trace_id=trace_id,
        ),
        event(
            "llm_call", "l2", offset_s + 3, parent_id="root", duration_ms=500.0, response="final",
            tokens={"input": 20, "output": 4}, model="m2", trace_id=trace_id,
        ),
        event(
            "llm_call", "aux", offset_s + 4, parent_id="root", auxiliary=True, cost_usd=9.0,
            response="title", tokens={"input": 500}, trace_id=trace_id,
        ),
        event("agent_end", "root", offset_s + 5, trace_id=trace_id),
    ):  # fmt: skip
        lake.append(item)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that does not exist yet."""
    return Lake(tmp_path / "lake")


def spans(lake: Lake) -> pl.DataFrame:
    """Every span, in a fixed order."""
    return lake.spans().sort("trace_id", "span_id").collect()


def test_an_empty_lake_answers(lake: Lake) -> None:
    """Every read of a lake that does not exist yet is empty, not an error, and writes nothing."""
    assert lake.spans().collect().schema == polars_schema(SPANS)
    assert lake.traces().collect().schema == polars_schema(TRACES)
    assert lake.exchanges().collect().schema == polars_schema(EXCHANGES)
    assert lake.latest_traces().is_empty()
    assert lake.files() == []
    assert lake.seal().events == 0
    with pytest.raises(NotInLake):
        lake.trace("none")


def test_reading_creates_nothing(lake: Lake) -> None:
    """Looking at a lake leaves no trace on the disk."""
    lake.spans().collect()
    assert not os.path.exists(lake.path)  # noqa: PTH110


def test_hot_and_sealed_read_the_same(lake: Lake) -> None:
    """Sealing moves rows; it never changes what a reader sees."""
    story(lake)
    before, traces = spans(lake), lake.traces().collect()
    assert lake.seal().spans == 5
    assert spans(lake).equals(before)
    assert lake.traces().collect().equals(traces)
    assert lake.trace("t1").equals(before.sort("start_time", "span_id"))
    assert Lake(lake.path).spans().sort("trace_id", "span_id").collect().equals(before)


def test_a_trace_rolls_up_its_spans(lake: Lake) -> None:
    """Sums leave auxiliary calls out; status, name and output are the root's."""
    story(lake)
    for _ in range(2):
        (row,) = lake.traces().collect().to_dicts()
        assert (row["name"], row["status"], row["final_output"]) == ("boss", "ok", "final")
        assert (row["span_count"], row["llm_calls"], row["tool_calls"]) == (5, 2, 1)
        assert (row["error_count"], row["tokens_input"], row["cost_usd"]) == (1, 30, 0.25)
        assert (row["duration_ms"], orjson.loads(row["models"])) == (5000.0, ["m1", "m2"])
        lake.seal()


def test_other_tools_read_the_sealed_lake(lake: Lake) -> None:
    """Polars' scan_delta, DuckDB and pyarrow see the same rows."""
    story(lake)
    lake.seal()
    assert pl.scan_delta(f"{lake.path}/spans").collect().height == 5
    assert duckdb.read_parquet(lake.files()).aggregate("count(*)").fetchall() == [(5,)]
    assert sum(pq.read_metadata(uri).num_rows for uri in lake.files()) == 5


def test_sealed_rows_are_sorted_and_zstd(lake: Lake) -> None:
    """Rows of one trace stand together, in start order, compressed: that is what dedups history."""
    for number in (3, 1, 2):
        story(lake, f"t{number}")
    lake.seal()
    (uri,) = lake.files()
    table = pq.read_table(uri, columns=["trace_id", "start_time"]).to_pylist()
    assert table == sorted(table, key=lambda row: (row["trace_id"], row["start_time"]))
    assert pq.read_metadata(uri).row_group(0).column(0).compression == "ZSTD"


def test_unfinished_spans_wait_in_the_carry(lake: Lake) -> None:
    """A span is sealed once, complete; until then it is hot, across any number of seals."""
    lake.append(event("agent_start", "root", 0, name="boss"))
    assert (lake.seal().carried, lake.seal().carried) == (1, 1)
    assert spans(lake)["status"].to_list() == ["running"]
    lake.append(event("agent_end", "root", 5))
    assert lake.seal().spans == 1
    row = spans(lake).to_dicts()[0]
    assert (row["status"], row["name"], row["duration_ms"]) == ("ok", "boss", 5000.0)
    assert pl.scan_delta(f"{lake.path}/spans").collect().height == 1


def test_a_late_fact_amends_a_sealed_span(lake: Lake) -> None:
    """It shows at once while hot, and as the higher revision when sealed; never as a second row."""
    story(lake)
    lake.seal()
    lake.append(event("span", "l1", 60, finish_reason="stop"))
    for revision in (0, 1):
        found = spans(lake)
        assert found.height == 5
        row = found.row(by_predicate=pl.col("span_id") == "l1", named=True)
        assert (row["finish_reason"], row["response"]) == ("stop", "first")
        assert row["revision"] == revision
        assert lake.trace("t1").height == 5
        report = lake.seal()
    assert report.events == 0
    assert pl.scan_delta(f"{lake.path}/spans").collect().height == 6


def test_an_echo_of_a_sealed_span_adds_nothing(lake: Lake) -> None:
    """Ingesting the same events again leaves the tables as they are."""
    story(lake)
    lake.seal()
    before = spans(lake)
    story(lake)
    assert spans(lake).equals(before)
    report = lake.seal()
    assert (report.events, report.spans) == (6, 0)
    assert spans(lake).equals(before)


def test_roll_ups_follow_late_spans_over_midnight(lake: Lake) -> None:
    """A span of another day joins its trace's one roll-up, also when it moves the trace's start."""
    story(lake)
    lake.seal()
    lake.append(event("llm_call", "next", 86400, parent_id="root", duration_ms=1.0, cost_usd=1.0))
    lake.seal()
    lake.append(event("tool_call", "early", -86400, parent_id="root"))
    hot = lake.traces().collect().to_dicts()
    lake.seal()
    (row,) = lake.traces().collect().to_dicts()
    assert hot == [row]
    assert (row["span_count"], row["cost_usd"]) == (7, 1.25)
    assert row["date"] == (T0 - timedelta(days=1)).date()
    assert lake.trace("t1").height == 7


def test_the_latest_traces_are_the_newest(lake: Lake) -> None:
    """Across days, hot and sealed, newest first."""
    for day in range(5):
        story(lake, f"t{day}", day * 86400)
        if day % 2:
            lake.seal()
    assert lake.latest_traces(3)["trace_id"].to_list() == ["t4", "t3", "t2"]
    lake.seal()
    assert lake.latest_traces(3)["trace_id"].to_list() == ["t4", "t3", "t2"]
    assert lake.latest_traces(50).height == 5


def test_spans_of_a_dead_process_become_lost_and_a_late_end_amends(tmp_path: Path) -> None:
    """Nobody waits for ever for the end of a killed program, yet its end is taken if it comes."""
    lake = Lake(tmp_path)
    child = os.fork()
    if child == 0:
        lake.append(event("agent_start", "root", 0, name="boss"))
        os._exit(0)
    os.waitpid(child, 0)
    patient = Sealer(lake.location, lost_after_s=1e12)
    assert patient.seal().lost == 0
    assert Sealer(lake.location, lost_after_s=0).seal().lost == 1
    assert spans(lake)["status"].to_list() == ["lost"]
    lake.append(event("agent_end", "root", 9))
    assert spans(lake)["status"].to_list() == ["ok"]
    assert lake.seal().amended == 1
    assert spans(lake).select("status", "duration_ms").row(0) == ("ok", 9000.0)


def test_spans_of_a_living_process_are_never_lost(lake: Lake) -> None:
    """A long call is not given up while its process lives."""
    lake.append(event("agent_start", "root", 0))
    assert Sealer(lake.location, lost_after_s=0).seal().lost == 0


def test_segments_are_reaped_only_when_safe(lake: Lake) -> None:
    """A segment goes when nobody writes it, it is sealed, and the grace has passed."""
    story(lake)
    eager = Sealer(lake.location, reap_grace_s=0)
    assert eager.seal().reaped == 0
    lake.close()
    assert Sealer(lake.location, reap_grace_s=3600).seal().reaped == 0
    assert eager.seal().reaped == 1
    assert list_segments(lake.hot) == {}
    assert spans(lake).height == 5


def test_small_batches_give_the_same_lake(tmp_path: Path) -> None:
    """A long backlog is sealed in bounded steps without a difference in the result."""
    one, many = Lake(tmp_path / "one"), Lake(tmp_path / "many")
    for lake in (one, many):
        for number in range(20):
            story(lake, f"t{number:02}", number)
    assert one.seal().spans == 100
    assert Sealer(many.location, batch_bytes=1000).seal().spans == 100
    assert spans(one).equals(spans(many))
    assert one.traces().sort("trace_id").collect().equals(many.traces().sort("trace_id").collect())


def test_a_sealer_that_died_before_the_roll_ups_is_made_good(lake: Lake) -> None:
    """Readers see right roll-ups at once, and the next seal writes them."""
    story(lake)
    sealer = Sealer(lake.location)
    sealer._derive_traces = lambda *_: 0  # type: ignore[method-assign] # as if killed here
    sealer.seal()
    assert pl.DataFrame(lake.files("traces")).is_empty()
    (row,) = lake.traces().collect().to_dicts()
    assert (row["span_count"], row["final_output"]) == (5, "final")
    assert lake.trace("t1").height == 5
    assert lake.latest_traces().height == 1
    assert lake.seal().traces == 1
    assert lake.traces().collect().to_dicts() == [row]
    assert len(lake.files("traces")) == 1


def test_a_second_sealer_waits_its_turn(lake: Lake) -> None:
    """Only one process changes the tables; another hears so instead of spoiling its work."""
    story(lake)
    with sealer_lock(lake.hot), pytest.raises(LakeLocked):
        Sealer(lake.location).seal(timeout_s=0.05)
    assert lake.seal().spans == 5


def test_two_hot_folders_share_one_set_of_tables(tmp_path: Path) -> None:
    """Hosts that seal into the same tables do not disturb each other's carry."""
    tables = str(tmp_path / "tables")
    here, there = (Lake(Location(tables, tmp_path / name)) for name in ("here", "there"))
    here.append(event("agent_start", "a", 0, trace_id="here"))
    there.append(event("agent_start", "b", 0, trace_id="there"))
    here.seal(), there.seal(), here.seal()
    here.append(event("agent_end", "a", 1, trace_id="here"))
    there.append(event("agent_end", "b", 1, trace_id="there"))
    here.seal(), there.seal()
    assert spans(here)["span_id"].to_list() == ["a", "b"]
    assert here.traces().collect().height == 2


@pytest.mark.parametrize("sealed_before", [False, True])
def test_a_host_that_joins_while_another_rolls_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sealed_before: bool
) -> None:
    """Both roll up the trace that the one has just sealed; it stands in `traces` once."""
    tables = str(tmp_path / "tables")
    here, there = (Lake(Location(tables, tmp_path / name)) for name in ("here", "there"))
    if sealed_before:
        here.append({**event("llm_call", "x", 0, trace_id="first"), "timestamp": "2025-01-01"})
        here.seal()
    here.append(event("llm_call", "a", 0, trace_id="one"))
    there.append(event("llm_call", "b", 0, trace_id="two"))
    commit, others = derive.rewrite, [there]

    def rewrite(*arguments: Any) -> int:
        if others:
            others.pop().seal()
        return commit(*arguments)

    monkeypatch.setattr(derive, "rewrite", rewrite)
    here.seal()
    found = sorted(here.traces().collect()["trace_id"])
    assert found == [*(["first"] if sealed_before else []), "one", "two"]


def test_a_newer_lake_is_refused(lake: Lake) -> None:
    """An old program never guesses at tables it does not know."""
    story(lake)
    lake.seal()
    table = deltalake.DeltaTable(f"{lake.path}/spans")
    table.alter.set_table_properties({"tracelake.schemaVersion": "99"}, raise_if_not_exists=False)
    with pytest.raises(SchemaTooNew, match="schema version 99"):
        Lake(lake.path).spans()
    with pytest.raises(SchemaTooNew):
        Lake(lake.path).seal()


def test_a_truncated_file_costs_only_its_own_rows(lake: Lake) -> None:
    """The rest of the lake stays readable."""
    story(lake, "t1")
    lake.seal()
    story(lake, "t2")
    lake.seal()
    first, _ = sorted(lake.files(), key=os.path.getmtime)
    os.truncate(first, 100)
    fresh = Lake(lake.path)
    assert set(fresh.spans().collect()["trace_id"]) == {"t2"}


def test_many_threads_read_while_one_writes(lake: Lake) -> None:
    """One Lake object serves the threads of an app; counts never go backwards."""
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        last = 0
        while not done.is_set():
            found = lake.spans().select("span_id").collect()
            if found.height < last or found["span_id"].n_unique() != found.height:
                problems.append(f"{last} then {found.height}")
            last = found.height

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        lake.append(event("tool_call", f"s{number}", number))
        if number % 20 == 19:
            lake.seal()
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert spans(lake).height == 60


def test_exchanges_are_sealed_when_ended_and_done(lake: Lake) -> None:
    """The raw exchange is readable from its first record and becomes a row exactly once."""
    log = ExchangeLog(lake.hot)
    exchange = Exchange("e1", T0, "POST", "/v1/messages", "anthropic", (("a", "b"),), b"ask")
    log.opened(exchange)
    assert lake.exchanges().collect()["outcome"].to_list() == ["running"]
    assert lake.sealer().seal().exchanges == 0
    ended = Exchange(
        "e1", T0, "POST", "/v1/messages", "anthropic", (("a", "b"),), b"ask",
        end_time=T0, status=200, response_body=b"\x00answer", outcome="ok",
    )  # fmt: skip
    log.ended(ended)
    lake.seal()
    assert lake.exchanges().collect()["trace_id"].to_list() == [None]
    log.done("e1", "t1", None)
    before = lake.exchanges().collect()
    assert lake.seal().exchanges == 1
    assert lake.exchanges().collect().equals(before)
    assert before.select("trace_id", "response_body").row(0) == ("t1", b"\x00answer")
    assert lake.seal().exchanges == 0


def test_an_exchange_of_a_dead_relay_becomes_lost(lake: Lake) -> None:
    """It is ended by a record like the relay's own, once; it is sealed when spans were derived."""
    child = os.fork()
    if child == 0:
        ExchangeLog(lake.hot).opened(
            Exchange("e1", T0, "POST", "/v1/messages", "anthropic", (), b"")
        )
        os._exit(0)
    os.waitpid(child, 0)
    assert Sealer(lake.location, lost_after_s=3600).seal().lost_exchanges == 0
    impatient = Sealer(lake.location, lost_after_s=0, reap_grace_s=0)
    assert impatient.seal().lost_exchanges == 1
    (row,) = lake.exchanges().collect().to_dicts()
    assert (row["outcome"], row["end_time"] >= T0) == ("lost", True)
    assert (impatient.seal().lost_exchanges, impatient.seal().exchanges) == (0, 0)
    log = ExchangeLog(lake.hot)
    log.done("e1", "t1", None)
    log.close()
    assert impatient.seal().exchanges == 1
    (row,) = lake.exchanges().collect().to_dicts()
    assert (row["outcome"], row["trace_id"]) == ("lost", "t1")
    impatient.seal()
    assert list_segments(lake.hot, ".xlog") == {}


def test_an_exchange_of_a_living_relay_is_never_lost(lake: Lake) -> None:
    """A long stream goes on, also when it was carried over seals."""
    log = ExchangeLog(lake.hot)
    log.opened(Exchange("e1", T0, "POST", "/v1/messages", "anthropic", (), b""))
    impatient = Sealer(lake.location, lost_after_s=0, reap_grace_s=0)
    assert [impatient.seal().lost_exchanges for _ in range(3)] == [0, 0, 0]
    assert lake.exchanges().collect()["outcome"].to_list() == ["running"]
    log.close()
    assert impatient.seal().lost_exchanges == 1


def test_the_log_of_the_tables_forgets_segments(lake: Lake) -> None:
    """However many processes wrote, the table remembers a number, not a line for each of them."""
    sealer = Sealer(lake.location, reap_grace_s=0)
    for number in range(8):
        writer = Lake(lake.path)
        story(writer, f"t{number}")
        writer.close()
        sealer.seal()
    assert list_segments(lake.hot) == {}
    deltalake.DeltaTable(f"{lake.path}/spans").create_checkpoint()
    log = Path(lake.path, "spans", "_delta_log")
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    remembered = pl.read_parquet(checkpoint)["txn"].struct.field("appId").drop_nulls()
    assert remembered.to_list() == [carry_key(lake.location)]
    carried = max(lake.hot.glob("carry-*.jsonl"), key=lambda path: int(path.stem[6:]))
    assert carried.stat().st_size < 300
    assert spans(Lake(lake.path)).height == 40


def test_segments_of_exchanges_wait_for_who_derives_spans(lake: Lake) -> None:
    """An exchange that nobody has read yet stays in its segment, whatever was sealed."""
    log = ExchangeLog(lake.hot)
    exchange = Exchange("e1", T0, "POST", "/v1/messages", "anthropic", (), b"ask", end_time=T0)
    log.opened(exchange)
    log.ended(exchange)
    log.close()
    eager = Sealer(lake.location, reap_grace_s=0)
    assert (eager.seal().reaped, eager.seal().reaped) == (0, 0)
    log.done("e1", "t1", None)
    log.close()
    assert eager.seal().reaped == 2
    assert lake.exchanges().collect()["trace_id"].to_list() == ["t1"]


def test_a_local_date_never_decides_the_partition(lake: Lake, monkeypatch: Any) -> None:
    """The partition is the UTC day, wherever the machine stands."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    with Tracer(lake).agent("boss"):
        pass
    row = spans(lake).to_dicts()[0]
    assert row["date"] == row["start_time"].astimezone(UTC).date()


def test_an_opening_that_comes_after_a_lone_call_keeps_what_the_call_said(lake: Lake) -> None:
    """A span that is unfinished again after all waits with everything that was said of it."""
    lake.append(event("llm_call", "l1", 0, response="said", model="m"))
    lake.append(event("llm_call", "l1", 1, status="running"))
    before = spans(lake)
    assert before["status"].to_list() == ["running"]
    assert lake.seal().carried == 1
    assert spans(lake).equals(before)
    lake.append(event("llm_call", "l1", 2, status="ok"))
    lake.seal()
    assert spans(lake).select("status", "response", "model").rows() == [("ok", "said", "m")]


def test_times_at_the_ends_of_the_calendar_spoil_nothing(lake: Lake) -> None:
    """Programs write year 1 and year 9999 where they know no time; everything else goes on."""
    story(lake)
    first = datetime(1, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    for trace_id, moment in (("first", first), ("last", last)):
        lake.append(
            {
                **event("llm_call", "s", 0, trace_id=trace_id, status="ok"),
                "timestamp": to_iso(moment),
            }
        )
    before = lake.spans().sort("trace_id", "span_id").collect()
    lake.seal()
    again = Lake(lake.path)
    assert again.spans().sort("trace_id", "span_id").collect().equals(before)
    assert again.trace("first")["start_time"].item() == first
    assert again.latest_traces(3)["trace_id"].to_list() == ["last", "t1", "first"]
    assert again.verify().is_clean
    file = BytesIO()
    write_bundle(again, again.spans().collect(), file)
    assert pl.read_parquet(file.getvalue()).height == before.height
    again.append(event("llm_call", "later", 9, status="ok"))
    assert again.seal().spans == 1
    again.compact()
    assert again.delete(before=T0) == 1


@pytest.mark.parametrize("name", ["with space", "ünï", "p#?&+", "100%", "q'\"[*]{x}:"])
def test_a_lake_lies_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """What was sealed is read, compacted, deleted and taken along, by every engine."""
    lake = Lake(tmp_path / name / "lake")
    for trace_ids in (("t1", "t3"), ("t2",)):
        for trace_id in trace_ids:
            story(lake, trace_id)
        lake.seal()
    report = Compactor(lake.location, vacuum_grace_s=0).compact(today=T0.date() + timedelta(days=2))
    assert report.files_after == report.vacuumed // 2 > 0
    again = Lake(lake.path)
    assert again.spans().collect().height == 15
    assert again.trace("t2").height == 5
    assert len(again.scan("spans", engine="duckdb").collect()) == 15
    assert again.verify().is_clean
    assert all(Path(uri).is_file() for uri in again.files())
    assert again.delete("t1") == 1
    assert again.seal().purged > 0
    assert Lake(lake.path).spans().collect().height == 10


@pytest.mark.parametrize("name", ["p%41", "back\\slash", "run=5"])
def test_a_folder_that_would_be_taken_for_another_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is recorded into it, in one line."""
    with pytest.raises(ConfigError, match=r"\A[^\n]*choose a path[^\n]*\Z"):
        Lake(tmp_path / name)
