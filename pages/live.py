"""A run as it happens: its graph, its figures, and what is behind each node."""

from __future__ import annotations

import streamlit as st

from app import data, hub, state
from app.components import detail, empty, live_bar
from app.components.graph import graph, peek

POLL_S = 1.0
HEARTBEAT_S = 3.0
HEIGHT = "clamp(420px, calc(100vh - 215px), 1600px)"


def main() -> None:
    """Draw the page."""
    if not data.has_traces():
        empty.render_empty_lake()
        return
    trace_id = live_bar.render_bar()
    running = hub.current().watch(trace_id).totals()["status"] == "running"
    polling = peek().transport == "polling"
    every = POLL_S if polling else HEARTBEAT_S
    st.fragment(workspace, run_every=every if running else None)(trace_id, polling=polling)


def workspace(trace_id: str, *, polling: bool) -> None:
    """Graph and detail; a click runs only this again."""
    trace = hub.current().watch(trace_id)
    opened = peek().selected is not None or state.param(state.Param.SPAN) is not None
    left, right = st.columns([1.75, 1], gap="small") if opened else (st.container(), None)
    with left:
        shown = graph(
            trace_id,
            token=state.session_token(),
            selected=state.param(state.Param.SPAN),
            statuses=live_bar.statuses(),
            elements=trace.message(layout=peek().layout) if polling else None,
            height=HEIGHT,
        )
    state.set_params(**{state.Param.SPAN: shown.span_id})
    if right is not None and shown.span_id is not None:
        with right, st.container(height="stretch", key="detail"):
            detail.render_span(trace_id, shown.span_id)
    if (shown.transport == "polling") != polling:
        st.rerun()


main()
