"""`sql` and `export`: answers and rows out of the lake."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.exceptions import PolarsError

from tracelake import schema
from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.errors import ConfigError, NotInLake, QueryError
from tracelake.exporters import (
    TRACES_MAX,
    Selection,
    spans_of,
    write_bundle,
    write_lines,
    write_page,
)
from tracelake.query.jsonable import jsonable_row
from tracelake.query.traces import TraceFilter
from tracelake.storage.files import replaced

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands
    from tracelake.lake import Lake

TABLES = ("spans", "traces", "exchanges", "runs")
_SHOWN_CHARS = 80


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    sql = add_command(commands, "sql", _sql, help="ask the tables, for example 'SELECT …'")
    sql.add_argument("query", metavar="QUERY", help=f"one SELECT over {', '.join(TABLES)}")
    export = add_command(commands, "export", _export, help="write traces to a file for a colleague")
    export.add_argument(
        "file",
        type=Path,
        help="*.parquet: spans for any tool, and for `import` all that belongs to them; "
        "*.jsonl: one span a line; *.html: a page to read in any browser",
    )
    export.add_argument(
        "--spans-only",
        action="store_true",
        help="without recorded HTTP exchanges, runs, notes and checkpoints",
    )
    export.add_argument("--trace", action="append", default=[], help="this trace (may be repeated)")
    export.add_argument("--since", type=_day, help="traces from this UTC day on, YYYY-MM-DD")
    export.add_argument("--until", type=_day, help="traces up to this UTC day, YYYY-MM-DD")
    export.add_argument(
        "--agent", action="append", default=[], help="in which this agent took part"
    )
    export.add_argument("--errors", action="store_true", help="with at least one span in error")


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _sql(arguments: argparse.Namespace) -> None:
    lake = open_lake(arguments)
    try:
        answer = lake.answer(lambda: _ask(lake, arguments.query))
    except PolarsError as error:
        raise QueryError(f"cannot answer: {str(error).splitlines()[0]}") from error
    if arguments.json:
        # any table's JSON columns are nested; a column that was computed stays as it is
        known = schema.Table("answer", tuple(_columns_of(answer.columns)), ())
        for row in answer.iter_rows(named=True):
            print_json(jsonable_row(row, known))
        return
    print_table(
        answer.columns,
        [[_short(value) for value in row] for row in answer.iter_rows()],
    )


def _ask(lake: Lake, query: str) -> pl.DataFrame:
    frames = {
        "spans": lake.spans(),
        "traces": lake.traces(),
        "exchanges": lake.exchanges(),
        "runs": lake.records("runs"),
    }
    return pl.SQLContext(frames=frames).execute(query, eager=True)


def _columns_of(names: list[str]) -> list[schema.Column]:
    known = {c.name: c for table in schema.TABLES.values() for c in table.columns}
    return [known[name] for name in names if name in known]


def _short(value: Any) -> Any:
    if isinstance(value, str):
        line = " ".join(value.split())
        return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"
    return value


def _export(arguments: argparse.Namespace) -> None:
    suffix = arguments.file.suffix
    if suffix not in {".parquet", ".jsonl", ".html"}:
        raise ConfigError(
            f"cannot write {arguments.file.name!r}: name it *.parquet, *.jsonl or *.html"
        )
    lake = open_lake(arguments)
    wanted = TraceFilter(
        since=arguments.since,
        until=arguments.until,
        agents=tuple(arguments.agent),
        with_errors=arguments.errors,
    )
    spans = spans_of(lake, Selection(wanted, tuple(arguments.trace)))
    if spans.is_empty():
        raise NotInLake("no span matches, nothing was written: `tracelake ls` lists the traces")
    traces = spans["trace_id"].n_unique()
    if suffix == ".html" and traces > TRACES_MAX:
        raise ConfigError(
            f"{traces} traces are too many for a page, {TRACES_MAX} fit: choose fewer, or write "
            "*.parquet"
        )
    others: dict[str, int] = {}
    try:
        with replaced(arguments.file) as unfinished:
            if suffix == ".parquet":
                with unfinished.open("wb") as file:
                    others = write_bundle(lake, spans, file, spans_only=arguments.spans_only)
            else:
                with unfinished.open("w", encoding="utf-8") as written:
                    (write_page if suffix == ".html" else write_lines)(spans, written)
    except OSError as error:
        raise QueryError(f"cannot write {arguments.file}: {error.strerror}") from error
    if arguments.json:
        told = {"file": str(arguments.file), "traces": traces, "spans": spans.height}
        print_json({**told, **others})
    else:
        beside = "".join(f", {rows} {name}" for name, rows in others.items())
        note(f"wrote {spans.height} spans of {traces} traces{beside} to {arguments.file}")
        if "runs" in others:
            note(
                "with commands, environment differences and working files of the recorded runs: "
                "--spans-only leaves them out"
            )
