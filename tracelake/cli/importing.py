"""`import`: what a colleague exported, or another program logged, into the lake."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tracelake.cli.options import add_command, note, open_lake, print_json
from tracelake.importers import files_at, load
from tracelake.model import utc_now

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands
    from tracelake.importers import Imported


def register(commands: Commands) -> None:
    """Add the command of this module."""
    import_ = add_command(
        commands,
        "import",
        _import,
        help="read what `export` wrote, OpenTelemetry files, event logs, or Anton's logs",
    )
    import_.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="a file, or a folder of files: exported *.parquet or *.jsonl, events as JSONL, "
        "OpenTelemetry as JSON, Anton's logs or its database; importing again changes nothing",
    )


def _import(arguments: argparse.Namespace) -> None:
    def skip(file: Path) -> None:
        note(f"passed over {file}: of no known format")

    sources = files_at(arguments.path, skip)
    console = Console(stderr=True)
    with (
        open_lake(arguments) as lake,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("checking", total=None)
        imported = load(
            lake,
            sources,
            now=utc_now(),
            progress=lambda what, done, total: bar.update(
                task, description=escape(what), completed=done, total=total
            ),
        )
    for one in imported:
        if arguments.json:
            print_json(asdict(one))
        else:
            _tell(one)


def _tell(one: Imported) -> None:
    beside = "".join(f", {rows} new {name}" for name, rows in one.others.items())
    held = f"{one.spans} spans of {one.traces} traces{beside}"
    note(f"imported {held} from {one.file} ({one.format})")
    if one.withheld:
        note(f"left out {one.withheld} recorded HTTP exchanges: this lake has patterns to redact")
    if one.deleted:
        note(
            f"left out {one.deleted} traces that were deleted within the last day: import again "
            "once the day is over"
        )
