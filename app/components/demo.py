"""The button that starts the demo, and what it starts."""

from __future__ import annotations

import streamlit as st

from app import navigation, service
from tracelake.errors import TraceLakeError


def render_demo_button() -> bool:
    """The button; whether it was pressed."""
    return st.button("Run the demo", type="primary", icon=":material/play_circle:", key="run-demo")


def start_demo() -> None:
    """Record a run of the demo and show it in Live while it goes on."""
    with st.spinner("Starting the demo, which takes a few seconds…"):
        try:
            trace_id = service.start_demo()
        except TraceLakeError as error:
            st.error(str(error))
            return
    navigation.go("live", trace=trace_id)
