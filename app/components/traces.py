"""The list of traces and what its rows say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state
from app.components import text
from tracelake.model import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STATUS_CHIPS = {
    "ok": "#15803d",
    "error": "#dc2626",
    "running": "#2563eb",
    "cancelled": "#64748b",
    "lost": "#b45309",
}
_ROW_PX = 33
_NARROW = ("status", "name", "started", "llm", "errors", "duration", "cost")


def render_traces(
    rows: Sequence[dict[str, Any]],
    *,
    key: str,
    on_open: Callable[[str], None],
    on_sort: Callable[[str], None],
    is_narrow: bool = False,
) -> tuple[str, ...]:
    """Draw one page of traces.

    Args:
        rows: As `app.data.list_traces` gives them.
        key: Changes when other rows are shown, so that no selection outlives its rows.
        on_open: Called with the trace whose row was clicked.
        on_sort: Called with the column whose head was clicked; the table by itself would sort only
            the rows of this page, and open the first of them.
        is_narrow: Leave out what the preview beside the list tells anyway.

    Returns:
        Ids of the ticked traces.
    """

    def clicked() -> None:
        selection = state.get(key)["selection"]
        columns, before = selection["columns"], state.get(f"_columns {key}", [])
        state.put(f"_columns {key}", columns)  # they stay chosen when a cell is clicked, and it too
        if columns and columns != before:
            on_sort(columns[0])
        elif selection["cells"]:
            on_open(rows[selection["cells"][0][0]]["trace_id"])

    shown = [
        {
            "status": [row["status"] or "running"],
            "name": text.first_line(row["name"] or row["trace_id"]),
            "started": row["start_time"],
            "agents": row["agents"] or [],
            "models": ", ".join(row["models"] or []),
            "duration": text.duration(row["duration_ms"] or None),  # of what has not ended yet
            "llm": row["llm_calls"],
            "tools": row["tool_calls"],
            "errors": row["error_count"] or None,
            "tokens": text.count(_sum(row["tokens_input"], row["tokens_output"])),
            "cost": text.cost(row["cost_usd"]),
        }
        for row in rows
    ]
    answer = st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select=clicked,
        selection_mode=["multi-row", "single-cell", "single-column"],
        height=min(18, len(shown) + 1) * _ROW_PX + 2,
        row_height=_ROW_PX,
        placeholder="",
        column_order=_NARROW if is_narrow else None,
        column_config=_columns(),
    )
    return tuple(rows[row]["trace_id"] for row in answer.selection.rows if row < len(rows))


def _columns() -> dict[str, Any]:
    column = st.column_config
    return {
        "status": column.MultiselectColumn(
            "Status", options=sorted(STATUSES), width=82,
            color=[_STATUS_CHIPS[status] for status in sorted(STATUSES)],
            format_func=text.STATUS_WORD.__getitem__,
        ),
        "name": column.TextColumn("Name", width="medium"),
        "started": column.DatetimeColumn(
            "Started (UTC)", format="MMM DD, HH:mm:ss", timezone="UTC", width=116
        ),
        "agents": column.ListColumn("Agents", width=190),
        "models": column.TextColumn("Models", width=150),
        "duration": column.TextColumn("Duration", width=84, alignment="right"),
        "llm": column.NumberColumn("LLM", width=48, help="LLM calls", format="localized"),
        "tools": column.NumberColumn("Tools", width=54, help="Tool calls", format="localized"),
        "errors": column.NumberColumn("Errors", width=58, help="Spans in error"),
        "tokens": column.TextColumn("Tokens", width=72, alignment="right", help="Input and output"),
        "cost": column.TextColumn("Cost", width=72, alignment="right", help="— is unknown"),
    }  # fmt: skip


def _sum(*numbers: int | None) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
