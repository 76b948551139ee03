"""Everything about one span, at the right of the graph."""

from __future__ import annotations

from typing import Any

import orjson
import streamlit as st
from streamlit.components.v2 import component

from app import data, navigation, state
from app.span_document import span_document
from tracelake.errors import NotInLake

_detail = component(
    "tracelake.detail", html='<div class="tl-detail"></div>', css="detail.css", js="detail.js"
)
_KEY = "live_detail"
_DOCUMENT = "_live_document"
_WISH = "_live_wish"


def render_span(trace_id: str, span_id: str, *, version: Any = None, height: str = "640px") -> None:
    """Draw a span: what went in, what came out, what it took, what it cost.

    Args:
        trace_id: The trace.
        span_id: The span; its bodies are read now.
        version: Changes when the span may have changed; the lake is asked again only then.
        height: CSS height.
    """
    document = _read(trace_id, span_id, version)
    if document is None:
        st.caption("This span has not reached the lake yet.")
        return
    _detail(
        key=_KEY,
        data={
            # as text: large, and compared by the browser to see whether there is news
            "document": orjson.dumps(document, default=str).decode(),
            "height": height,
            "actions": {
                "playground": document["kind"] == "llm" and navigation.is_listed("playground"),
                "replay": document["kind"] in {"llm", "tool"} and navigation.is_listed("replay"),
            },
        },
        on_action_change=_wished,
    )
    wish = state.get(_WISH)
    if wish is None:
        return
    state.drop(_WISH)
    if wish == "close":
        state.set_params(**{state.Param.SPAN: None})
        st.rerun(scope="fragment")
    navigation.go(wish, trace=trace_id, span=span_id)


def _wished() -> None:
    state.put(_WISH, state.get(_KEY)["action"])


def _read(trace_id: str, span_id: str, version: Any) -> dict[str, Any] | None:
    """The document of a span, read anew only when its version changed."""
    wanted = (trace_id, span_id, version)
    known = state.get(_DOCUMENT)
    if known is not None and known[0] == wanted:
        return known[1]
    try:
        span = data.read_span(trace_id, span_id)
    except NotInLake:
        return None
    document = span_document(span)
    state.put(_DOCUMENT, (wanted, document))
    return document
