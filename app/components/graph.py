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

_ANSWER = ":response"
_graph = component(
    "tracelake.graph", html='<div class="tl-place"></div>', css="graph.css", js="graph.js"
)


@dataclass(frozen=True, slots=True)
class GraphState:
    """What the browser told.

    Attributes:
        selected: Id of the node the user chose; an answer's node is `<span_id>:response`.
        transport: `live` over the WebSocket, `polling` when none can be had, None not known yet.
        layout: Layout wished for while polling.
        action: What the user asked for in the detail panel in this very run: `playground` or
            `replay`.
    """

    selected: str | None = None
    transport: str | None = None
    layout: str = "lanes"
    action: str | None = None

    @property
    def span_id(self) -> str | None:
        """The span of the chosen node."""
        return self.selected.removesuffix(_ANSWER) if self.selected else None


def graph(
    trace_id: str,
    *,
    token: str,
    key: str = "graph",
    selected: str | None = None,
    document: dict[str, Any] | None = None,
    actions: Sequence[str] = (),
    statuses: Sequence[str] = (),
    elements: dict[str, Any] | None = None,
    height: str = "640px",
) -> GraphState:
    """Draw the graph of a trace, its timeline, and the details of the chosen span.

    The component connects to `/ws/traces/{trace_id}` by itself. When no connection can be had it
    says so in `GraphState.transport`, and the page passes `elements` on each run instead.

    Args:
        trace_id: The trace to follow; changing it keeps the mount and shows the other trace.
        token: Opens the WebSocket, see `app.state.session_token`.
        key: Of the component; the same for a whole session.
        selected: Node to choose when this value changes, such as the span in the URL.
        document: The chosen span as `span_document` makes it, for pages without a WebSocket.
        actions: Buttons of the detail panel: `playground`, `replay`.
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
            "document": _as_text(document),
            "actions": dict.fromkeys(actions, True),
            "show": list(statuses),
            "elements": _as_text(elements),
            "height": height,
        },
        default={"selected": None, "transport": None, "layout": "lanes"},
        on_selected_change=_noted,
        on_transport_change=_noted,
        on_layout_change=_noted,
        on_action_change=_noted,
    )
    return GraphState(result.selected, result.transport, result.layout or "lanes", result.action)


def peek(key: str = "graph") -> GraphState:
    """What the browser told last, before the graph is drawn in this run."""
    known = state.get(key) or {}
    return GraphState(known.get("selected"), known.get("transport"), known.get("layout") or "lanes")


def _as_text(value: dict[str, Any] | None) -> str | None:
    """Large values travel as text: the browser compares it to see whether there is news."""
    return None if value is None else orjson.dumps(value, default=str).decode()


def _noted() -> None:
    """A callback makes Streamlit keep the value; the value itself is read where it is drawn."""
