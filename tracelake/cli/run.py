"""`run -- CMD`: run any program and record it, list what was run, launch one of them again."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelake import schema
from tracelake.cli.collect import add_collector_options, collector_options
from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.config import locate
from tracelake.errors import ConfigError
from tracelake.ingest.collector import ensure_running
from tracelake.query.jsonable import jsonable_row
from tracelake.replay.launch import wait_forwarding_signals
from tracelake.replay.recorded import settle, start_recorded
from tracelake.replay.source import find_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.cli.options import Commands
    from tracelake.ingest.collector import Collector


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    run = add_command(
        commands, "run", _run, help="run a program and record it: tracelake run -- CMD ARGS"
    )
    run.add_argument("--name", help="name of the trace (default: the command)")
    which = run.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="list the recorded runs")
    which.add_argument(
        "--again",
        metavar="RUN",
        help="launch a recorded run (or the run of a trace) again, in its folder; calls go live",
    )
    add_collector_options(run)
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list(arguments)
    launch = _again(arguments) if arguments.again else _new(arguments)
    location = locate(arguments.lake)
    options = replace(collector_options(arguments), any_port=True)
    collector = ensure_running(location, options)
    if not collector.is_owned and options.names_providers:
        note(
            f"tracelake: the collector of this lake already runs at {collector.state.relay}; "
            "its own providers are used, not those given here"
        )
    try:
        return _record(arguments, launch, collector)
    finally:
        collector.stop()


@dataclass(frozen=True, slots=True)
class _Launch:
    """What is to be started, and the run that it repeats."""

    command: list[str]
    cwd: Path
    environ: Mapping[str, str]
    name: str | None
    again: str | None = None


def _new(arguments: argparse.Namespace) -> _Launch:
    command = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not command:
        raise ConfigError("no program given: write `tracelake run -- CMD ARGS`")
    return _Launch(command, Path.cwd(), os.environ, arguments.name)


def _again(arguments: argparse.Namespace) -> _Launch:
    if arguments.program:
        raise ConfigError("--again takes no program: it launches the recorded one")
    record = find_record(open_lake(arguments), arguments.again)
    record.check_command()
    cwd = Path(record.cwd)
    if not cwd.is_dir():
        raise ConfigError(f"the recorded directory {cwd} does not exist here")
    for name in record.environment.get("left_out") or []:
        if name not in os.environ:
            note(f"tracelake: note: {name} was set then, is not recorded and is not set now")
    words = " ".join(record.command)
    note(f"tracelake: launches {words} again in {cwd}; its calls go to the provider")
    name = arguments.name or record.name
    return _Launch(list(record.command), cwd, record.environ(os.environ), name, record.run_id)


def _record(arguments: argparse.Namespace, launch: _Launch, collector: Collector) -> int:
    lake = open_lake(arguments)
    run = start_recorded(
        lake,
        launch.command,
        relay=collector.state.relay,
        cwd=launch.cwd,
        environ=launch.environ,
        name=launch.name,
        forked_from_run_id=launch.again,
    )
    note(f"tracelake: recording run {run.run_id} into {lake.path}")
    code = wait_forwarding_signals(run.process)
    run.finish(code)
    trace = settle(lake, run.run_id)
    calls = trace["llm_calls"] if trace else 0
    if arguments.json:
        told = {"trace_id": run.run_id, "exit_code": code, "llm_calls": calls}
        print_json({**told, "again": launch.again})
    elif calls:
        note(f"tracelake: {calls} calls recorded, see `tracelake show {run.run_id}`")
    else:
        note("tracelake: no call was recorded: does the program use another base URL?")
    return code


def _list(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    runs = lake.answer(lambda: lake.records("runs").drop("files").collect())
    if arguments.json:
        for row in runs.iter_rows(named=True):
            print_json(jsonable_row(row, schema.RUNS))
        return 0
    print_table(
        ("run", "started (UTC)", "took", "exit", "git", "again of", "folder", "name"),
        [_line(row) for row in runs.iter_rows(named=True)],
    )
    return 0


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    git: dict[str, Any] = json.loads(row["git"] or "{}")
    head = str(git.get("head") or "")[:8]
    changed = "+" if git.get("patch") or git.get("untracked") else ""
    took = row["end_time"] and f"{(row['end_time'] - row['start_time']).total_seconds():.1f} s"
    again = "fork of " if row["fork"] else ""
    of = row["forked_from_run_id"]
    return (
        row["run_id"],
        row["start_time"].strftime("%F %T"),
        took,
        row["exit_code"],
        f"{head}{changed}" or None,
        of and f"{again}{of[:8]}",
        row["cwd"],
        row["name"],
    )
