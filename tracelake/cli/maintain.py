"""`seal` and `compact`: keeping the lake in order."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, note, open_lake, print_json

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
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
