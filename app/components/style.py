"""The look that no theme option reaches: the frame of every page, set once.

Colours and type come from `.streamlit/config.toml`; the rules here use the theme's own CSS
variables, so that they follow light and dark.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

NAME = "Trace Lake"
_ASSETS = Path(__file__).resolve().parent.parent / "assets"
LOGO = _ASSETS / "logo.svg"
ICON = _ASSETS / "icon.svg"
_CSS = _ASSETS / "app.css"


def render_frame() -> None:
    """Page settings, logo and style sheet; the first thing of every run."""
    st.set_page_config(page_title=NAME, page_icon=str(ICON), layout="wide")
    st.html(_CSS)
    st.logo(str(LOGO), size="large")


def name_tab(title: str) -> None:
    """Name the browser tab after the page, so that several can be told apart."""
    if title != NAME:
        st.set_page_config(page_title=f"{title} · {NAME}")
