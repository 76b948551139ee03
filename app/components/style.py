"""The look that no theme option reaches: the frame of every page, set once.

Colours and type come from `.streamlit/config.toml`; the rules here use the theme's own CSS
variables, so that they follow light and dark.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_ASSETS = Path(__file__).resolve().parent.parent / "assets"
LOGO = _ASSETS / "logo.svg"
ICON = _ASSETS / "icon.svg"
_CSS = _ASSETS / "app.css"


def render_frame() -> None:
    """Page settings, logo and style sheet; the first thing of every run."""
    st.set_page_config(page_title="Trace Lake", page_icon=str(ICON), layout="wide")
    st.html(_CSS)
    st.logo(str(LOGO), size="large")
