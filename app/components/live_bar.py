"""The line above the graph: which run, how it does, which statuses are shown."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, hub, state
from app.components import text
from app.components.figures import render_figures
from tracelake.errors import NotInLake
from tracelake.query.traces import TraceFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUSES = {"running": "Running", "ok": "Done", "error": "Failed"}
_FILTER_KEY = "live_statuses"
_TRACE_KEY = "live_trace"
_LISTED = 200
_REFRESH_S = 1.0
_LULL_REFRESH_S = 10.0  # a run that waits: the graph wakes the page
_IDLE_REFRESH_S = 4.0  # nothing goes on: whether a new run has begun
_QUIET_S = 10.0


def render_bar() -> str:
    """Selector, status filter and counters; gives the id of the chosen trace."""
    known = state.param(state.Param.TRACE)
    if known is None:
        known = data.latest_run()
        state.set_params(**{state.Param.TRACE: known})
    left, middle, right = st.columns([1, 1.25, 0.66], vertical_alignment="bottom", gap="medium")
    with left:
        _selector(known)
    with middle:
        running, busy = _pace(known)
        every = _REFRESH_S if busy else _LULL_REFRESH_S if running else _IDLE_REFRESH_S
        st.fragment(_counters, run_every=every)(known, (running, busy), hub.current().runs)
    with (
        right,
        st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"),
    ):
        st.segmented_control(
            "Show",
            list(_STATUSES),
            format_func=_STATUSES.__getitem__,
            selection_mode="multi",
            key=_FILTER_KEY,
            label_visibility="collapsed",
        )
        st.download_button(
            "",
            data=lambda: data.export_parquet(TraceFilter(), [known]),
            file_name=f"{known}.parquet",
            mime="application/vnd.apache.parquet",
            icon=":material/download:",
            on_click="ignore",
            help="Export this run as Parquet, with all it takes to test and rerun it elsewhere",
            key="live_export",
        )
    return known


def statuses() -> list[str]:
    """Statuses to show; empty for all."""
    return list(state.get(_FILTER_KEY) or [])


def _selector(known: str) -> None:
    rows = {row["trace_id"]: row for row in data.list_traces(TraceFilter(), page_size=_LISTED).rows}
    options = list(rows) if known in rows else [known, *rows]
    if known not in rows:
        with suppress(NotInLake):
            rows[known] = data.read_trace(known)
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
        return f"{trace_id} · not in this lake yet"
    status = row["status"] or "running"
    mark = text.STATUS_MARK[status]
    word = "live" if status == "running" else text.STATUS_WORD[status]
    name = text.first_line(row["name"] or trace_id, 40)
    parts = [f"{mark} {word}", name, text.clock(row["start_time"])]
    if status != "running":  # what keeps changing would redraw an open list
        parts.append(text.duration(row["duration_ms"]))
    return " · ".join([*parts, trace_id[:8]])


def _pace(trace_id: str) -> tuple[bool, bool]:
    """Whether a run goes on, and whether there was news of it in the last seconds."""
    trace = hub.current().watch(trace_id)
    running = trace.totals()["status"] == "running"
    return running, running and time.monotonic() - trace.changed < _QUIET_S


def _counters(trace_id: str, was: tuple[bool, bool], runs: int) -> None:
    totals = hub.current().watch(trace_id).totals(now=time.time())
    if _pace(trace_id) != was or hub.current().runs != runs:
        st.rerun()  # the selector above is out of date, or the pace of this fragment
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
    render_figures(cells, bad=("Errors",) if totals["errors"] else ())
