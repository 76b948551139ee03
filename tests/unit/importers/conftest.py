"""A lake to export from, and how two lakes are compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tracelake import Lake
from tracelake.importers import files_at, load

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from tracelake.importers import Imported

NOW = datetime.now(UTC)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A lake with a sealed trace that was amended, and a hot one that still runs."""
    path = tmp_path / "original"
    start = datetime(2026, 11, 20, 23, 59, 59, 123456, tzinfo=UTC)
    with Lake(path) as lake:
        for number in range(3):
            lake.append(call(f"s{number}", start + timedelta(seconds=number)))
        lake.append(
            {**call("s9", start), "data": {"source": "otlp", "error": "näh", "parameters": 7}}
        )
        lake.seal()
        later = start + timedelta(hours=1)
        lake.append(
            {**call("s1", later), "data": {"status": "ok", "duplicate_of": "s0", "odd": [1]}}
        )
        lake.seal()
        live = {"trace_id": "live", "agent_name": "planner", "timestamp": start}
        lake.append({**live, "event_type": "agent_start", "span_id": "root"})
        lake.append({**live, "event_type": "tool_call", "span_id": "t", "parent_id": "root"})
    return path


def call(span_id: str, start: datetime) -> dict[str, Any]:
    """One finished call of a model with every sort of value."""
    return {
        "event_type": "llm_call",
        "trace_id": "done",
        "span_id": span_id,
        "timestamp": start,
        "agent_name": "planner",
        "data": {
            "model": "m",
            "messages": [{"role": "user", "content": "“quoted”\n\x00 \U0001f300 " + span_id}],
            "request": {"temperature": 0.1, "big": 2**60},
            "response": "[1]",
            "tokens": {"input": 3, "output": 4},
            "cost_usd": 0.1 + 0.2,
            "confidence": 1,
            "auxiliary": span_id == "s2",
            "original_span_id": "s0",
            "evidence": "inferred",
            "source": "proxy",
            "duration_ms": 12.345,
            "unknown": {"deep": [None, "x"]},
        },
    }


def state(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Spans, without what storage numbers, and traces."""
    with Lake(path) as lake:
        spans = lake.spans().drop("revision").sort("trace_id", "span_id").collect()
        return spans, lake.traces().sort("trace_id").collect()


def same(left: Path, right: Path) -> bool:
    """Whether two lakes say the same."""
    return all(a.equals(b) for a, b in zip(state(left), state(right), strict=True))


def _untold(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


def import_into(lake: Path, path: Path) -> list[Imported]:
    """Import a path into a lake."""
    with Lake(lake) as opened:
        return load(opened, files_at(path), now=NOW, progress=_untold)
