"""The graph of a trace: what is drawn, how it looks, and how it grows.

`GraphBuilder` turns span dicts into nodes, edges and lanes, one change at a time; `NODE_STYLES` and
`EDGE_STYLES` say how every renderer draws them.
"""

from tracelake.graph.builder import GraphBuilder
from tracelake.graph.delta import Delta
from tracelake.graph.style import EDGE_STYLES, NODE_STYLES, EdgeStyle, NodeStyle, style_table

__all__ = [
    "EDGE_STYLES",
    "NODE_STYLES",
    "Delta",
    "EdgeStyle",
    "GraphBuilder",
    "NodeStyle",
    "style_table",
]
