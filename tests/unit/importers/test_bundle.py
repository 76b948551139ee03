"""A bundle opens as the lake it came from, all of it; a bad one changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.unit.importers.conftest import import_into, same
from tracelake import Lake
from tracelake.cli import main
from tracelake.errors import ImportFailed
from tracelake.model import Exchange
from tracelake.schema import CHECKPOINTS, EXCHANGES, RUNS
from tracelake.storage.bundle import KEY, Manifest, read_manifest, write_bundle
from tracelake.storage.xlog import ExchangeLog, ended_record, opened_record

if TYPE_CHECKING:
    from pathlib import Path

    from tracelake.schema import Table

START = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
FURTHER = ("runs", "annotations", "checkpoints")


def exchange(span_id: str, trace_id: str = "done") -> Exchange:
    """An exchange that ended."""
    return Exchange(
        span_id=span_id,
        trace_id=trace_id,
        start_time=START,
        end_time=START + timedelta(seconds=1),
        method="POST",
        path="/v1/messages",
        upstream="anthropic",
        request_headers=(("content-type", "application/json"),),
        request_body=b'{"secret-42": "\xf0\x9f\x8c\x80"}',
        status=200,
        response_headers=(("content-encoding", "gzip"),),
        response_body=b"\x1f\x8b\x00 not text",
        outcome="ok",
        client={"pid": 7, "command": ["python"]},
    )


@pytest.fixture
def whole(original: Path) -> Path:
    """The lake with exchanges, a recorded run, a note and a checkpoint."""
    log = ExchangeLog(original / "hot")
    for span_id in ("s0", "s1"):
        log.write([opened_record(exchange(span_id)), ended_record(exchange(span_id))])
        log.done(span_id, "done", None)
    log.close()
    run = {"run_id": "done", "start_time": START, "command": ["python", "a.py"], "cwd": "/gone"}
    note = {"trace_id": "done", "span_id": "s0", "start_time": START, "author": "me"}
    with Lake(original) as lake:
        lake.write("runs", [{**run, "environment": {"A": "1"}, "git": None, "files": b"PK\x00"}])
        lake.write("annotations", [{**note, "annotation_id": "n1", "text": "odd"}])
        lake.write("checkpoints", [{**_checkpoint("c1"), "edit": {"response_text": "no"}}])
        lake.write("checkpoints", [_checkpoint("c2", trace_id="live")])
    return original


def _checkpoint(checkpoint_id: str, trace_id: str = "done") -> dict[str, Any]:
    where = {"trace_id": trace_id, "span_id": "s1", "start_time": START}
    return {"checkpoint_id": checkpoint_id, "name": "here", **where}


def further(path: Path) -> list[pl.DataFrame]:
    """Every table of a lake that is neither spans nor derived from them."""
    with Lake(path) as lake:
        exchanges = lake.exchanges().sort("span_id").collect()
        rows = [lake.records(name).collect() for name in FURTHER]
        return [exchanges, *(one.sort(one.columns[0]) for one in rows)]


def alike(left: Path, right: Path) -> bool:
    """Whether two lakes hold the same, all of it."""
    pairs = zip(further(left), further(right), strict=True)
    return same(left, right) and all(a.equals(b) for a, b in pairs)


def export(lake: Path, file: Path, *words: str) -> Path:
    """A file written by the command."""
    assert main(["export", str(file), *words, "--lake", str(lake)]) == 0
    return file


def test_a_bundle_opens_as_the_lake_it_came_from(whole: Path, tmp_path: Path) -> None:
    """Exchanges, runs, notes and checkpoints too; a second time, and after a seal, nothing more."""
    file, copy = export(whole, tmp_path / "x.parquet"), tmp_path / "copy"
    (report,) = import_into(copy, file)
    assert report.others == {"exchanges": 2, "runs": 1, "annotations": 1, "checkpoints": 2}
    assert alike(whole, copy)
    (again,) = import_into(copy, file)
    assert again.others == {}
    with Lake(copy) as lake:
        lake.seal()
        lake.compact()
        assert lake.verify().is_clean
    assert alike(whole, copy)
    (back,) = import_into(whole, file)
    assert back.others == {}
    assert alike(whole, copy)


def test_only_what_belongs_to_the_chosen_traces_leaves(whole: Path, tmp_path: Path) -> None:
    """One trace takes its own rows along; without them where that is asked for."""
    file = export(whole, tmp_path / "live.parquet", "--trace", "live")
    manifest = read_manifest(file)
    assert manifest is not None
    assert {name: manifest.rows(name) for name in manifest.parts} == {"checkpoints": 1}
    bare = read_manifest(export(whole, tmp_path / "bare.parquet", "--spans-only"))
    assert bare == Manifest(spans=6)


def test_any_tool_reads_a_bundle_as_spans(whole: Path, tmp_path: Path) -> None:
    """Polars, DuckDB and pyarrow find the spans; what a tool wrote anew is read as spans."""
    import duckdb

    file, copy = export(whole, tmp_path / "x.parquet"), tmp_path / "copy"
    with Lake(whole) as lake:
        spans = lake.spans().sort("trace_id", "start_time", "span_id").collect()
    assert pl.read_parquet(file).equals(spans)
    assert pl.scan_parquet(file).filter(kind="tool").select("span_id").collect().height == 1
    found = duckdb.read_parquet(str(file)).select("span_id", "messages").fetchall()
    assert found == spans.select("span_id", "messages").rows()
    anew = tmp_path / "anew.parquet"
    pq.write_table(pq.read_table(file).replace_schema_metadata(None), anew)
    (report,) = import_into(copy, anew)
    assert (report.spans, report.others) == (6, {})


def test_a_run_that_ended_meanwhile_is_brought_up_to_date(whole: Path, tmp_path: Path) -> None:
    """The newer export ends the run that the older one had running; the older changes nothing."""
    copy = tmp_path / "copy"
    before = export(whole, tmp_path / "before.parquet")
    import_into(copy, before)
    with Lake(whole) as lake:
        run = lake.records("runs").drop("date").collect().row(0, named=True)
        run |= {name: json.loads(run[name] or "null") for name in ("command", "environment", "git")}
        lake.write("runs", [{**run, "end_time": START + timedelta(hours=1), "exit_code": 3}])
    import_into(copy, export(whole, tmp_path / "after.parquet"))
    import_into(copy, before)
    with Lake(copy) as lake:
        assert lake.records("runs").collect()["exit_code"].to_list() == [3]


def test_deleted_traces_take_nothing_along(whole: Path, tmp_path: Path) -> None:
    """What was deleted within the last day stays away with all that belongs to it."""
    file, copy = export(whole, tmp_path / "x.parquet"), tmp_path / "copy"
    import_into(copy, file)
    with Lake(copy) as lake:
        lake.delete("done")
    (report,) = import_into(copy, file)
    assert (report.deleted, report.others) == (1, {})
    exchanges, runs, notes, checkpoints = further(copy)
    assert (exchanges.height, runs.height, notes.height) == (0, 0, 0)
    assert checkpoints["trace_id"].to_list() == ["live"]


def test_exchanges_stay_out_of_a_lake_that_redacts(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Their bytes may hold what must not be written; it is said how many."""
    file, copy = export(whole, tmp_path / "x.parquet"), tmp_path / "copy"
    monkeypatch.setenv("TRACELAKE_REDACT", "secret-[0-9]+")
    assert main(["import", str(file), "--lake", str(copy)]) == 0
    assert "left out 2 recorded HTTP exchanges" in capsys.readouterr().err
    assert further(copy)[0].is_empty()
    assert further(copy)[1].height == 1


def _exchanges(**changed: Any) -> pl.DataFrame:
    row = {
        "span_id": "s0",
        "trace_id": "done",
        "start_time": START,
        "method": "POST",
        "path": "/",
        "upstream": "anthropic",
        "outcome": "ok",
    }
    return pl.DataFrame([{**row, **changed}])


@pytest.mark.parametrize(
    ("table", "rows", "said"),
    [
        (EXCHANGES, _exchanges(trace_id="other"), "s0 speaks of a trace that the file does not"),
        (EXCHANGES, _exchanges(span_id="no id"), "span_id is no id: 'no id'"),
        (EXCHANGES, _exchanges(outcome="running"), "s0 is no exchange that ended"),
        (EXCHANGES, _exchanges(request_headers="[["), "request_headers is not JSON"),
        (EXCHANGES, _exchanges(request_headers="[[1, 2]]"), "request_headers does not hold what"),
        (EXCHANGES, _exchanges(colour="red"), "exchanges has no column colour"),
        (EXCHANGES, _exchanges(status="200"), "column status holds string, not int64"),
        (EXCHANGES, _exchanges(start_time=None), "start_time of s0 is null"),
        (RUNS, pl.DataFrame([{"run_id": "r", "start_time": START}]), "r has no command"),
        (
            RUNS,
            pl.DataFrame([{"run_id": "r", "start_time": START, "command": '"rm"'}]),
            "command does not hold what belongs there",
        ),
        (
            CHECKPOINTS,
            pl.DataFrame([{**_checkpoint("c"), "edit": "[1]"}]),
            "edit does not hold what belongs there",
        ),
    ],
)
def test_a_bad_row_changes_nothing(
    whole: Path, tmp_path: Path, table: Table, rows: pl.DataFrame, said: str
) -> None:
    """The message names the file and the table; not even the good spans were appended."""
    file = tmp_path / "x.parquet"
    with Lake(whole) as lake:
        spans = lake.spans().sort("trace_id", "start_time").collect()
    if rows["start_time"].dtype == pl.Null:
        rows = rows.cast({"start_time": pl.Datetime("us", "UTC")})
    with file.open("wb") as opened:
        write_bundle(opened, spans, [(table, rows)])
    with pytest.raises(ImportFailed) as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert str(file) in str(raised.value)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"nonsense", "its list of tables cannot be read"),
        (b'{"format": 1, "schema": 1, "spans": 6}', "its list of tables cannot be read"),
        (b'{"format": 9, "schema": 1, "spans": 6, "parts": {}}', "upgrade tracelake"),
        (b'{"format": 1, "schema": 99, "spans": 6, "parts": {}}', "upgrade tracelake"),
        (b'{"format": 1, "schema": 1, "spans": 7, "parts": {}}', "7 spans and has 6"),
        (b'{"format": 1, "schema": 1, "spans": 6, "parts": {"x": [[0, 1, 1]]}}', "a table 'x'"),
        (
            b'{"format": 1, "schema": 1, "spans": 6, "parts": {"runs": [[0, 99999999, 1]]}}',
            "the table runs lies outside of the file",
        ),
        (b'{"format": 1, "schema": 1, "spans": 6, "parts": {"runs": [[0, 40, 1]]}}', "table runs"),
    ],
)
def test_a_list_of_tables_that_does_not_fit_changes_nothing(
    whole: Path, tmp_path: Path, manifest: bytes, said: str
) -> None:
    """One line says what is wrong with the file."""
    file = tmp_path / "x.parquet"
    spans = pq.read_table(export(whole, file))
    pq.write_table(spans.replace_schema_metadata({KEY: manifest}), file)
    with pytest.raises(ImportFailed, match=r"x\.parquet: ") as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "copy").exists()


def test_a_part_that_is_damaged_changes_nothing(whole: Path, tmp_path: Path) -> None:
    """Bytes of a body that changed on the way are found by their checksum."""
    file = export(whole, tmp_path / "x.parquet")
    manifest = read_manifest(file)
    assert manifest is not None
    (part,) = manifest.parts["exchanges"]
    data = bytearray(file.read_bytes())
    for place in range(part.offset + 40, part.offset + part.size - 2000, 50):
        data[place] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(ImportFailed, match=r"x\.parquet: table exchanges: "):
        import_into(tmp_path / "copy", file)
    assert not (tmp_path / "copy").exists()
