"""The simpler renderer of the graph: streamlit-agraph, for pages where the live one cannot be had.

Invariants:
- Text of traces never becomes a `title`: that package writes titles into the page as HTML.
- Nodes stand where the live graph puts them; nothing is laid out anew.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
import streamlit as st

from app import state
from tracelake.graph import EDGE_STYLES, NODE_STYLES
from tracelake.graph.facts import shorten
from tracelake.graph.style import STACK_STYLE, NodeStyle

MAX_NODES: Final = 300
_CHOICE: Final = "_graph_renderer"
_CLICKED: Final = "_simple_graph_clicked"
_SHAPES: Final = {"circle": "dot", "rounded": "box", "hexagon": "hexagon", "rectangle": "box"}
_LABEL_CHARS: Final = 26
_STYLES: Final[dict[str, NodeStyle]] = {**NODE_STYLES, "stack": STACK_STYLE}
_STACK: Final = "stack:"  # begins the id of a stack
_HEXAGON: Final = 0.6  # of its height: the label is written below it, above the next one
_ERROR: Final = "#dc2626"
_RUNNING: Final = "#0891b2"
_CHOSEN: Final = ("#0f172a", "#f8fafc")


def is_chosen() -> bool:
    """Whether this session draws graphs with streamlit-agraph."""
    return state.get(_CHOICE) == "agraph"


def render_choice() -> None:
    """The setting: which renderer draws the graph."""
    options = {
        "cytoscape": "Full graph, with timeline and details",
        "agraph": f"Simple graph (streamlit-agraph, up to {MAX_NODES} nodes)",
    }
    chosen = st.radio(
        "Graph",
        list(options),
        format_func=options.__getitem__,
        index=1 if is_chosen() else 0,
        help="The simple one has no timeline, search or minimap, and is redrawn each second.",
    )
    state.put(_CHOICE, chosen)


def chosen_span(message: dict[str, Any]) -> str | None:
    """Draw a graph; gives the span of the node clicked last, else the one that the URL names.

    Args:
        message: A snapshot of `LiveTrace.message`.
    """
    clicked = _simple_graph(message, key="simple_graph", height=620)
    if clicked != state.get(_CLICKED):
        state.put(_CLICKED, clicked)
        # a graph that was drawn anew tells of no click, a stack has nothing to read: the URL stays
        if clicked and not clicked.startswith(_STACK):
            state.set_params(span=clicked.removesuffix(":response"))
    return state.param(state.Param.SPAN)


def _simple_graph(message: dict[str, Any], *, key: str, height: int) -> str | None:
    # the public function takes no key, so that every change of data would rebuild the frame
    from streamlit_agraph import _agraph  # pyright: ignore[reportPrivateUsage]

    nodes = _drawn(message)
    if len(nodes) > MAX_NODES:
        st.caption(f"The first {MAX_NODES} of {len(nodes):,} nodes; the live graph shows all.")
    dark = st.context.theme.type == "dark"
    return _agraph(
        data=orjson.dumps(vis_graph(message, dark=dark)).decode(),
        config=orjson.dumps(_config(height)).decode(),
        key=key,
        default=None,
    )


def vis_graph(message: dict[str, Any], *, dark: bool) -> dict[str, Any]:
    """Nodes and edges of a message as vis-network wants them, from the one style table."""
    shade = int(dark)
    shown = _drawn(message)[:MAX_NODES]
    known = {node["id"] for node in shown}
    edges = [
        edge for edge in message["edges"] if edge["source"] in known and edge["target"] in known
    ]
    return {
        "nodes": [_node(node, _STYLES[node["type"]], shade) for node in shown],
        "edges": [_edge(edge, shade) for edge in edges],
    }


def _drawn(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes with a place of their own: a stack stays closed here."""
    return [node for node in message["nodes"] if not node.get("stack")]


def _node(node: dict[str, Any], style: NodeStyle, shade: int) -> dict[str, Any]:
    border = {"error": _ERROR, "running": _RUNNING}.get(node["status"], style.border[shade])
    return {
        "id": node["id"],
        "label": shorten(node["label"], _LABEL_CHARS),
        "x": node["x"],
        "y": node["y"],
        "shape": _SHAPES[style.shape],
        "size": style.height / 2 * (_HEXAGON if style.shape == "hexagon" else 1),
        "color": {
            "background": style.fill[shade],
            "border": border,
            "highlight": {"background": style.fill[shade], "border": _CHOSEN[shade]},
        },
        "borderWidthSelected": 4,
        "borderWidth": 4 if border in {_ERROR, _RUNNING} else 1,
        "shapeProperties": {
            "borderRadius": 8 if style.shape == "rounded" else 0,
            "borderDashes": [4, 3] if node["inferred"] else False,
        },
        "font": {"color": _text(style, shade), "size": 13},
        "physics": False,
    }


def _text(style: NodeStyle, shade: int) -> str:
    """Colour of a label: vis-network writes the label of a hexagon and a dot below it."""
    inside = _SHAPES[style.shape] == "box"
    return style.text[shade] if inside else NODE_STYLES["agent"].text[shade]


def _edge(edge: dict[str, Any], shade: int) -> dict[str, Any]:
    style = EDGE_STYLES[edge["type"]]
    color = _RUNNING if edge["status"] == "running" else style.color[shade]
    return {
        "id": edge["id"],
        "from": edge["source"],
        "to": edge["target"],
        "dashes": style.line == "dashed",
        "width": style.width,
        "color": {"color": color, "opacity": 0.6 if edge["inferred"] else 1.0},
        "arrows": "to",
        "smooth": False,
    }


def _config(height: int) -> dict[str, Any]:
    return {
        "height": f"{height}px",
        "width": "100%",
        "physics": {"enabled": False},
        "layout": {"hierarchical": {"enabled": False}},
        "interaction": {"hover": False},
    }
