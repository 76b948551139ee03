"""Navigation: the frame around every page. Only pages that work are listed."""

from __future__ import annotations

import streamlit as st

from app import data, navigation
from app.components import gate, style


def home() -> None:
    """Where the bare URL leads: to Live once there is a trace, before that to Connect."""
    navigation.go("live" if data.has_traces() else "connect")


style.render_frame()
gate.require_access()
page = st.navigation(
    [
        st.Page(home, title="Trace Lake", url_path="home", default=True, visibility="hidden"),
        *navigation.pages(),
    ],
    position="top",
)
style.name_tab(page.title)
page.run()
