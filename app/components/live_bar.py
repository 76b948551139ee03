"""The line above the graph: which run, how it does, which statuses are shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, hub, state
from app.components import text
from tracelake.query.traces import TraceFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUSES = {"running": "Running", "ok": "Done", "error": "Failed"}
_FILTER_KEY = "live_statuses"
_TRACE_KEY = "live_trace"
_LISTED = 200
_REFRESH_S = 1.0
_IDLE_REFRESH_S = 4.0  # while nothing runs: whether a new run has begun


def render_bar() -> str:
    """Selector, status filter and counters; gives the id of the chosen trace."""
    known = state.param(state.Param.TRACE)
    if known is None:
        known = data.list_traces(TraceFilter(), page_size=1).rows[0]["trace_id"]
        state.set_params(**{state.Param.TRACE: known})
    left, right = st.columns([1, 1.75], vertical_alignment="bottom", gap="medium")
    with left:
        _selector(known)
    with right:
        running = hub.current().watch(known).totals()["status"] == "running"
        every = _REFRESH_S if running else _IDLE_REFRESH_S
        st.fragment(_counters, run_every=every)(known, running, _newest())
    return known


def statuses() -> list[str]:
    """Statuses to show; empty for all."""
    return list(state.get(_FILTER_KEY) or [])


def _selector(known: str) -> None:
    rows = {row["trace_id"]: row for row in data.list_traces(TraceFilter(), page_size=_LISTED).rows}
    options = list(rows) if known in rows else [known, *rows]
    titles = {trace_id: _title(rows.get(trace_id), trace_id) for trace_id in options}
    # Streamlit keeps the chosen title, not the id: with other titles it must be another widget,
    # or a title that is gone would come back as the choice
    key = f"{_TRACE_KEY}:{known}:{hash(tuple(titles.values()))}"
    st.selectbox(
        "Run",
        options,
        index=options.index(known),
        format_func=titles.__getitem__,
        key=key,
        on_change=_chosen,
        args=(key, titles, known),
        label_visibility="collapsed",
        help="Type to search",
    )


def _chosen(key: str, titles: Mapping[str, str], known: str) -> None:
    trace_id = state.get(key)
    if trace_id in titles and trace_id != known:
        params = {state.Param.TRACE: trace_id, state.Param.SPAN: None, state.Param.AGENT: None}
        state.set_params(**params)


def _title(row: dict[str, Any] | None, trace_id: str) -> str:
    if row is None:
        return trace_id
    status = row["status"] or "running"
    mark = text.STATUS_MARK[status]
    word = {"ok": "done", "running": "live", "error": "failed"}.get(status, status)
    name = text.first_line(row["name"] or trace_id, 48)
    parts = [f"{mark} {word}", name, f"{row['start_time']:%d %b %H:%M:%S}"]
    if status != "running":  # what keeps changing would redraw an open list
        parts += [text.duration(row["duration_ms"]), text.plural(row["llm_calls"] or 0, "call")]
    return " · ".join([*parts, trace_id[:8]])


def _newest() -> str | None:
    latest = data.latest_trace()
    return latest["trace_id"] if latest else None


def _counters(trace_id: str, was_running: bool, newest: str | None) -> None:
    totals = hub.current().watch(trace_id).totals(now=time.time())
    if (totals["status"] == "running") != was_running or _newest() != newest:
        st.rerun()  # the selector above tells states and runs that are out of date
    elapsed = totals["elapsed_s"]
    cells = (
        ("LLM calls", text.count(totals["calls"])),
        ("Tool calls", text.count(totals["tools"])),
        ("Tokens in", text.count(totals["tokens_input"] or None)),
        ("Tokens out", text.count(totals["tokens_output"] or None)),
        ("Cost", text.cost(totals["cost_usd"])),
        ("Errors", text.count(totals["errors"])),
        ("Elapsed", text.duration(None if elapsed is None else elapsed * 1000)),
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        for label, value in cells:
            st.metric(label, value, width="content")
        st.space("stretch")
        st.segmented_control(
            "Show",
            list(_STATUSES),
            format_func=_STATUSES.__getitem__,
            selection_mode="multi",
            key=_FILTER_KEY,
            label_visibility="collapsed",
            on_change=_redraw,
        )


def _redraw() -> None:
    """Runs with the fragment of the counters; the graph hears of it on its own next run."""
