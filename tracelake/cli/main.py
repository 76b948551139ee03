"""Builds the parser out of the command modules and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from tracelake.cli import (
    bench,
    browse,
    checkpoints,
    collect,
    demo,
    extract,
    importing,
    maintain,
    replay,
    run,
    ui,
)
from tracelake.errors import ConfigError, TraceLakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Every module that brings commands, in the order of `tracelake --help`.
COMMAND_MODULES = (
    demo,
    ui,
    collect,
    run,
    browse,
    replay,
    checkpoints,
    extract,
    importing,
    maintain,
    bench,
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="tracelake",
        description="A live debugger and a Parquet trace lake for multi-agent LLM programs.",
    )
    parser.add_argument("--version", action="version", version=f"tracelake {version('tracelake')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMAND_MODULES:
        module.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Words after the program name; those of the process by default.

    Returns:
        The exit code: 0 ok, 1 failed, 2 usage.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    try:
        return int(arguments.handler(arguments) or 0)
    except ConfigError as error:
        print(f"tracelake: {error}", file=sys.stderr)
        return 2
    except TraceLakeError as error:
        print(f"tracelake: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader (head, less) left; what is buffered must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"tracelake: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
