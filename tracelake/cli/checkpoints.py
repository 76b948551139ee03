"""`checkpoint` and `checkpoints`: name a step of a trace, to fork from it later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.cli.replay import add_edit, read_edit
from tracelake.replay.checkpoints import checkpoints_of, remove_checkpoint, set_checkpoint
from tracelake.replay.source import find_trace_of

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    one = add_command(commands, "checkpoint", _set, help="name a step of a trace to fork from")
    one.add_argument("span", metavar="SPAN", help="a model call, a tool or an agent")
    one.add_argument("name", metavar="NAME", help="how `tracelake replay NAME` finds it")
    one.add_argument("--trace", metavar="ID", help="trace of the span, where several have it")
    add_edit(one)
    listed = add_command(commands, "checkpoints", _list, help="list checkpoints, or remove one")
    listed.add_argument("trace", nargs="?", metavar="TRACE", help="only those of this trace")
    listed.add_argument("--remove", metavar="NAME", help="take this one back, by name or id")


def _set(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    trace_id = find_trace_of(lake, arguments.span, arguments.trace)
    made = set_checkpoint(lake, trace_id, arguments.span, arguments.name, read_edit(arguments))
    if arguments.json:
        print_json(made.to_json())
    else:
        note(f"tracelake: `tracelake replay '{made.name}'` forks from here")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    if arguments.remove:
        gone = remove_checkpoint(lake, arguments.remove, arguments.trace)
        note(f"tracelake: checkpoint {gone.name!r} of trace {gone.trace_id} is removed")
        return 0
    found = checkpoints_of(lake, arguments.trace)
    if arguments.json:
        for one in found:
            print_json(one.to_json())
        return 0
    print_table(
        ("name", "trace", "span", "edit", "set (UTC)"),
        [
            (
                one.name,
                one.trace_id,
                one.span_id,
                "request" if one.edit and one.edit.is_request else one.edit and "answer",
                one.start_time.strftime("%F %T"),
            )
            for one in found
        ],
    )
    return 0
