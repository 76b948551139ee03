"""A fork while it runs: calls by match level, what the program prints, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import forks, navigation

if TYPE_CHECKING:
    from tracelake.replay.fork import ForkState

#: Outcome to the colour of its badge and what it means.
LEVELS: dict[str, tuple[str, str]] = {
    "exact": ("green", "the same request, answered from the recording"),
    "semantic": ("green", "says the same; session metadata differs"),
    "volatile": ("blue", "the same but for ids, times and folders"),
    "fuzzy": ("orange", "nearly the same: look at the difference"),
    "edited": ("violet", "your edit"),
    "live": ("red", "sent to the provider"),
    "refused": ("red", "no recording, and live calls are off"),
    "probe": ("gray", "no model call"),
}
_STATUS = {
    "starting": ("blue", "starting"),
    "running": ("blue", "running"),
    "ok": ("green", "done"),
    "error": ("red", "the program failed"),
    "cancelled": ("gray", "cancelled"),
    "refused": ("orange", "stopped: a call has no recording"),
    "failed": ("red", "could not be started"),
}


def render_progress(state: ForkState) -> None:
    """Status and counts, and a button to cancel while it runs."""
    colour, words = _STATUS.get(state.status, ("gray", state.status))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":{colour}-badge[{words}]")
        for level, (badge, meaning) in LEVELS.items():
            if count := state.counts.get(level):
                st.markdown(f":{badge}-badge[{level} {count}]", help=meaning)
        st.space("stretch")
        fork = forks.running(state.run_id)
        if fork is not None and not state.is_over:
            st.button(
                "Cancel", icon=":material/stop_circle:", on_click=fork.cancel, key="replay-cancel"
            )
        navigation.render_link(
            "live", "Show in Live", icon=":material/account_tree:", trace=state.run_id
        )
    if state.error:
        st.error(state.error)


def render_calls(state: ForkState) -> None:
    """Every call so far, with why it was not answered exactly; and the program's output."""
    with st.expander(f"Calls ({len(state.calls)})", expanded=not state.is_over):
        if state.calls:
            st.dataframe(
                [_line(number, call) for number, call in enumerate(state.calls, 1)],
                hide_index=True,
                key="replay-calls",
            )
        else:
            st.caption("No call yet.")
    with st.expander("What the program printed"):
        st.code(forks.log_of(state.run_id) or "nothing yet", language=None, height=260)


def _line(number: int, call: dict[str, Any]) -> dict[str, Any]:
    return {
        "call": number,
        "answered": call["outcome"],
        "repeats span": call["original_span_id"],
        "alike": call["similarity"],
        "difference": "\n".join(call["detail"]),
    }
