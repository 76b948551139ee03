"""Commits of rows and offsets together."""

from __future__ import annotations

from pathlib import Path

import deltalake
import polars as pl
import pytest

from tracelake.schema import RUNS, Table, polars_schema
from tracelake.storage.rewrite import append
from tracelake.storage.table import DeltaStore, version_of

EMPTY = pl.DataFrame(schema=polars_schema(RUNS))


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    """A table that does not exist yet."""
    return DeltaStore(str(tmp_path), RUNS)


def _run(run_id: str) -> pl.DataFrame:
    row = {"run_id": run_id, "date": "2025-11-22"}
    frame = pl.DataFrame(row).with_columns(pl.col("date").str.to_date())
    return pl.concat([EMPTY, frame], how="diagonal")


def test_an_offset_is_committed_without_rows(store: DeltaStore) -> None:
    """Reading what adds nothing still moves on."""
    append(store, EMPTY, {"app": 7})
    snapshot = store.snapshot()
    assert (snapshot.offset("app"), snapshot.offset("other"), snapshot.files) == (7, 0, ())


def test_commits_are_folded_into_checkpoints(store: DeltaStore) -> None:
    """Opening a table never reads all commits that there ever were."""
    for number in range(52):
        append(store, _run(f"r{number}"), {"app": number})
    assert list(Path(store.uri, "_delta_log").glob("*.checkpoint.parquet"))
    assert store.snapshot().scan().collect().height == 52
    assert DeltaStore(str(Path(store.uri).parent), RUNS).snapshot().offset("app") == 51


def test_an_older_table_gets_our_columns_and_version(tmp_path: Path) -> None:
    """Columns only come; rows written before read as null there, and older programs are refused."""
    old = DeltaStore(str(tmp_path), Table("runs", (*RUNS.columns[:3], RUNS.columns[-1]), RUNS.sort))
    append(old, _run("old").select(old.table.names), {})
    deltalake.DeltaTable(old.uri).alter.set_table_properties(
        {"tracelake.schemaVersion": "1"}, raise_if_not_exists=False
    )
    store = DeltaStore(str(tmp_path), RUNS)
    assert store.snapshot().scan().collect()["cwd"].to_list() == [None]
    store.bring_forward()
    append(store, _run("new").with_columns(cwd=pl.lit("/here")), {})
    table = deltalake.DeltaTable(store.uri)
    assert version_of(table) == 2
    assert {column.name for column in table.schema().fields} == set(RUNS.names)
    rows = store.snapshot().scan().sort("run_id").collect()
    assert rows["cwd"].to_list() == ["/here", None]
    assert pl.scan_delta(store.uri).collect().height == 2
