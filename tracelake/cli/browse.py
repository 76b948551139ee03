"""`ls` and `show`: what the lake holds, in the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tracelake import schema
from tracelake.cli.options import add_command, count, open_lake, print_json, print_table
from tracelake.errors import NotInLake
from tracelake.graph.facts import shorten
from tracelake.query.jsonable import jsonable_row

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands
    from tracelake.lake import Lake

_MARK = {"running": "…", "ok": "✓", "error": "✗", "cancelled": "⊘", "lost": "?"}
_STYLE = {"error": "red", "running": "cyan", "cancelled": "yellow", "lost": "yellow"}
_LINE_CHARS = 100
_NAME_CHARS = 60


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    ls = add_command(commands, "ls", _ls, help="list traces, newest first")
    ls.add_argument("--limit", type=count, default=50, help="at most so many (default: 50)")
    show = add_command(commands, "show", _show, help="show one trace as a tree, or as JSON")
    show.add_argument("trace", metavar="TRACE", help="id, a prefix that only one has, or `last`")


def _ls(arguments: argparse.Namespace) -> None:
    lake = open_lake(arguments)
    newest = lake.answer(
        lambda: lake.traces().sort("start_time", descending=True).head(arguments.limit).collect()
    )
    rows = newest.iter_rows(named=True)
    if arguments.json:
        for row in rows:
            print_json(jsonable_row(row, schema.TRACES))
        return
    print_table(
        ("trace", "started (UTC)", "status", "name", "s", "llm", "tools", "errors", "usd"),
        [
            (
                row["trace_id"],
                row["start_time"].strftime("%Y-%m-%d %H:%M:%S") if row["start_time"] else None,
                row["status"],
                shorten(row["name"], _NAME_CHARS) if row["name"] else None,
                None if row["duration_ms"] is None else round(row["duration_ms"] / 1000, 1),
                row["llm_calls"],
                row["tool_calls"],
                row["error_count"],
                None if row["cost_usd"] is None else round(row["cost_usd"], 4),
            )
            for row in rows
        ],
    )


def _show(arguments: argparse.Namespace) -> None:
    lake = open_lake(arguments)
    if arguments.trace == "last":
        trace_id = _newest(lake)
    else:
        known = lake.answer(lambda: lake.traces().select("trace_id").collect())["trace_id"]
        trace_id = _resolve(known, arguments.trace)
    spans = list(lake.trace(trace_id).iter_rows(named=True))
    if arguments.json:
        found = lake.answer(lambda: lake.traces().filter(trace_id=trace_id).collect())
        trace = found.row(0, named=True)
        print_json(
            {
                "trace": jsonable_row(trace, schema.TRACES),
                "spans": [jsonable_row(span, schema.SPANS) for span in spans],
            }
        )
        return
    Console(soft_wrap=True).print(_tree(trace_id, spans))


def _newest(lake: Lake) -> str:
    newest = lake.latest_traces(1)
    if newest.is_empty():
        raise NotInLake("the lake is empty: `tracelake demo` records a first trace")
    return str(newest["trace_id"][0])


def _resolve(known: Any, wanted: str) -> str:
    ids = [str(one) for one in known]
    if wanted in ids:
        return wanted
    matches = [one for one in ids if one.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise NotInLake(f"{len(matches)} traces start with {wanted!r}: give more of the id")
    raise NotInLake(f"no trace {wanted!r} in this lake: `tracelake ls` lists them")


def _tree(trace_id: str, spans: list[dict[str, Any]]) -> Tree:
    ids = {span["span_id"] for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    # tools of one answer start together: then in the order in which the model asked for them
    for span in sorted(spans, key=lambda s: (s["start_time"], _attributes(s).get("ordinal", 0))):
        parent = span["parent_id"] if span["parent_id"] in ids else None
        children.setdefault(parent, []).append(span)
    root = Tree(Text(trace_id, style="bold"))
    pending = [(root, span) for span in reversed(children.get(None, []))]
    while pending:
        branch, span = pending.pop()
        node = branch.add(_line(span))
        below = children.get(span["span_id"], [])
        pending += [(node, child) for child in reversed(below)]
    return root


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return json.loads(span["attributes"] or "{}")


def _line(span: dict[str, Any]) -> Text:
    status = span["status"] or "running"
    text = Text(f"{_MARK.get(status, '·')} ", style=_STYLE.get(status, "green"))
    label = span["tool_name"] if span["kind"] == "tool" else span["name"] or span["agent_name"]
    text.append(f"{span['kind']} ", style="dim")
    text.append(shorten(label or span["model"] or span["span_id"], _NAME_CHARS), style="bold")
    if span["kind"] == "llm" and span["model"] and span["model"] != label:
        text.append(f" {span['model']}", style="magenta")
    if span["duration_ms"] is not None:
        at_most = "≤ " if _attributes(span).get("duration_bound") == "upper" else ""
        text.append(f" {at_most}{span['duration_ms'] / 1000:.2f} s", style="dim")
    if span["tokens_input"] is not None or span["tokens_output"] is not None:
        text.append(f" {span['tokens_input']}→{span['tokens_output']} tokens", style="dim")
    detail = span["error"] or span["response"] or span["result"]
    if detail:
        text.append(" " + shorten(detail, _LINE_CHARS), style="red" if span["error"] else "")
    return text
