"""Where the lake is, how big it is, whether everything runs, how it records, and how it looks."""

from __future__ import annotations

import platform

import streamlit as st

from app import data, service
from app.components import collector_settings, health, ports, simple_graph, text

REFRESH_S = 3.0


def main() -> None:
    """Draw the page."""
    left, right = st.columns(2, gap="large")
    with left:
        render_lake()
        render_appearance()
        render_versions()
    with right:
        st.markdown("#### Health")
        st.fragment(health.render_collector, run_every=REFRESH_S)()
        st.fragment(ports.render_displaced, run_every=ports.LOOK_S)()
        st.markdown("#### Recording")
        collector_settings.render_settings()


def render_lake() -> None:
    """Path, size and what is in it."""
    lake = data.lake_facts()
    st.markdown("#### Lake")
    with st.container(border=True):
        st.code(lake.path, language=None)
        with st.container(horizontal=True, gap="large"):
            st.metric("Traces", text.count(lake.traces), width="content")
            st.metric("Spans", text.count(lake.spans), width="content")
            st.metric("Parquet", text.size(lake.cold_bytes), width="content")
            st.metric("Not yet in Parquet", text.size(lake.hot_bytes), width="content")
        st.caption(
            "Start the app with `--lake DIR`, or with `TRACELAKE_DIR` set, to open another lake. "
            "What is recorded becomes Parquet within a minute, for any tool to read:"
        )
        st.code(
            "import tracelake\n\n"
            f'lake = tracelake.Lake("{lake.path}")\n'
            'lake.spans().filter(kind="llm").collect()  # a polars frame',
            language="python",
        )


def render_appearance() -> None:
    """What changes the look of the app."""
    st.markdown("#### Appearance")
    with st.container(border=True):
        st.markdown(
            "Light or dark follows your system; the menu at the top right (⋮) sets it for good."
        )
        simple_graph.render_choice()


def render_versions() -> None:
    """Versions worth naming in a bug report."""
    st.markdown("#### Versions")
    with st.container(border=True):
        st.code(
            f"tracelake {service.app_version()}\n"
            f"streamlit {st.__version__}\n"
            f"python {platform.python_version()} on {platform.system()} {platform.machine()}",
            language=None,
        )


main()
