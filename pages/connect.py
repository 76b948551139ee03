"""First run: what to export for which client, whether it arrives, and a demo that needs no key."""

from __future__ import annotations

import streamlit as st

from app import data, guide, navigation, service
from app.components import health, ports, press
from app.components.demo import is_starting, render_demo_button, show_started_demo
from tracelake.errors import TraceLakeError

REFRESH_S = 2.0
_STEPS = (
    ("Watch", "Each agent is a lane; its model calls, tools and errors appear as they happen."),
    ("Read", "Click a node for the whole prompt, the answer, the tokens and what they cost."),
    ("Change", "Edit a prompt, test it, and see word by word how the answer differs."),
    ("Rerun", "Run the program again from any step, and compare both paths."),
)


def main() -> None:
    """Draw the page."""
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        st.markdown("## See what your agents really do")
        st.markdown(
            "Point a program's base URL at Trace Lake: nothing else in it changes. Its calls pass "
            "through as they are, and show in Live while it runs."
        )
        every = None if is_starting() else REFRESH_S
        st.fragment(ports.render_displaced, run_every=every)()
        addresses = service.addresses()
        render_clients(addresses)
    with right:
        demo = st.container(border=True, key="demo-card")
        st.fragment(render_arrival, run_every=every)(addresses)
    render_steps()
    with demo:  # last: starting it takes seconds, in which the rest is to stand
        render_demo()


def render_clients(addresses: dict[str, str] | None) -> None:
    """What to do for each kind of client, with the real addresses."""
    if addresses is None:
        st.error("The collector is not running, so there is nothing to connect to yet.")
        icon = ":material/play_arrow:"
        if press.button("Start the collector", type="primary", icon=icon, key="start-collector"):
            start_collector()
        return
    names = [client.name for client in guide.CLIENTS]
    chosen = st.pills(
        "Client",
        names,
        default=names[0],
        required=True,
        wrap=True,
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
    st.markdown("#### Try it now, without a key")
    st.markdown(
        "A small team of agents repairs a bundled repository against an offline provider, in "
        "half a minute. Nothing leaves this machine."
    )
    render_demo_button()
    show_started_demo()


def render_arrival(addresses: dict[str, str] | None) -> None:
    """Whether calls arrive, and the way to what has arrived; other addresses redraw the page."""
    if service.addresses() != addresses:
        st.rerun()
    health.render_collector()
    latest = data.latest_trace()
    if latest is not None:
        navigation.render_link(
            "live",
            "Open the latest trace in Live",
            icon=":material/account_tree:",
            trace=latest["trace_id"],
        )


def render_steps() -> None:
    """What a newcomer can do once something is recorded."""
    steps = "".join(f"<li><b>{name}</b>{what}</li>" for name, what in _STEPS)
    st.html(f'<ol class="tl-steps">{steps}</ol>')


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
