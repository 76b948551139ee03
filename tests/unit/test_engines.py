"""The same questions on several engines, on the same lake, give the same rows."""

from __future__ import annotations

import math
import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl
import pytest

from tracelake import Lake
from tracelake.errors import LakeError, QueryError, UnknownColumn
from tracelake.query import calls, rollups
from tracelake.query.traces import TraceFilter, filter_traces, sort_traces
from tracelake.schema import TABLES, polars_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T0 = datetime(2025, 11, 22, 20, tzinfo=UTC)
#: Spark takes minutes on a small machine: asked for by name, and in the nightly run.
WITH_SPARK = os.environ.get("TRACELAKE_SPARK") == "1"

ENGINES = [
    "duckdb",
    pytest.param(
        "pyspark",
        marks=pytest.mark.skipif(
            not WITH_SPARK, reason="set TRACELAKE_SPARK=1 to compare PySpark too (needs Java)"
        ),
    ),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three days: sealed, compacted, amended, deleted, carried and hot rows."""
    lake = Lake(tmp_path_factory.mktemp("engines"))
    chance = random.Random(3)
    for number in range(60):
        _trace(lake, f"t{number:02}", T0 + timedelta(hours=number % 30, seconds=number), chance)
        if number in {20, 40}:
            lake.seal()
    lake.compact(today=(T0 + timedelta(days=9)).date())
    for number in (3, 30, 50):
        _append(lake, "span", f"t{number:02}", "l1", T0 + timedelta(days=3), error_type="Late")
        if number == 30:
            lake.seal()
    lake.delete("t05")
    lake.delete("t45")
    _append(lake, "agent_start", "t99", "root", T0 + timedelta(days=2), name="unfinished")
    return lake


def _append(lake: Lake, kind: str, trace_id: str, span_id: str, at: datetime, **data: Any) -> None:
    lake.append(
        {
            "event_type": kind,
            "trace_id": trace_id,
            "span_id": span_id,
            "parent_id": None if span_id == "root" else "root",
            "agent_name": data.pop("agent_name", None),
            "timestamp": at,
            "data": data,
        }
    )


def _trace(lake: Lake, trace_id: str, at: datetime, chance: random.Random) -> None:
    agent = chance.choice(["boss", "coder", "Prüfer"])
    _append(lake, "agent_start", trace_id, "root", at, agent_name=agent)
    for number in range(4):
        moment = at + timedelta(seconds=number)
        _append(
            lake, "llm_call", trace_id, f"l{number}", moment, agent_name=agent,
            model=chance.choice(["m1", "m2", None]), duration_ms=chance.randrange(5000) / 8,
            messages=[{"role": "user", "content": f'say "{chance.choice(["Needle", "hay"])}" ü'}],
            response="done", cost_usd=chance.choice([None, 0.25, 0.5]),
            tokens={"input": chance.randrange(1000), "output": 7},
            auxiliary=number == 3 or None, ttft_ms=float(number),
        )  # fmt: skip
        if chance.random() < 0.5:
            problem = chance.choice([None, "no such file"])
            tool = f"x{number}"
            _append(
                lake, "tool_call", trace_id, tool, moment, tool_name="grep", error=problem,
                agent_name=agent, result="a needle", duration_ms=3.0,
            )  # fmt: skip
    _append(lake, "agent_end", trace_id, "root", at + timedelta(seconds=5), agent_name=agent)


Frame = nw.LazyFrame[Any]
WANTED = TraceFilter(agents=("boss", "Prüfer"), with_errors=True, min_cost_usd=0.3, text="needle")
QUESTIONS: dict[str, Callable[[Frame, Frame], Frame]] = {
    "latest traces": lambda _, traces: sort_traces(traces, "newest").head(20),
    "filtered traces": lambda spans, traces: filter_traces(traces, spans, WANTED),
    "agent and error in a day": lambda spans, _: calls.find_spans(
        spans, since=T0, until=T0 + timedelta(days=1), agent_name="boss", status="error"
    ),
    "one trace": lambda spans, _: spans.filter(nw.col("trace_id") == "t30"),
    "text": lambda spans, _: calls.search_text(spans, 'say "needle"', since=T0),
    "cost by model and day": lambda spans, _: rollups.cost_by_model(spans),
    "cost by agent": lambda spans, _: calls.cost_by(spans),
    "calls by day": lambda spans, _: rollups.calls_by_day(spans),
    "latency by model": lambda spans, _: calls.latency_by(spans),
    "latency by day": lambda spans, _: rollups.latency_by_day(spans),
    "error rates": lambda spans, _: calls.error_rates(spans, "tool_name"),
    "totals": lambda spans, traces: rollups.totals(traces, rollups.not_spent(spans)),
    "all spans": lambda spans, _: spans,
    "all traces": lambda _, traces: traces,
}


def _rows(frame: Frame) -> list[tuple[Any, ...]]:
    """Rows in a fixed order, with numbers and times of one kind."""
    collected = frame.collect().to_polars()
    return sorted((tuple(map(_plain, row)) for row in collected.iter_rows()), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bool) or value is None or isinstance(value, str | bytes):
        return value
    return round(float(value), 6) if hasattr(value, "__float__") else value


@pytest.fixture(scope="module")
def answers(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """What polars answers."""
    spans, traces = lake.scan("spans"), lake.scan("traces")
    return {name: _rows(ask(spans, traces)) for name, ask in QUESTIONS.items()}


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, Any]]:
    """One session an engine, so that Spark starts once."""
    made: dict[str, Any] = {}
    yield made
    if "pyspark" in made:
        made["pyspark"].stop()


def _session(engine: str, sessions: dict[str, Any]) -> Any:
    if engine == "pyspark" and engine not in sessions:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        sessions[engine] = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    return sessions.get(engine)


@pytest.mark.filterwarnings("ignore")  # engines warn of their own affairs
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_engines_agree(
    lake: Lake, engine: Any, answers: dict[str, list[tuple[Any, ...]]], sessions: dict[str, Any]
) -> None:
    """Every question has the same rows on every engine, hot, amended and deleted rows included."""
    session = _session(engine, sessions)
    spans = lake.scan("spans", engine=engine, session=session)
    traces = lake.scan("traces", engine=engine, session=session)
    for name, ask in QUESTIONS.items():
        found = _rows(ask(spans, traces))
        assert found == answers[name], name


def test_polars_answers_what_the_lake_answers(
    lake: Lake, answers: dict[str, list[tuple[Any, ...]]]
) -> None:
    """`scan` and the plain readers see the same rows, and the questions have answers at all."""
    assert answers["all spans"] == _rows(nw.from_native(lake.spans()))
    assert answers["all traces"] == _rows(nw.from_native(lake.traces()))
    assert all(answers.values())
    assert {"t05", "t45"}.isdisjoint(row[0] for row in answers["all spans"])


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_can_be_scanned(lake: Lake, table: str) -> None:
    """Also the small ones, and the empty ones, with their columns."""
    frame = lake.scan(table).collect().to_polars()
    assert frame.schema == polars_schema(TABLES[table])


def test_wrong_questions_say_what_to_do(lake: Lake) -> None:
    """An unknown engine, table or column is one clear error."""
    with pytest.raises(QueryError, match="use polars"):
        lake.scan("spans", engine="abacus")  # type: ignore[arg-type]
    with pytest.raises(LakeError, match="no table"):
        lake.scan("nothing")
    with pytest.raises(UnknownColumn):
        calls.search_text(nw.from_native(pl.LazyFrame()), "x", columns=("date",))
