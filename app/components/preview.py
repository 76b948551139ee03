"""One trace at a glance: what it was, how it went, and its spans on a time line.

Text of traces is data: everything that reaches HTML here is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import navigation
from app.components import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_ROWS_SHOWN = 60
_OUTPUT_CHARS = 1200


def render_preview(trace: dict[str, Any], spans: Sequence[dict[str, Any]]) -> None:
    """Draw a trace.

    Args:
        trace: As `app.data.read_trace` gives it.
        spans: As `app.data.read_spans` gives them.
    """
    st.html(_heading(trace))
    st.html(_facts(trace))
    with st.container(horizontal=True, gap="small", key="preview-links"):
        navigation.render_link(
            "live", "Open in Live", icon=":material/account_tree:", trace=trace["trace_id"]
        )
        last_call = next((span for span in reversed(spans) if span["kind"] == "llm"), None)
        if last_call is not None:
            navigation.render_link(
                "playground",
                "Edit last prompt",
                icon=":material/edit_note:",
                trace=trace["trace_id"],
                span=last_call["span_id"],
            )
            navigation.render_link(
                "replay", "Rerun", icon=":material/fork_right:", trace=trace["trace_id"]
            )
    failed = [span for span in spans if span["status"] == "error"]
    if failed:
        st.html(_errors(failed))
    st.html(timeline(spans))
    if trace["final_output"]:
        st.html(
            '<div class="tl-caption">Final output</div><div class="tl-output">'
            f"{escape(trace['final_output'][:_OUTPUT_CHARS])}"
            f"{'…' if len(trace['final_output']) > _OUTPUT_CHARS else ''}</div>"
        )


def timeline(spans: Sequence[dict[str, Any]]) -> str:
    """Spans as rows of HTML, indented as a tree, each with its bar on the common time line."""
    rows = _tree(spans)
    starts = [span["start_time"] for _, span in rows if span["start_time"]]
    ends = [span["end_time"] or span["start_time"] for _, span in rows if span["start_time"]]
    if not starts:
        return ""
    begin, length = min(starts), max((max(ends) - min(starts)).total_seconds(), 1e-6)
    lines = [_row(depth, span, begin, length) for depth, span in rows[:_ROWS_SHOWN]]
    if len(rows) > _ROWS_SHOWN:
        lines.append(f'<div class="tl-more">{len(rows) - _ROWS_SHOWN:,} more in Live</div>')
    return f'<div class="tl-timeline">{"".join(lines)}</div>'


def span_label(span: dict[str, Any]) -> str:
    """What a span is called where there is room for one word."""
    if span["kind"] == "tool":
        return span["tool_name"] or span["name"] or "tool"
    if span["kind"] == "llm":
        return span["model"] or span["name"] or "model"
    return span["name"] or span["agent_name"] or span["kind"] or "span"


def span_class(span: dict[str, Any]) -> str:
    """Style class of a span's kind; an agent that is the root is the orchestrator."""
    if span["kind"] == "agent":
        return "orchestrator" if span["role"] == "orchestrator" else "agent"
    return span["kind"] if span["kind"] in {"llm", "tool"} else "other"


def _heading(trace: dict[str, Any]) -> str:
    status = trace["status"] or "running"
    name = escape(text.first_line(trace["name"] or trace["trace_id"]))
    return (
        f'<div class="tl-heading"><span class="tl-chip tl-{escape(status)}">'
        f"{escape(text.STATUS_WORD.get(status, status))}</span>"
        f'<span class="tl-name">{name}</span></div>'
        f'<div class="tl-id">{escape(trace["trace_id"])}</div>'
    )


def _facts(trace: dict[str, Any]) -> str:
    facts = (
        ("Started (UTC)", text.moment(trace["start_time"])),
        ("Duration", text.duration(trace["duration_ms"])),
        ("LLM calls", text.count(trace["llm_calls"])),
        ("Tool calls", text.count(trace["tool_calls"])),
        ("Tokens in", text.count(trace["tokens_input"])),
        ("Tokens out", text.count(trace["tokens_output"])),
        ("Cost", text.cost(trace["cost_usd"])),
        ("Errors", text.count(trace["error_count"])),
    )
    cells = "".join(f"<div><b>{escape(value)}</b><i>{name}</i></div>" for name, value in facts)
    return f'<div class="tl-facts">{cells}</div>'


def _errors(failed: Sequence[dict[str, Any]]) -> str:
    lines = "".join(
        f"<div><b>{escape(span_label(span))}</b> "
        f"{escape(text.first_line(span['error'] or span['error_type'] or 'failed', 240))}</div>"
        for span in failed[:3]
    )
    more = f"<div>and {len(failed) - 3:,} more</div>" if len(failed) > 3 else ""
    return f'<div class="tl-errors">{lines}{more}</div>'


def _tree(spans: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    rows: list[tuple[int, dict[str, Any]]] = []
    seen: set[str] = set()
    pending = [(0, span) for span in reversed(children.get(None, []))]
    while pending:
        depth, span = pending.pop()
        if span["span_id"] in seen:
            continue
        seen.add(span["span_id"])
        rows.append((depth, span))
        below = children.get(span["span_id"], [])
        pending += [(depth + 1, child) for child in reversed(below)]
    # spans of a cycle hang on nobody above; they are shown rather than lost
    rows += [(0, span) for span in spans if span["span_id"] not in seen]
    return rows


def _row(depth: int, span: dict[str, Any], begin: datetime, length: float) -> str:
    start = span["start_time"] or begin
    left = 100 * (start - begin).total_seconds() / length
    width = max(0.6, min(100 - left, (span["duration_ms"] or 0) / 10 / length))
    status = span["status"] or "running"
    mark = (
        ""
        if status == "ok"
        else f'<span class="tl-mark tl-{escape(status)}">'
        f"{escape(text.STATUS_WORD.get(status, status))}</span>"
    )
    return (
        f'<div class="tl-row"><div class="tl-label" style="padding-left:{min(depth, 8) * 12}px">'
        f'<span class="tl-dot tl-{span_class(span)}"></span>'
        f'<span class="tl-text">{escape(text.first_line(span_label(span), 60))}</span>{mark}</div>'
        f'<div class="tl-track"><span class="tl-bar tl-{span_class(span)} tl-s-{escape(status)}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%"></span></div>'
        f'<div class="tl-time">{escape(text.duration(span["duration_ms"]))}</div></div>'
    )
