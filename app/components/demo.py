"""The button that starts the demo, and the way to what it records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, service, state
from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from app.demos import Demo

_STARTED = "_demo"


def render_demo_button() -> None:
    """The button; a press starts the demo at once."""
    st.button(
        "Run the demo",
        type="primary",
        icon=":material/play_circle:",
        key="run-demo",
        on_click=_start,
    )


def is_starting() -> bool:
    """Whether a demo was started that is not shown yet."""
    return state.get(_STARTED) is not None


def show_started_demo() -> bool:
    """Wait for a demo that was started and show it in Live while it goes on; whether one was."""
    demo: Demo | None = state.get(_STARTED)
    if demo is None:
        return False
    with st.spinner("Starting the demo, which takes a few seconds…"):
        try:
            trace_id = demo.wait()
        except TraceLakeError as error:
            state.drop(_STARTED)
            st.error(str(error))
            return True
    state.drop(_STARTED)
    navigation.go("live", trace=trace_id)
    return True


def _start() -> None:
    if not is_starting():
        state.put(_STARTED, service.start_demo())
