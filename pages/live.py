"""A run as it happens: its graph, its figures, and what is behind each node."""

from __future__ import annotations

import streamlit as st

from app import data, hub, state
from app.components import detail, empty, live_bar, plain_detail, simple_graph
from app.components.graph import chosen_node, graph, peek, take_action

POLL_S = 1.0
HEARTBEAT_S = 30.0
LATE_POLL_S = 5.0  # a run that has ended may still be told of
_WOKEN = "_live_woken"
HEIGHT = "clamp(420px, calc(100vh - 154px), 1600px)"


def main() -> None:
    """Draw the page."""
    # a run that is named is waited for, also in an empty lake
    if state.param(state.Param.TRACE) is None and not data.has_traces():
        empty.render_empty_lake()
        return
    trace_id = live_bar.render_bar()
    running = hub.current().watch(trace_id).totals()["status"] == "running"
    if simple_graph.is_chosen():
        st.fragment(simple_workspace, run_every=POLL_S if running else None)(trace_id)
        return
    polling = peek().transport == "polling"
    every = (POLL_S, LATE_POLL_S) if polling else (HEARTBEAT_S, None)
    st.fragment(workspace, run_every=every[not running])(trace_id, polling=polling)


def workspace(trace_id: str, *, polling: bool) -> None:
    """Graph, timeline and details; a click runs only this again."""
    detail.follow_action(trace_id, take_action())
    span_id = state.param(state.Param.SPAN)
    elements = document = None
    if polling:
        elements = hub.current().watch(trace_id).message(layout=peek().layout)
        document = detail.read_document(trace_id, span_id) if span_id else None
    shown = graph(
        trace_id,
        token=state.session_token(),
        selected=chosen_node(),
        document=document,
        actions=detail.actions(),
        statuses=live_bar.statuses(),
        agents=state.params(state.Param.AGENT),
        elements=elements,
        height=HEIGHT,
    )
    is_woken = shown.woken != state.get(_WOKEN, 0)
    state.put(_WOKEN, shown.woken)
    if is_woken or (shown.transport == "polling") != polling:
        st.rerun()  # the line above follows closely again


def simple_workspace(trace_id: str) -> None:
    """The same with the simple renderer, which knows no timeline and no details of its own."""
    message = hub.current().watch(trace_id).message()
    left, right = st.columns([1.7, 1])
    with left:
        span_id = simple_graph.chosen_span(message) if message else None
    with right, st.container():
        if span_id is None:
            st.caption("Click a node to read what was sent and answered.")
        else:
            plain_detail.render_document(detail.read_document(trace_id, span_id))


main()
