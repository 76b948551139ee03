"""What the commands share: options, opening the lake, output."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tracelake.config import locate
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


_PORT_MAX = 65_535


class Commands(Protocol):
    """What `argparse` calls a sub-parsers action, as far as commands need it."""

    def add_parser(self, name: str, **kwargs: Any) -> argparse.ArgumentParser:
        """Add a command."""
        ...


def add_command(
    commands: Commands,
    name: str,
    handler: Callable[[argparse.Namespace], int | None],
    *,
    help: str,  # noqa: A002 - argparse's own word
    json_output: bool = True,
) -> argparse.ArgumentParser:
    """A command with the options that all take: `--lake`, and `--json` where it prints data."""
    parser = commands.add_parser(name, help=help, description=help)
    parser.add_argument(
        "--lake", metavar="DIR", help="the lake (default: $TRACELAKE_DIR, else ~/.tracelake)"
    )
    if json_output:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(handler=handler)
    return parser


def port(text: str) -> int:
    """A TCP port, 0 for a free one; for `type=` of an option.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) > _PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {_PORT_MAX}")
    return int(text)


def count(text: str) -> int:
    """How many of something; for `type=` of an option.

    Raises:
        ArgumentTypeError: It is no whole number, or below zero.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows: 0, 1, 2, …")
    return int(text)


def open_lake(arguments: argparse.Namespace) -> Lake:
    """The lake that the command line names."""
    return Lake(locate(arguments.lake))


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def note(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Aligned columns on standard output; an absent value is a dash, never a zero."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    materialised = [list(row) for row in rows]
    for index, header in enumerate(headers):
        numeric = bool(materialised) and all(
            isinstance(row[index], (int, float, type(None))) for row in materialised
        )
        table.add_column(header, justify="right" if numeric else "left", no_wrap=True)
    for row in materialised:
        # Text, not markup: what stands in a trace is data
        table.add_row(*(Text("—" if cell is None else str(cell)) for cell in row))
    console = Console()
    # a pipe or a narrow terminal must never cut an id: let the line run on instead
    options = console.options.update(max_width=10_000)
    width = max(console.width, Measurement.get(console, options, table).maximum)
    Console(width=width).print(table, crop=False)
