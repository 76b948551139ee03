"""`replay` and `compare`: run a recorded program again from a step, and see what changed."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from tracelake.cli.collect import add_collector_options, collector_options
from tracelake.cli.options import add_command, note, open_lake, print_json, print_table
from tracelake.config import locate
from tracelake.errors import ConfigError, NotInLake
from tracelake.ingest.collector import ensure_running
from tracelake.replay.answer import parse_whole
from tracelake.replay.checkpoints import find_checkpoint
from tracelake.replay.compare_page import render_page
from tracelake.replay.conversation import load_tools
from tracelake.replay.fork import forks_of, start_fork
from tracelake.replay.plan import ForkRequest, plan_fork
from tracelake.replay.reissue import replay_conversation
from tracelake.replay.session import Edit
from tracelake.replay.sides import compare_sides, read_side
from tracelake.replay.source import find_trace_of

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands
    from tracelake.lake import Lake
    from tracelake.replay.compare import Comparison
    from tracelake.replay.fork import Fork, ForkState
    from tracelake.replay.plan import ForkPlan
    from tracelake.replay.sides import Side

#: Keys of whole answers, one for each wire format: text files without them are an answer's text.
_BODY_KEYS = frozenset({"content", "choices", "output", "message", "response"})
_STYLE = {"removed": "red strike", "added": "green", "same": ""}
_STATUS_STYLE = {"same": "dim", "changed": "yellow", "only_before": "red", "only_after": "green"}


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    replay = add_command(
        commands,
        "replay",
        _replay,
        help="run a recorded program again, from one step on or all of it, in a copy",
    )
    replay.add_argument(
        "target", metavar="SPAN|TRACE|CHECKPOINT", help="step to fork at, or a whole trace"
    )
    replay.add_argument("--trace", metavar="ID", help="trace of the span, where several have it")
    add_edit(replay)
    replay.add_argument(
        "--strict", action="store_true", help="exit 0 only if every call repeats a recorded one"
    )
    replay.add_argument(
        "--offline", action="store_true", help="stop at the first call without a recording"
    )
    where = replay.add_mutually_exclusive_group()
    where.add_argument("--in-place", action="store_true", help="in the recorded directory itself")
    where.add_argument(
        "--copy",
        choices=("git", "copy", "present"),
        help="as recorded, by git or file by file, or as the folder is now (default: chosen)",
    )
    replay.add_argument(
        "--pace", choices=("fastest", "recorded"), default="fastest", help="of recorded answers"
    )
    replay.add_argument(
        "--conversation",
        action="store_true",
        help="without the program: only issue again the model calls that follow the edit",
    )
    replay.add_argument(
        "--tools", metavar="MODULE", help="Python module whose functions --conversation may call"
    )
    replay.add_argument("--dry-run", action="store_true", help="only say what would be done")
    add_collector_options(replay)
    forks = add_command(commands, "forks", _forks, help="list the forks of a trace, or all")
    forks.add_argument("trace", nargs="?", metavar="TRACE", help="only forks of this trace")
    both = add_command(
        commands, "compare", _compare, help="compare two traces span by span and word by word"
    )
    both.add_argument("before", metavar="A", help="trace id")
    both.add_argument("after", metavar="B", help="trace id")
    both.add_argument("--html", action="store_true", help="print a page that needs nothing else")


def add_edit(command: argparse.ArgumentParser) -> None:
    """Add the options that say what is changed at a step."""
    edit = command.add_mutually_exclusive_group()
    edit.add_argument(
        "--response",
        metavar="FILE",
        help="the step answers this: text, or a whole JSON body; a tool gives this result",
    )
    edit.add_argument("--request", metavar="FILE", help="the step asks this: a whole JSON body")


def _replay(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    if arguments.conversation:
        return _converse(arguments, lake)
    plan = plan_fork(lake, _request(arguments, lake))
    _show_plan(plan)
    if arguments.dry_run:
        if arguments.json:
            print_json(plan.to_json())
        return 0
    location = locate(arguments.lake)
    collector = ensure_running(location, replace(collector_options(arguments), any_port=True))
    try:
        fork = start_fork(lake, plan, collector)
        state = _follow(fork, quiet=arguments.json)
    finally:
        collector.stop()
    if arguments.json:
        print_json(_result(plan, state))
    else:
        _show_end(lake, plan, state)
    return _exit_code(arguments, plan, state)


def _converse(arguments: argparse.Namespace, lake: Lake) -> int:
    trace_id, span_id, edit = _target(lake, arguments)
    if edit is None or span_id is None:
        raise ConfigError("--conversation needs a span and --response or --request")
    tools = load_tools(arguments.tools) if arguments.tools else {}
    location = locate(arguments.lake)
    collector = ensure_running(location, replace(collector_options(arguments), any_port=True))
    try:
        run_id, result = replay_conversation(
            lake, collector, trace_id=trace_id, span_id=span_id, edit=edit, tools=tools
        )
    finally:
        collector.stop()
    if arguments.json:
        steps = [asdict(step) for step in result.steps]
        print_json({"trace_id": run_id, "steps": steps, "output": result.output})
    else:
        for step in result.steps:
            shown = " ".join(step.text.split())[:100]
            note(f"{'  ' * step.depth}{step.outcome:<10} {step.kind} {step.name} {shown}")
        print(result.output or "stopped: see the last line above")
    return 0 if result.output is not None else 1


def _request(arguments: argparse.Namespace, lake: Lake) -> ForkRequest:
    trace_id, span_id, edit = _target(lake, arguments)
    if edit is not None and span_id is None:
        raise ConfigError("an edit needs a span: `tracelake show TRACE --json` lists them")
    return ForkRequest(
        trace_id,
        span_id,
        edit,
        allow_live=not (arguments.strict or arguments.offline),
        copy="in_place" if arguments.in_place else arguments.copy,
        pace=arguments.pace,
        output="log" if arguments.json else "stderr",
    )


def _target(lake: Lake, arguments: argparse.Namespace) -> tuple[str, str | None, Edit | None]:
    """Trace, span and edit that a command names; a checkpoint brings its own edit."""
    target, trace_id, edit = arguments.target, arguments.trace, read_edit(arguments)
    if trace_id is None:
        known = lake.answer(lambda: lake.traces().select("trace_id").collect())[
            "trace_id"
        ].to_list()
        matches = [one for one in known if one == target or one.startswith(target)]
        if target in matches or len(matches) == 1:
            return (target if target in matches else matches[0]), None, edit
    if (checkpoint := find_checkpoint(lake, target, trace_id)) is not None:
        return checkpoint.trace_id, checkpoint.span_id, edit or checkpoint.edit
    return find_trace_of(lake, target, trace_id), target, edit


def read_edit(arguments: argparse.Namespace) -> Edit | None:
    """The edit that `add_edit` asked for.

    Raises:
        ConfigError: A file cannot be read, or is not what it is to be.
    """
    if arguments.request:
        return Edit(request_body=parse_whole(_read(arguments.request)))
    if arguments.response is None:
        return None
    text = _read(arguments.response)
    if text.lstrip().startswith("{"):
        body = parse_whole(text)
        if body.keys() & _BODY_KEYS:
            return Edit(response_body=body)
    return Edit(response_text=text.removesuffix("\n"))


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror or error}") from error


def _show_plan(plan: ForkPlan) -> None:
    note(f"tracelake: runs {' '.join(plan.record.command)}")
    note(f"tracelake: in {plan.copy.why}: {plan.copy.cwd}")
    again = [f"{tool.name} ({tool.calls}x)" for tool in plan.tools_again]
    note(f"tracelake: these tools really run again: {', '.join(again) or 'none'}")
    if plan.tools_kept:
        note(f"tracelake: these give their recorded results: {', '.join(plan.tools_kept)}")
    for warning in plan.warnings:
        note(f"tracelake: note: {warning}")


def _follow(fork: Fork, *, quiet: bool) -> ForkState:
    """Show progress until the end; an interrupt cancels the fork."""
    try:
        for event in fork.events():
            if event["event"] != "call":
                continue
            if not quiet or event["outcome"] in {"fuzzy", "refused"}:
                original = event["original_span_id"] or "-"
                note(f"tracelake: {event['outcome']:<9} {original}")
            for line in event["detail"] if event["outcome"] in {"fuzzy", "refused"} else ():
                note(f"    {line}")
        return fork.wait()
    except KeyboardInterrupt:
        note("tracelake: cancelling")
        fork.close()
        return fork.state


def _result(plan: ForkPlan, state: ForkState) -> dict[str, Any]:
    return {
        **plan.to_json(),
        "trace_id": plan.run_id,
        "forked_from_trace_id": plan.request.trace_id,
        "status": state.status,
        "error": state.error,
        **state.result,
        "calls": state.calls,
    }


def _show_end(lake: Lake, plan: ForkPlan, state: ForkState) -> None:
    if state.error:
        note(f"tracelake: {state.error}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in state.counts.items())
    note(f"tracelake: {state.status}: {counts or 'no calls'}")
    unused = state.result.get("unused") or []
    if unused:
        note(f"tracelake: {len(unused)} recorded calls were not repeated")
    for change in state.result.get("files") or []:
        note(f"tracelake: {change['status']} {change['path']}")
    found = lake.answer(lambda: lake.traces().filter(trace_id=plan.run_id).collect())
    if not found.is_empty():
        print(plan.run_id)
        note(f"tracelake: `tracelake compare {plan.request.trace_id} {plan.run_id}` shows more")


def _exit_code(arguments: argparse.Namespace, plan: ForkPlan, state: ForkState) -> int:
    if state.status == "cancelled":
        return 130
    if not arguments.strict:
        return 0 if state.status == "ok" else 1
    repeated = state.result.get("all_matched") and not state.result.get("unused")
    as_before = state.result.get("exit_code") == (plan.record.exit_code or 0)
    return 0 if repeated and as_before else 1


def _forks(arguments: argparse.Namespace) -> int:
    records = forks_of(open_lake(arguments), arguments.trace)
    if arguments.json:
        for record in records:
            print_json({"trace_id": record.run_id, **(record.fork or {})})
        return 0
    print_table(
        ("fork", "of", "started (UTC)", "status", "calls"),
        [
            (
                record.run_id,
                fork.get("trace_id"),
                record.start_time.strftime("%F %T"),
                fork.get("status"),
                ", ".join(f"{n} {name}" for name, n in (fork.get("counts") or {}).items()),
            )
            for record in records
            if (fork := record.fork) is not None
        ],
    )
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    lake = open_lake(arguments)
    sides = [_side(lake, one) for one in (arguments.before, arguments.after)]
    comparison = compare_sides(sides[0], sides[1])
    if arguments.json:
        print_json(comparison.to_json())
    elif arguments.html:
        print(render_page(comparison))
    else:
        _show(comparison)
    return 0


def _side(lake: Lake, wanted: str) -> Side:
    rows = lake.answer(lambda: lake.traces().select("trace_id").collect())["trace_id"].to_list()
    found = [one for one in rows if one == wanted] or [r for r in rows if r.startswith(wanted)]
    if len(found) != 1:
        problem = "several traces start with" if found else "no trace"
        raise NotInLake(f"{problem} {wanted!r}: `tracelake ls` lists them")
    side = read_side(lake, found[0])
    if side is None:
        raise NotInLake(f"trace {found[0]} has no spans")
    return side


def _show(comparison: Comparison) -> None:
    print_table(
        ("", "before", "after", "change"),
        [(delta.name, _short(delta.before), _short(delta.after), _short(delta.change))
         for delta in comparison.totals],
    )  # fmt: skip
    console = Console(soft_wrap=True)
    for row in comparison.rows:
        text = Text(f"{'  ' * row.depth}{row.status:<12}", style=_STATUS_STYLE[row.status])
        text.append(f"{row.kind} ", style="dim")
        text.append(row.name)
        extra = [row.match] if row.match else []
        extra += [f"differs in {', '.join(row.parts)}"] if row.parts else []
        text.append(f"  {' · '.join(extra)}" if extra else "", style="dim")
        console.print(text)
    if comparison.output_changed:
        console.print(Text("\nfinal output", style="bold"))
        text = Text()
        for chunk in comparison.output:
            text.append(chunk.text, style=_STYLE[chunk.op])
        console.print(text)
    else:
        console.print("\nthe final outputs are the same")


def _short(value: float | None) -> float | int | None:
    return value if value is None or isinstance(value, int) else round(value, 4)
