"""First run: what to export for which client, whether it arrives, and a demo that needs no key."""

from __future__ import annotations

import streamlit as st

from app import guide, navigation, service
from app.components import health
from tracelake.errors import TraceLakeError

REFRESH_S = 2.0


def main() -> None:
    """Draw the page."""
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        st.markdown("## See what your agents really do")
        st.markdown(
            "Point a program's base URL at Trace Lake. Calls pass through unchanged; "
            "agents, model calls and tools appear in Live while they run."
        )
        render_clients()
    with right:
        render_demo()
        st.fragment(health.render_collector, run_every=REFRESH_S)()


def render_clients() -> None:
    """What to do for each kind of client, with the real addresses."""
    addresses = service.addresses()
    if addresses is None:
        st.error("The collector is not running, so there is nothing to connect to yet.")
        if st.button("Start the collector", type="primary", icon=":material/play_arrow:"):
            start_collector()
        return
    names = [client.name for client in guide.CLIENTS]
    chosen = st.pills(
        "Client",
        names,
        default=names[0],
        required=True,
        key="client",
        bind="query-params",
        label_visibility="collapsed",
    )
    client = guide.CLIENTS[names.index(chosen)]
    for step in client.steps_for(addresses):
        st.markdown(step.text)
        st.code(step.code, language=step.language)
    if client.note:
        st.caption(client.note)


def render_demo() -> None:
    """The demo: one button."""
    with st.container(border=True, key="demo-card"):
        st.markdown("#### Try it now, without a key")
        st.markdown(
            "A small team of agents repairs a bundled repository against an offline provider. "
            "Nothing leaves this machine."
        )
        if st.button("Run the demo", type="primary", icon=":material/play_circle:", key="run-demo"):
            run_demo()


def run_demo() -> None:
    """Start the demo and show it live."""
    with st.spinner("Starting the demo…"):
        try:
            trace_id = service.start_demo()
        except TraceLakeError as error:
            st.error(str(error))
            return
    navigation.go("live" if navigation.is_listed("live") else "history", trace=trace_id)


def start_collector() -> None:
    """Try again what failed when the app started."""
    with st.spinner("Starting the collector…"):
        try:
            service.running_collector()
        except TraceLakeError as error:
            st.error(str(error))
            return
    st.rerun()


main()
