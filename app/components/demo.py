"""The button that starts the demo and leads to it."""

from __future__ import annotations

import streamlit as st

from app import navigation, service
from tracelake.errors import TraceLakeError


def render_demo_button() -> None:
    """One click records a run of the demo and shows it in Live while it goes on."""
    if not st.button("Run the demo", type="primary", icon=":material/play_circle:", key="run-demo"):
        return
    with st.spinner("Starting the demo, which takes a few seconds…"):
        try:
            trace_id = service.start_demo()
        except TraceLakeError as error:
            st.error(str(error))
            return
    navigation.go("live", trace=trace_id)
