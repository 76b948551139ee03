"""The commands as a user types them, on a small lake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tracelake
from tracelake.cli import main
from tracelake.cli.main import build_parser

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with two traces: one fine, one in which a tool failed."""
    path = tmp_path / "lake"
    with tracelake.Tracer(tracelake.Lake(path)) as tracer:
        with tracer.agent("planner"), tracer.llm(provider="openai", model="gpt-4o") as call:
            call.finish(response="done [bold]not markup[/bold]", tokens_input=3, tokens_output=2)
        with tracer.agent("worker"), tracer.tool("grep", parameters={"pattern": "x"}) as tool:
            tool.fail("no such file")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_long_names_take_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of many words and lines is cut in tables and trees; JSON has all of it."""
    name = "reads\n" + "very " * 100 + "much"
    with tracelake.Tracer(tracelake.Lake(tmp_path)) as tracer, tracer.agent(name):
        pass
    for command in (["ls"], ["show", "last"]):
        _, told, _ = run(capsys, *command, "--lake", tmp_path)
        (line,) = (line for line in told.splitlines() if "reads very" in line)
        assert len(line) < 200
        assert "…" in line
    assert json.loads(run(capsys, "ls", "--json", "--lake", tmp_path)[1])["name"] == name


def test_ls_prints_a_trace_a_line(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ls --json` is one JSON object a line, newest first, JSON columns nested, times with Z."""
    code, out, _ = run(capsys, "ls", "--json", "--lake", lake)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["name"] for row in rows] == ["worker", "planner"]
    assert rows[1]["models"] == ["gpt-4o"]
    assert rows[0]["start_time"].endswith("Z")
    _, table, _ = run(capsys, "ls", "--lake", lake)
    assert all(row["trace_id"] in table for row in rows)


def test_show_accepts_the_start_of_an_id(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show` takes a prefix that only one trace has, and prints text from traces as text."""
    _, out, _ = run(capsys, "ls", "--json", "--lake", lake)
    trace_id = json.loads(out.splitlines()[1])["trace_id"]
    code, out, _ = run(capsys, "show", trace_id[:12], "--lake", lake)
    assert code == 0
    assert "[bold]not markup[/bold]" in out
    code, out, _ = run(capsys, "show", trace_id, "--json", "--lake", lake)
    shown: dict[str, Any] = json.loads(out)
    assert shown["trace"]["trace_id"] == trace_id
    assert [span["kind"] for span in shown["spans"]] == ["agent", "llm"]


def test_unknown_trace_is_one_line_and_exit_code_1(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error says in one line what happened and what to do."""
    code, out, err = run(capsys, "show", "nope", "--lake", lake)
    assert (code, out) == (1, "")
    assert err == "tracelake: no trace 'nope' in this lake: `tracelake ls` lists them\n"


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown commands and malformed options are the user's to mend."""
    assert run(capsys, "frobnicate")[0] == 2
    assert run(capsys, "collect", "--upstream", "no-url")[0] == 2
    assert run(capsys, "run", "--")[0] == 2
    for word in ("99999", "-5", "x"):
        assert run(capsys, "collect", f"--port={word}")[0] == 2
    code, _, err = run(capsys, "ls", "--limit=-3")
    assert code == 2
    assert "'-3' is no number of rows" in err


@pytest.mark.parametrize(
    "command", [["ls"], ["show", "x"], ["verify"], ["seal"], ["rm", "x", "--yes"]]
)
def test_a_lake_that_is_no_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """The operating system's refusals are told like all others, with the path."""
    path = tmp_path / "file"
    path.touch()
    code, out, err = run(capsys, *command, "--lake", path)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert str(path) in err


def test_sql_answers_and_refuses(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sql` reads the tables and cannot change them; a wrong column is one clear line."""
    query = "SELECT kind, count(*) AS n FROM spans GROUP BY kind ORDER BY kind"
    code, out, _ = run(capsys, "sql", query, "--json", "--lake", lake)
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"kind": "agent", "n": 2},
        {"kind": "llm", "n": 1},
        {"kind": "tool", "n": 1},
    ]
    code, _, err = run(capsys, "sql", "SELECT nope FROM spans", "--lake", lake)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert run(capsys, "sql", "DELETE FROM spans", "--lake", lake)[0] in {0, 1}
    _, out, _ = run(capsys, "sql", "SELECT count(*) AS n FROM spans", "--json", "--lake", lake)
    assert json.loads(out) == {"n": 4}


def test_export_writes_what_was_asked_for(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Parquet file opens in polars with the rows of the wanted traces, and only those."""
    target = tmp_path / "errors.parquet"
    assert run(capsys, "export", target, "--errors", "--lake", lake)[0] == 0
    spans = pl.read_parquet(target)
    assert spans["agent_name"].unique().to_list() == ["worker"]
    assert "error" in spans["status"].to_list()
    lines = tmp_path / "all.jsonl"
    assert run(capsys, "export", lines, "--lake", lake)[0] == 0
    assert len(lines.read_text().splitlines()) == 4
    nothing = tmp_path / "none.parquet"
    code, _, err = run(capsys, "export", nothing, "--agent", "nobody", "--lake", lake)
    assert code == 1
    assert "nothing was written" in err
    assert not nothing.exists()


def test_seal_reports_what_it_moved(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After `seal` the Parquet tables hold the spans, and nothing is shown twice."""
    code, out, _ = run(capsys, "seal", "--json", "--lake", lake)
    assert code == 0
    assert json.loads(out)["spans"] == 4
    assert pl.scan_delta(str(lake / "spans")).collect().height == 4
    assert tracelake.Lake(lake).spans().collect().height == 4


def test_verify_names_what_is_damaged(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole lake exits 0; a truncated and an alien file are named, moved aside, and exit 1."""
    run(capsys, "seal", "--lake", lake)
    assert run(capsys, "verify", "--lake", lake)[0] == 0
    (part,) = (lake / "spans").glob("date=*/*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    (part.parent / "alien.parquet").write_bytes(b"not ours")
    code, out, _ = run(capsys, "verify", "--lake", lake)
    assert code == 1
    assert part.name in out
    assert "alien.parquet" in out
    code, out, _ = run(capsys, "verify", "--json", "--quarantine", "--lake", lake)
    assert code == 1
    assert len(json.loads(out)["quarantined"]) == 2
    assert run(capsys, "ls", "--lake", lake)[0] == 0


def test_rm_deletes_one_trace_or_a_time(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was deleted is gone from every answer; the rest stays."""
    run(capsys, "seal", "--lake", lake)
    _, out, _ = run(capsys, "ls", "--json", "--lake", lake)
    first, second = (json.loads(line)["trace_id"] for line in out.splitlines())
    assert run(capsys, "rm", "--lake", lake)[0] == 2
    assert run(capsys, "rm", first, "--yes", "--lake", lake)[0] == 0
    _, out, _ = run(capsys, "ls", "--json", "--lake", lake)
    assert [json.loads(line)["trace_id"] for line in out.splitlines()] == [second]
    assert run(capsys, "rm", first, "--yes", "--lake", lake)[0] == 1
    day = json.loads(out)["start_time"][:10]
    assert run(capsys, "rm", "--day", day, "--before", day, "--lake", lake)[0] == 2
    assert run(capsys, "rm", "--day", "1999-01-01", "--yes", "--lake", lake)[0] == 0
    assert run(capsys, "ls", "--json", "--lake", lake)[1] == out
    assert run(capsys, "rm", "--day", day, "--yes", "--lake", lake)[0] == 0
    assert run(capsys, "ls", "--json", "--lake", lake)[1] == ""
    assert run(capsys, "rm", "--before", "2999-01-01", "--yes", "--lake", lake)[0] == 0
    assert run(capsys, "ls", "--json", "--lake", lake)[1] == ""


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has help and takes `--lake`."""
    parser = build_parser()
    actions = next(a for a in parser._actions if a.dest == "command")
    assert actions.choices
    for name in actions.choices:
        if name == "proxy":
            continue
        code, out, _ = run(capsys, name, "--help")
        assert code == 0
        assert "--lake" in out, name
