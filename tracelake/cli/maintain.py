"""`seal`, `compact`, `verify`, `rm`, `reindex`: keeping the lake in order."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.prompt import Confirm

from tracelake.cli.options import add_command, note, open_lake, print_json
from tracelake.errors import ConfigError
from tracelake.ingest.reindex import reindex
from tracelake.model import utc_now

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    verify = add_command(
        commands, "verify", _verify, help="read everything and name what is damaged"
    )
    verify.add_argument(
        "--quarantine", action="store_true", help="move damaged files aside, into LAKE/quarantine"
    )
    rm = add_command(
        commands, "rm", _rm, help="delete a trace, a day, or all before a day, for good"
    )
    rm.add_argument("trace", nargs="?", metavar="TRACE", help="id of the trace")
    rm.add_argument(
        "--before",
        type=date.fromisoformat,
        metavar="DAY",
        help="all that started before this UTC day",
    )
    rm.add_argument(
        "--day", type=date.fromisoformat, metavar="DAY", help="all that started on this UTC day"
    )
    rm.add_argument("--yes", action="store_true", help="do not ask")
    reindex = add_command(
        commands, "reindex", _reindex, help="derive every span anew from the recorded exchanges"
    )
    reindex.add_argument(
        "--since", type=date.fromisoformat, metavar="DAY", help="from this UTC day on, YYYY-MM-DD"
    )
    add_command(commands, "seal", _seal, help="move finished spans and exchanges to Parquet now")
    add_command(
        commands, "compact", _compact, help="merge and sort the Parquet files of past seals"
    )


def _seal(arguments: argparse.Namespace) -> None:
    lake = open_lake(arguments)
    report = lake.seal()
    if arguments.json:
        print_json(asdict(report))
        return
    note(
        f"sealed {report.spans} spans and {report.exchanges} exchanges in {report.seconds:.1f} s; "
        f"{report.carried} spans still run"
    )


def _compact(arguments: argparse.Namespace) -> None:
    report = open_lake(arguments).compact()
    if arguments.json:
        print_json(asdict(report))
        return
    note(
        f"{report.files_before} files became {report.files_after}, {report.vacuumed} old ones "
        f"deleted, in {report.seconds:.1f} s"
    )


def _reindex(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("exchanges", total=None)
        report = reindex(
            lake,
            utc_now(),
            since=arguments.since,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if arguments.json:
        print_json(asdict(report))
    else:
        note(f"read {report.exchanges} exchanges, {report.failed} of them in vain")
    return 1 if report.failed else 0


def _verify(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    report = lake.verify()
    moved = lake.quarantine(report) if arguments.quarantine else []
    if arguments.json:
        print_json({**asdict(report), "quarantined": [str(path) for path in moved]})
    else:
        for problem in report.problems:
            print(f"{problem.path}: {problem.reason}")
        note(f"read {report.files} files with {report.rows} rows: {len(report.problems)} problems")
        for path in moved:
            note(f"moved to {path}")
    return 0 if report.is_clean else 1


def _rm(arguments: argparse.Namespace) -> int:
    if sum(one is not None for one in (arguments.trace, arguments.before, arguments.day)) != 1:
        raise ConfigError("say what to delete: a trace id, --before DAY or --day DAY")
    lake = open_lake(arguments)
    when = f"on {arguments.day}" if arguments.day else f"before {arguments.before}"
    what = arguments.trace or f"every trace that started {when}"
    if not (arguments.yes or arguments.json) and not Confirm.ask(f"Delete {what} for good?"):
        return 1
    before = arguments.before and datetime.combine(arguments.before, time(), UTC)
    deleted = lake.delete(arguments.trace, before=before, day=arguments.day)
    lake.seal()
    if arguments.json:
        print_json({"deleted": deleted})
    else:
        note(f"deleted {deleted} traces; their Parquet files go after the vacuum grace")
    return 0
