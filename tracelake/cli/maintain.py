"""`seal`, `compact`, `reindex`: keeping the lake in order."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from tracelake.cli.options import add_command, note, open_lake, print_json
from tracelake.ingest.reindex import reindex
from tracelake.model import utc_now

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
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
