"""What `export` writes can be opened again, and a bad file changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.importers.conftest import NOW, import_into, same, state
from tracelake import Lake
from tracelake.cli import main
from tracelake.errors import ImportFailed
from tracelake.importers import spans_parquet

SUFFIXES = ("parquet", "jsonl")


@pytest.fixture
def exported(original: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The lake's spans as a file of one of the formats."""
    file = tmp_path / f"exported.{request.param}"
    assert main(["export", str(file), "--lake", str(original)]) == 0
    return file


@pytest.mark.parametrize("exported", SUFFIXES, indirect=True)
def test_an_export_opens_as_the_lake_it_came_from(
    original: Path, exported: Path, tmp_path: Path
) -> None:
    """Every column and every roll-up is the same: hot, sealed, and after a second import."""
    copy = tmp_path / "copy"
    (report,) = import_into(copy, exported)
    assert (report.spans, report.traces, report.deleted) == (6, 2, 0)
    spans, _ = state(copy)
    assert spans.filter(pl.col("status") == "running")["span_id"].to_list() == ["root"]
    assert same(original, copy)
    import_into(copy, exported)
    assert same(original, copy)
    with Lake(copy) as lake:
        lake.seal()
    assert same(original, copy)
    import_into(copy, exported)
    with Lake(copy) as lake:
        assert lake.seal().spans == 0
    assert same(original, copy)
    import_into(original, exported)
    assert same(original, copy)


def test_a_late_end_ends_an_imported_span(original: Path, tmp_path: Path) -> None:
    """A newer export of a trace that was running brings its end."""
    file, copy = tmp_path / "x.parquet", tmp_path / "copy"
    main(["export", str(file), "--lake", str(original)])
    import_into(copy, file)
    with Lake(original) as lake:
        end = {"event_type": "agent_end", "trace_id": "live", "span_id": "root"}
        lake.append({**end, "timestamp": "2026-11-21T01:00:00Z", "data": {"result": "done"}})
    main(["export", str(file), "--lake", str(original)])
    import_into(copy, file)
    assert same(original, copy)


@pytest.mark.parametrize("exported", SUFFIXES, indirect=True)
def test_deleted_traces_stay_away(exported: Path, tmp_path: Path) -> None:
    """A trace whose deletion is still in force is counted, not brought back."""
    copy = tmp_path / "copy"
    import_into(copy, exported)
    with Lake(copy) as lake:
        lake.delete("done")
        lake.seal()
    (report,) = import_into(copy, exported)
    assert (report.traces, report.spans, report.deleted) == (1, 2, 1)
    assert set(state(copy)[0]["trace_id"]) == {"live"}


def test_other_writers_and_older_lakes(original: Path, tmp_path: Path) -> None:
    """Parquet that another tool rewrote, with other widths and fewer columns, is read."""
    file, other, copy = tmp_path / "x.parquet", tmp_path / "y.parquet", tmp_path / "copy"
    main(["export", str(file), "--lake", str(original)])
    table = pq.read_table(file).drop(["held_ms", "revision", "date"])
    place = table.schema.get_field_index("model")
    table = table.set_column(place, "model", table["model"].cast(pa.large_string()))
    place = table.schema.get_field_index("provider")
    table = table.set_column(place, "provider", pa.nulls(len(table)))
    place = table.schema.get_field_index("kind")
    table = table.set_column(place, "kind", table["kind"].dictionary_encode())
    pq.write_table(table, other, row_group_size=2)
    import_into(copy, other)
    assert same(original, copy)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_parquet_file_cut_short_changes_nothing(
    original: Path, tmp_path: Path, cut: float
) -> None:
    """One line names the file; the lake is not even made."""
    file, copy = tmp_path / "x.parquet", tmp_path / "copy"
    main(["export", str(file), "--lake", str(original)])
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * cut)])
    with pytest.raises(ImportFailed, match=r"x\.parquet: cannot be read as Parquet: ") as raised:
        import_into(copy, file)
    assert "\n" not in str(raised.value)
    assert not copy.exists()


def _spoil(**columns: Any) -> pa.Table:
    row = {"trace_id": ["t"] * 3, "span_id": ["a", "b", "c"], "status": ["ok"] * 3}
    start = pa.array([0, 1, 2], pa.timestamp("us", "UTC"))
    return pa.table({**row, "start_time": start, **columns})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (_spoil(colour=["red"] * 3), "has unknown columns (colour)"),
        (_spoil().drop(["status"]), "status missing"),
        (_spoil(model=[1, 2, 3]), "column model holds int64, not string"),
        (_spoil(tokens_input=[1.5, 2, 3]), "column tokens_input holds double, not int64"),
        (_spoil(messages=[[1], [2], [3]]), "column messages holds list<"),
        (_spoil(end_time=pa.array([1, 2, 3], pa.timestamp("us"))), "column end_time holds"),
        (_spoil(span_id=["a", "b", "c d"]), "row 3: span_id is no id: 'c d'"),
        (_spoil(messages=["[]", "[", "[]"]), "row 2: messages is not JSON"),
        (_spoil(cost_usd=[0.0, 1.0, float("inf")]), "row 3: cost_usd is not a finite number"),
    ],
)
def test_a_bad_table_changes_nothing(tmp_path: Path, table: pa.Table, said: str) -> None:
    """The message names the file, and the row or column; no earlier row was appended."""
    file = tmp_path / "x.parquet"
    pq.write_table(table, file)
    with pytest.raises(ImportFailed) as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert str(file) in str(raised.value)
    assert not (tmp_path / "copy").exists()


GOOD = '{"trace_id":"t","span_id":"s","start_time":"2026-11-22T10:00:00Z","status":"ok"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"trace_id":', "line 3 is no JSON"),
        ("[1]", "line 3 is no JSON object"),
        ("\xff", "line 3 is no JSON"),
        (GOOD.replace('"s"', '"no id"'), "line 3: span_id is no id: 'no id'"),
        (GOOD.replace("10:00", "99:00"), "line 3: start_time is not a time"),
        (GOOD.replace("ok", "done"), "line 3: status is unknown: 'done'"),
        (GOOD[:-1] + ',"tokens_input":"7"}', "line 3: tokens_input is not a whole number: '7'"),
        (GOOD[:-1] + ',"colour":"red"}', "line 3: has unknown columns (colour)"),
        ('{"hello":"world"}', "line 3: is no span"),
    ],
)
def test_a_bad_line_changes_nothing(tmp_path: Path, line: str, said: str) -> None:
    """The message names the file and the line; no earlier line, no other file was imported."""
    folder, copy = tmp_path / "folder", tmp_path / "copy"
    folder.mkdir()
    (folder / "a.jsonl").write_text(GOOD + "\n")
    (folder / "b.jsonl").write_text(f"{GOOD}\n\n{line}\n", encoding="latin-1")
    with pytest.raises(ImportFailed) as raised:
        import_into(copy, folder)
    assert said in str(raised.value)
    assert str(folder / "b.jsonl") in str(raised.value)
    assert not copy.exists()


def test_an_endless_line_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is bounded while it is read."""
    monkeypatch.setattr("tracelake.importers.lines.LINE_BYTES", 1 << 20)
    file = tmp_path / "x.jsonl"
    file.write_text(GOOD + "\n" + GOOD[:-1] + ',"model":"' + "x" * (1 << 20) + '"}')
    with pytest.raises(ImportFailed, match="line 2 is longer than 1 MB"):
        import_into(tmp_path / "copy", file)


def test_parquet_is_read_in_small_batches(tmp_path: Path) -> None:
    """Rows come out as they are decoded: the first one before the second batch is looked at."""
    file = tmp_path / "x.parquet"
    rows_ = 3 * spans_parquet.BATCH_ROWS
    start = pa.array(range(rows_), pa.timestamp("us", "UTC"))
    ids = [str(n) for n in range(rows_)]
    ids[-1] = "no id"
    one = {"trace_id": ["t"] * rows_, "span_id": ids, "status": ["ok"] * rows_}
    pq.write_table(pa.table({**one, "start_time": start}), file)
    read = spans_parquet.read([file], NOW)
    assert next(read)[0] == "row 1"
    with pytest.raises(ImportFailed, match=f"row {rows_}: span_id is no id"):
        list(read)


def test_what_matches_a_pattern_is_not_imported(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's file passes the patterns of this lake before it reaches the disk."""
    file, copy = tmp_path / "x.jsonl", tmp_path / "copy"
    main(["export", str(file), "--lake", str(original)])
    monkeypatch.setenv("TRACELAKE_REDACT", "quoted")
    import_into(copy, file)
    text = "".join(path.read_text() for path in (copy / "hot").glob("*.jsonl"))
    assert "[redacted]" in text
    assert "quoted" not in text


def test_a_lake_that_cannot_be_written_is_one_line(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the place and says what to do."""
    file, copy = tmp_path / "x.jsonl", tmp_path / "copy"
    main(["export", str(file), "--lake", str(original)])
    copy.mkdir()
    (copy / "hot").write_text("a file where the folder belongs")
    capsys.readouterr()
    assert main(["import", str(file), "--lake", str(copy)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tracelake: cannot write {copy / 'hot'}")
    assert error.count("\n") == 1


def test_the_command_prints_data_alone(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`import DIR --json` prints one object a file, by name, and passes over what is no trace."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.parquet", "a.jsonl"):
        assert main(["export", str(folder / name), "--lake", str(original)]) == 0
    (folder / "README.md").write_text("# read me")
    (folder / "old.db").write_bytes(b"SQLite format 3\0 and so on")
    copy = ["--lake", str(tmp_path / "copy")]
    capsys.readouterr()
    assert main(["import", str(folder), "--json", *copy]) == 0
    printed = capsys.readouterr()
    reports = [json.loads(line) for line in printed.out.splitlines()]
    assert [Path(report["file"]).name for report in reports] == ["a.jsonl", "b.parquet"]
    assert all((report["traces"], report["spans"]) == (2, 6) for report in reports)
    assert printed.err.count("passed over") == 2
    assert main(["import", str(folder / "old.db"), *copy]) == 1
    assert (
        "is a database without a table llm_calls: import reads spans as Parquet"
        in capsys.readouterr().err
    )
    assert main(["import", str(tmp_path / "none"), *copy]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["import"]) == 2
    assert same(original, tmp_path / "copy")
