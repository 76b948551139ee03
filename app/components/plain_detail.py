"""A span beside the simple graph: the live panel's document in Streamlit's own elements."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import navigation
from tracelake.playground.fields import dump


def render_document(document: dict[str, Any] | None) -> None:
    """Draw a document of `app.span_document`; every text of the trace is shown as it is."""
    if document is None:
        st.caption("This span has not reached the lake yet.")
        return
    st.text(f"{document['title']} · {document['status']}")
    st.text(" · ".join(f"{label} {value}" for label, value, _ in document["facts"]))
    _render_links(document)
    if document["error"]:
        st.code(f"{document['error']['type']}: {document['error']['text']}", language=None)
    for turn in [*document["turns"], *filter(None, [document["answer"]])]:
        with st.expander(turn["role"], expanded=turn is document["answer"]):
            for part in turn["parts"]:
                said = part.get("text") or part.get("arguments") or part.get("json") or ""
                st.code(said, language=None, wrap_lines=True)
    for name in ("parameters", "result"):
        if document[name] is not None:
            st.text(name.capitalize())
            value = document[name]
            said = value if isinstance(value, str) else dump(value)
            st.code(said, language=None, wrap_lines=True)


def _render_links(document: dict[str, Any]) -> None:
    span = {"trace": document["trace"], "span": document["id"]}
    with st.container(horizontal=True):
        if document["kind"] == "llm":
            navigation.render_link("playground", "Edit prompt", icon=":material/edit:", **span)
        if document["kind"] in {"llm", "agent", "tool"}:
            navigation.render_link("replay", "Rerun from here", icon=":material/replay:", **span)
