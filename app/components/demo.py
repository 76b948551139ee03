"""The button that starts the demo, and what it starts."""

from __future__ import annotations

import streamlit as st

from app import navigation, service, state
from tracelake.errors import TraceLakeError

_KEY = "run-demo"


def render_demo_button() -> bool:
    """The button; whether it was pressed."""
    return st.button("Run the demo", type="primary", icon=":material/play_circle:", key=_KEY)


def is_starting() -> bool:
    """Whether this run of the page starts the demo: nothing else may ask for another run then."""
    return bool(state.get(_KEY))


def start_demo() -> None:
    """Record a run of the demo and show it in Live while it goes on."""
    with st.spinner("Starting the demo, which takes a few seconds…"):
        try:
            trace_id = service.start_demo()
        except TraceLakeError as error:
            st.error(str(error))
            return
    navigation.go("live", trace=trace_id)
