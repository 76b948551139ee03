"""Fork a recorded run at any step, watch it, and compare what came out."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import data, forks, state
from app.components import empty, text
from app.components.replay_compare import render_comparison
from app.components.replay_progress import render_calls, render_progress
from app.components.replay_setup import FORK, render_setup
from app.components.replay_tree import render_tree
from tracelake.query.traces import TraceFilter

POLL_S = 0.5
_LISTED = 200


def main() -> None:
    """Draw the page."""
    if not data.has_traces():
        empty.render_empty_lake()
        return
    trace_id = _choose_trace()
    fork_id = render_tree(trace_id)
    if fork_id is None:
        st.caption(
            "Choose a step, change it, and run the program again from there: calls before the "
            "step are answered from the recording. Each rerun is a new trace, a fork; the "
            "recorded one stays as it is."
        )
        render_setup(trace_id)
        return
    running = forks.state_of(fork_id)
    is_over = running is None or running.is_over
    drawn = running.status if running else None
    st.fragment(_fork, run_every=None if is_over else POLL_S)(fork_id, drawn)


def _fork(fork_id: str, drawn: str | None) -> None:
    """A fork; where its status is no longer the drawn one, the tree above tells it too."""
    known = forks.state_of(fork_id)
    if known is not None and known.status != drawn:
        st.rerun()
    if known is None:
        st.warning("There is no such fork in this lake.")
        return
    render_progress(known)
    if known.is_over:
        origin = forks.origin_of(fork_id)
        comparison = forks.compared(origin, fork_id) if origin else None
        if comparison is not None:
            render_comparison(comparison, known)
        else:
            render_calls(known)
    else:
        render_calls(known)


def _choose_trace() -> str:
    """The trace to fork: the one in the URL, a fork's origin for a fork, else the latest run."""
    fork_id = state.param(FORK)
    wanted = (forks.origin_of(fork_id) if fork_id else None) or state.param(state.Param.TRACE)
    rows = {r["trace_id"]: r for r in data.list_traces(TraceFilter(), page_size=_LISTED).rows}
    options = list(rows) if wanted is None or wanted in rows else [wanted, *rows]
    names = {one: _name(rows.get(one), one) for one in options}
    chosen = st.selectbox(
        "Run",
        options,
        index=options.index(wanted) if wanted else _latest_run(options, rows),
        format_func=names.__getitem__,
        # with other names another widget: Streamlit keeps the chosen name, not the id
        key=f"replay-trace-{wanted}-{hash(tuple(names.values()))}",
    )
    if chosen != wanted:
        state.set_params(trace=chosen, span=None, fork=None)
    return chosen


def _latest_run(options: list[str], rows: dict[str, dict[str, Any]]) -> int:
    """Where the latest trace stands that is neither a fork nor a test of another's call."""
    runs = (at for at, one in enumerate(options) if not rows[one]["forked_from_trace_id"])
    return next(runs, 0)


def _name(row: dict[str, Any] | None, trace_id: str) -> str:
    if row is None:
        return trace_id
    forked = " · fork" if row["forked_from_trace_id"] else ""
    return f"{row['name'] or trace_id}{forked} · {text.clock(row['start_time'])} · {trace_id[:8]}"


main()
