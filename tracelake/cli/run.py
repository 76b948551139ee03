"""`run -- CMD`: run any program and record it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake import schema
from tracelake.cli.collect import add_collector_options, collector_options
from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.config import locate
from tracelake.errors import ConfigError
from tracelake.ingest.collector import ensure_running
from tracelake.query.jsonable import jsonable_row
from tracelake.replay.launch import wait_forwarding_signals
from tracelake.replay.recorded import settle, start_recorded

if TYPE_CHECKING:
    from tracelake.cli.options import Commands
    from tracelake.ingest.collector import Collector


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    run = add_command(
        commands, "run", _run, help="run a program and record it: tracelake run -- CMD ARGS"
    )
    run.add_argument("--name", help="name of the trace (default: the command)")
    run.add_argument("--list", action="store_true", help="list the recorded runs")
    add_collector_options(run)
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list(arguments)
    command = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not command:
        raise ConfigError("no program given: write `tracelake run -- CMD ARGS`")
    location = locate(arguments.lake)
    options = replace(collector_options(arguments), any_port=True)
    collector = ensure_running(location, options)
    if not collector.is_owned and options.names_providers:
        note(
            f"tracelake: the collector of this lake already runs at {collector.state.relay}; "
            "its own providers are used, not those given here"
        )
    try:
        return _record(arguments, command, collector)
    finally:
        collector.stop()


def _record(arguments: argparse.Namespace, command: list[str], collector: Collector) -> int:
    lake = open_lake(arguments)
    run = start_recorded(
        lake,
        command,
        relay=collector.state.relay,
        cwd=Path.cwd(),
        environ=os.environ,
        name=arguments.name,
    )
    note(f"tracelake: recording run {run.run_id} into {lake.path}")
    code = wait_forwarding_signals(run.process)
    run.finish(code)
    trace = settle(lake, run.run_id)
    calls = trace["llm_calls"] if trace else 0
    if arguments.json:
        print_json({"trace_id": run.run_id, "exit_code": code, "llm_calls": calls})
    elif calls:
        note(f"tracelake: {calls} calls recorded, see `tracelake show {run.run_id}`")
    else:
        note("tracelake: no call was recorded: does the program use another base URL?")
    return code


def _list(arguments: argparse.Namespace) -> int:
    runs = open_lake(arguments).records("runs").drop("files").collect()
    if arguments.json:
        for row in runs.iter_rows(named=True):
            print_json(jsonable_row(row, schema.RUNS))
        return 0
    print_table(
        ("run", "started (UTC)", "exit", "name"),
        [
            (row["run_id"], row["start_time"].strftime("%F %T"), row["exit_code"], row["name"])
            for row in runs.iter_rows(named=True)
        ],
    )
    return 0
