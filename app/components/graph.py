"""The live graph as a component: one mount over a whole run, fed by a WebSocket or by the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from streamlit.components.v2 import component

from app import state
from tracelake.graph import style_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_graph = component(
    "tracelake.graph", html='<div class="tl-graph"></div>', css="graph.css", js="graph.js"
)


@dataclass(frozen=True, slots=True)
class GraphState:
    """What the browser told.

    Attributes:
        selected: Id of the node the user chose; an answer's node is `<span_id>:response`.
        transport: `live` over the WebSocket, `polling` when none can be had, None not known yet.
        layout: Layout wished for while polling.
    """

    selected: str | None
    transport: str | None
    layout: str

    @property
    def span_id(self) -> str | None:
        """The span of the chosen node."""
        return self.selected.removesuffix(":response") if self.selected else None


def graph(
    trace_id: str,
    *,
    token: str,
    key: str = "graph",
    selected: str | None = None,
    statuses: Sequence[str] = (),
    elements: dict[str, Any] | None = None,
    height: str = "640px",
) -> GraphState:
    """Draw the graph of a trace.

    The component connects to `/ws/traces/{trace_id}` by itself. When no connection can be had it
    says so in `GraphState.transport`, and the page passes `elements` on each run instead.

    Args:
        trace_id: The trace to follow; changing it keeps the mount and shows the other trace.
        token: Opens the WebSocket, see `app.state.session_token`.
        key: Of the component; the same for a whole session.
        selected: Node to choose when this value changes, such as the span in the URL.
        statuses: Nodes of another status are dimmed; empty shows all.
        elements: A message of `LiveTrace.message`, for pages without a WebSocket.
        height: CSS height.
    """
    result = _graph(
        key=key,
        data={
            "trace": trace_id,
            "path": f"/ws/traces/{trace_id}",
            "token": token,
            "style": style_table(),
            "selected": selected,
            "show": list(statuses),
            "elements": None if elements is None else orjson.dumps(elements).decode(),
            "height": height,
        },
        default={"selected": None, "transport": None, "layout": "lanes"},
        on_selected_change=_noted,
        on_transport_change=_noted,
        on_layout_change=_noted,
    )
    return GraphState(result.selected, result.transport, result.layout or "lanes")


def peek(key: str = "graph") -> GraphState:
    """What the browser told last, before the graph is drawn in this run."""
    known = state.get(key) or {}
    return GraphState(known.get("selected"), known.get("transport"), known.get("layout") or "lanes")


def _noted() -> None:
    """A callback makes Streamlit keep the value; the value itself is read where it is drawn."""
