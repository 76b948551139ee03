"""`run -- CMD`: run any program and record it."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake import schema
from tracelake.cli.collect import add_collector_options, collector_options
from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.config import locate
from tracelake.errors import ConfigError
from tracelake.ingest.collector import ensure_running
from tracelake.lake import Lake
from tracelake.model import new_id, utc_now
from tracelake.query.jsonable import jsonable_row
from tracelake.replay import launch
from tracelake.replay.record import capture_run

if TYPE_CHECKING:
    from tracelake.cli.options import Commands
    from tracelake.ingest.collector import Collector

#: How long to wait, after the program ended, for its last calls to be read into the lake.
SETTLE_TIMEOUT_S = 20.0


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
    collector = ensure_running(location, replace(collector_options(arguments), any_port=True))
    try:
        return _record(arguments, command, collector)
    finally:
        collector.stop()


def _record(arguments: argparse.Namespace, command: list[str], collector: Collector) -> int:
    lake = Lake(locate(arguments.lake))
    cwd = Path.cwd()
    record = capture_run(
        command,
        run_id=new_id(),
        cwd=cwd,
        environ=os.environ,
        now=utc_now(),
        name=arguments.name,
    )
    lake.write("runs", [record.to_row()])
    note(f"tracelake: recording run {record.run_id} into {lake.path}")
    process = launch.start(
        command, relay=collector.state.relay, run_id=record.run_id, cwd=cwd, environ=os.environ
    )
    code = launch.wait_forwarding_signals(process)
    lake.write("runs", [replace(record, end_time=utc_now(), exit_code=code).to_row()])
    calls = settle(lake, record.run_id)
    if arguments.json:
        print_json({"trace_id": record.run_id, "exit_code": code, "calls": calls})
    else:
        note(f"tracelake: {calls} calls recorded, see `tracelake show {record.run_id}`")
    return code


def settle(lake: Lake, trace_id: str, timeout_s: float = SETTLE_TIMEOUT_S) -> int:
    """Wait until the root of a trace has ended; the number of its LLM calls, 0 without a trace."""
    deadline = time.monotonic() + timeout_s
    while True:
        rows = lake.traces().filter(trace_id=trace_id).collect().rows(named=True)
        if rows and rows[0]["status"] != "running":
            return int(rows[0]["llm_calls"] or 0)
        if time.monotonic() > deadline or not rows:
            return int(rows[0]["llm_calls"] or 0) if rows else 0
        time.sleep(0.1)


def _list(arguments: argparse.Namespace) -> int:
    runs = open_lake(arguments).records("runs").collect()
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
