"""Everything about one span, at the right of the graph."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import data
from app.components import text
from tracelake.errors import NotInLake


def render_span(trace_id: str, span_id: str) -> None:
    """Draw a span: what went in, what came out, what it cost."""
    try:
        span = data.read_span(trace_id, span_id)
    except NotInLake:
        st.caption("This span is not in the lake.")
        return
    st.markdown(f"**{text.first_line(span['name'] or span_id)}**")
    _facts(span)
    st.json(span, expanded=1)


def _facts(span: dict[str, Any]) -> None:
    st.caption(f"{span['kind']} · {span['status']} · {text.duration(span['duration_ms'])}")
