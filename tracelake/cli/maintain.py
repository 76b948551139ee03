"""`seal`: keeping the lake in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, note, open_lake, print_json

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    add_command(commands, "seal", _seal, help="move finished spans and exchanges to Parquet now")


def _seal(arguments: argparse.Namespace) -> None:
    lake = open_lake(arguments)
    sealed = lake.seal()
    if arguments.json:
        print_json({"sealed": sealed})
    else:
        note(f"sealed {sealed} into {lake.path}")
