"""The live graph as a component: one mount over a whole run, fed by a WebSocket or by the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from streamlit.components.v2 import component

from app import state
from app.span_document import as_json
from tracelake.graph import style_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWER = ":response"
_CHOSEN = "_graph_chosen"
_ASKED = "_graph_asked"
_graph = component(
    "tracelake.graph", html='<div class="tl-place"></div>', css="graph.css", js="graph.js"
)


@dataclass(frozen=True, slots=True)
class GraphState:
    """What the browser told.

    Attributes:
        transport: `live` over the WebSocket, `polling` when none can be had, None not known yet.
        layout: Layout wished for while polling.
        woken: Rises with the first news after a lull.
    """

    transport: str | None = None
    layout: str = "lanes"
    woken: int = 0


def graph(
    trace_id: str,
    *,
    token: str,
    key: str = "graph",
    selected: str | None = None,
    document: dict[str, Any] | None = None,
    actions: Sequence[str] = (),
    statuses: Sequence[str] = (),
    agents: Sequence[str] = (),
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
        agents: Nodes of other agents are dimmed; empty shows all.
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
            "agents": list(agents),
            "elements": _as_text(elements),
            "height": height,
        },
        default={
            "selected": None,
            "agents": None,
            "transport": None,
            "layout": "lanes",
            "woken": 0,
        },
        on_selected_change=partial(_select, key),
        on_agents_change=partial(_pick, key),
        on_transport_change=_noted,
        on_layout_change=_noted,
        on_woken_change=_noted,
        on_action_change=partial(_ask, key),
    )
    return GraphState(result.transport, result.layout or "lanes", result.woken or 0)


def peek(key: str = "graph") -> GraphState:
    """What the browser told last, before the graph is drawn in this run."""
    known = state.get(key) or {}
    return GraphState(
        known.get("transport"), known.get("layout") or "lanes", known.get("woken") or 0
    )


def chosen_node() -> str | None:
    """The node to show as chosen: the one clicked last, else the span in the URL.

    The URL holds the span; a click in the graph changes it, and so may a link. An answer's node
    is `<span_id>:response`.
    """
    node, span_id = state.get(_CHOSEN), state.param(state.Param.SPAN)
    return node if node and node.removesuffix(_ANSWER) == span_id else span_id


def take_action() -> tuple[str, str] | None:
    """The page and span of a button pressed in the detail panel; each is given once."""
    asked = state.get(_ASKED)
    state.drop(_ASKED)
    return (asked["page"], asked["span"]) if asked else None


def _as_text(value: dict[str, Any] | None) -> str | None:
    """Large values travel as text: the browser compares it to see whether there is news."""
    return None if value is None else as_json(value)


def _select(key: str) -> None:
    """Keep what the user chose when it is told: the browser's own state may be gone later.

    Without a value nothing was told, such as after the component lost its place for a moment;
    the empty text says that nothing is chosen any more.
    """
    node = (state.get(key) or {}).get("selected")
    if node is not None:
        state.put(_CHOSEN, node)
        state.set_params(**{state.Param.SPAN: node.removesuffix(_ANSWER) or None})


def _pick(key: str) -> None:
    """The agents that stand out are kept in the URL."""
    agents = (state.get(key) or {}).get("agents")
    if agents is not None:
        state.set_list(state.Param.AGENT, agents)


def _ask(key: str) -> None:
    """Keep what was asked until the page can follow, should this run be interrupted."""
    action = (state.get(key) or {}).get("action")
    if action:
        state.put(_ASKED, action)


def _noted() -> None:
    """A callback makes Streamlit keep the value; the value itself is read where it is drawn."""
