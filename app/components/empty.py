"""What a page says while it has nothing to show, and the way on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import data, navigation, service
from app.components import ports, press
from app.components.demo import render_demo_button, show_started_demo
from app.components.importing import render_import

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.delta_generator import DeltaGenerator


_LOOK_S = 2.0


def render_empty_lake() -> None:
    """The lake holds no trace yet."""
    with _middle():
        st.markdown("### Nothing recorded yet")
        st.markdown(
            "Run the demo to see what Trace Lake shows: it needs no key and nothing leaves this "
            "machine. Or point a program of yours at Trace Lake, and every call it makes "
            "appears here."
        )
        with st.container(horizontal=True):
            render_demo_button()
            if press.button("Connect a program", icon=":material/cable:", key="to-connect"):
                navigation.go("connect")
            render_import()
        if not show_started_demo():
            st.fragment(_leave_once_filled, run_every=_LOOK_S)()
            st.fragment(_tell_of_collector, run_every=ports.LOOK_S)()


def _leave_once_filled() -> None:
    """What arrives meanwhile is shown without a reload."""
    if data.has_traces():
        st.rerun()


def _tell_of_collector() -> None:
    """What keeps calls from arriving, where something does."""
    if service.addresses() is None:
        st.warning("The collector is not running, so nothing is recorded: Connect starts it.")
    ports.render_displaced()


def render_no_match(*, on_clear: Callable[[], None]) -> None:
    """No trace matches the filters."""
    with _middle():
        st.markdown("### No trace matches these filters")
        st.markdown("Widen the days, drop a condition, or clear all filters.")
        st.button("Clear filters", type="primary", icon=":material/close:", on_click=on_clear)


def _middle() -> DeltaGenerator:
    st.space("large")
    _, middle, _ = st.columns([1, 1.4, 1])
    return middle.container(border=True)
