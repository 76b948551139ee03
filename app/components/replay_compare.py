"""Two runs side by side: figures, final outputs, both paths on one graph, any pair of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import forks, state
from app.components import text
from app.components.diff import render_chunks
from app.components.replay_graph import render_graph
from app.components.replay_progress import render_calls

if TYPE_CHECKING:
    from tracelake.playground.compare import Delta
    from tracelake.replay.compare import Comparison, Row
    from tracelake.replay.fork import ForkState

_WORDS = {
    "same": "same",
    "changed": "changed",
    "only_before": "only before",
    "only_after": "only after",
}
_TITLES = ("Before", "After")
_ROWS_SHOWN = 14
_SHOWN = {
    "duration_ms": ("Latency", text.duration),
    "llm_calls": ("LLM calls", text.count),
    "tokens_input": ("Tokens in", text.count),
    "tokens_output": ("Tokens out", text.count),
    "cost_usd": ("Cost", text.cost),
}
_PARTS = {"input": "What it was given", "output": "What it answered", "calls": "Tools it called"}

_SPAN_COLUMNS: dict[str, Any] = {
    "status": st.column_config.TextColumn("Status", width=88),
    "span": st.column_config.TextColumn("Span", width=190),
    "agent": st.column_config.TextColumn("Agent", width=100),
    "answered": st.column_config.TextColumn("Answered", width=78, help="How it was answered"),
    "differs in": st.column_config.TextColumn("Differs in", width=100),
    "tokens": st.column_config.TextColumn("Tokens", width=70, alignment="right"),
    "cost": st.column_config.TextColumn("Cost", width=88, alignment="right"),
    "latency": st.column_config.TextColumn("Latency", width=84, alignment="right"),
    "before": st.column_config.TextColumn("Before", width=210),
    "after": st.column_config.TextColumn("After", width=210),
}


def render_comparison(comparison: Comparison, fork: ForkState | None) -> None:
    """The whole comparison."""
    _figures(comparison)
    labels = ["Final output", "Graph", "Spans", "Files", "Calls"]
    files: list[dict[str, Any]] = (fork.result.get("files") if fork else None) or []
    if files:
        labels[3] = f"Files ({len(files)})"
    output, graph, table, changed, calls = st.tabs(labels, key="replay-tabs")
    with output:
        if not comparison.output_changed:
            st.success("The final outputs are the same, word by word.")
        render_chunks(comparison.output, titles=_TITLES, key="replay-output")
    with table:
        _table(comparison)
    with graph:
        _graph(comparison)
    with changed:
        _files(files)
    with calls:
        if fork is not None:
            render_calls(fork)


def _graph(comparison: Comparison) -> None:
    """Both paths, and the differences of the node that was clicked."""
    sides = [forks.spans_by_id(one) for one in (comparison.before_trace, comparison.after_trace)]
    key = f"_replay_clicked {comparison.after_trace}"
    chosen = state.get(key)
    clicked = render_graph(comparison, sides[0], sides[1], chosen=chosen)
    if clicked != chosen:
        state.put(key, clicked)
        st.rerun()
    row = next((row for row in comparison.rows if row.id == clicked), None)
    if row is None:
        st.caption("Click a node to compare the two spans word by word.")
    else:
        _pair(comparison, row, place="graph")


def _pair(comparison: Comparison, row: Row, *, place: str) -> None:
    differs = f": differs in {', '.join(row.parts)}" if row.parts else ""
    st.caption(f"{row.kind} {row.name} is {_WORDS[row.status]}{differs}")
    for part, chunks in forks.pair(comparison, row.before, row.after).items():
        st.markdown(f"**{_PARTS[part]}**")
        render_chunks(chunks, titles=_TITLES, key=f"replay-{place}-{row.id}-{part}")


def _figures(comparison: Comparison) -> None:
    columns = st.columns(len(_SHOWN) + 1)
    deltas = {delta.name: delta for delta in comparison.totals}
    for column, (name, (label, form)) in zip(columns, _SHOWN.items(), strict=False):
        delta = deltas[name]
        column.metric(label, form(delta.after), _change(delta, form), delta_color="off")
    spent = text.cost(comparison.spent_usd)
    columns[-1].metric("Really spent", spent, help="Cost of the calls that went to a provider.")


def _change(delta: Delta, form: Any) -> str | None:
    return _signed(delta.change, form) or None


def _table(comparison: Comparison) -> None:
    """The aligned spans, and the differences of the chosen one below."""
    only = st.toggle("Only what differs", value=True, key="replay-only")
    rows = [row for row in comparison.rows if not only or row.status != "same"]
    if not rows:
        st.success("Every span is the same.")
        return
    event = st.dataframe(
        [_cells(row) for row in rows],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"replay-spans-{comparison.after_trace}-{only}",
        height="content" if len(rows) <= _ROWS_SHOWN else 460,
        column_config=_SPAN_COLUMNS,
    )
    chosen = event["selection"]["rows"]
    if not chosen or chosen[0] >= len(rows):
        st.caption("Choose a row to compare the two spans word by word.")
        return
    _pair(comparison, rows[chosen[0]], place="table")


def _cells(row: Row) -> dict[str, Any]:
    change = {delta.name: delta.change for delta in row.deltas}
    tokens = _sum(change["tokens_input"], change["tokens_output"])
    return {
        "status": _WORDS[row.status],
        "span": f"{'    ' * row.depth}{row.kind} · {row.name}",
        "agent": row.agent_name or "",
        "answered": row.match or "",
        "differs in": ", ".join(row.parts),
        "tokens": _signed(tokens, text.count),
        "cost": _signed(change["cost_usd"], text.cost),
        "latency": _signed(change["duration_ms"], text.duration),
        "before": row.before_text,
        "after": row.after_text,
    }


def _signed(change: float | None, form: Any) -> str:
    """A change with its sign; empty where nothing that shows changed or it is not known."""
    if not change or (shown := form(abs(change))) == form(0):
        return ""
    return f"{'-' if change < 0 else '+'}{shown}"


def _sum(*numbers: float | None) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _files(files: list[dict[str, Any]]) -> None:
    if not files:
        st.caption("The fork changed no file of its working directory.")
    for change in files:
        with st.expander(f"{change['status']} · {change['path']}", expanded=len(files) == 1):
            st.code(change["diff"] or "binary or too large to show", language="diff")
