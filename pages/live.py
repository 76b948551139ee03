"""A run as it happens: its graph, its figures, and what is behind each node."""

from __future__ import annotations

import streamlit as st

from app import data, hub, state
from app.components import detail, empty, live_bar
from app.components.graph import graph, peek

POLL_S = 1.0
HEARTBEAT_S = 3.0
HEIGHT = "clamp(420px, calc(100vh - 178px), 1600px)"


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
    node_id = live_bar.chosen_node()
    span_id = state.param(state.Param.SPAN)
    # always two columns, the second one empty at times: the graph must not be mounted anew
    left, right = st.columns([1.7, 1] if span_id else [1, 1e-9], gap="small" if span_id else None)
    with left:
        shown = graph(
            trace_id,
            token=state.session_token(),
            selected=node_id,
            statuses=live_bar.statuses(),
            elements=trace.message(layout=peek().layout) if polling else None,
            height=HEIGHT,
        )
    if span_id:
        with right:
            detail.render_span(trace_id, span_id, version=trace.summary(span_id), height=HEIGHT)
    if (shown.transport == "polling") != polling:
        st.rerun()


main()
