"""How nodes and edges look, as data: the one table behind every renderer of the graph.

Colours come in pairs (light theme, dark theme). Each fill carries its text with a contrast of at
least 4.5:1 (WCAG AA); a test holds the table to that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from tracelake.layout import Size

NodeType = Literal["orchestrator", "agent", "llm", "tool", "response"]
EdgeType = Literal["request", "response", "delegation"]
Shape = Literal["circle", "rounded", "hexagon", "rectangle"]


@dataclass(frozen=True, slots=True)
class NodeStyle:
    """Look of one type of node.

    Attributes:
        title: Name in the legend.
        shape: Outline.
        width: Pixels at zoom 1.
        height: Pixels at zoom 1.
        fill: Colour of the body in the light and the dark theme.
        border: Colour of the outline, light and dark.
        text: Colour of the label, light and dark.
        label: Whether the label stands inside the shape or right of it.
    """

    title: str
    shape: Shape
    width: float
    height: float
    fill: tuple[str, str]
    border: tuple[str, str]
    text: tuple[str, str]
    label: Literal["inside", "right"] = "inside"

    @property
    def size(self) -> Size:
        """Width and height."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class EdgeStyle:
    """Look of one type of edge; colours as in `NodeStyle`."""

    title: str
    line: Literal["solid", "dashed"]
    width: float
    color: tuple[str, str]


NODE_STYLES: Final[dict[NodeType, NodeStyle]] = {
    "orchestrator": NodeStyle(
        title="Orchestrator",
        shape="circle",
        width=52,
        height=52,
        fill=("#2563eb", "#2f6bed"),
        border=("#1d4ed8", "#93b4fd"),
        text=("#0f172a", "#f1f5f9"),
        label="right",
    ),
    "agent": NodeStyle(
        title="Agent",
        shape="circle",
        width=44,
        height=44,
        fill=("#f97316", "#f0741a"),
        border=("#c2410c", "#fdba74"),
        text=("#0f172a", "#f1f5f9"),
        label="right",
    ),
    "llm": NodeStyle(
        title="LLM call",
        shape="rounded",
        width=164,
        height=48,
        fill=("#7c3aed", "#7443d6"),
        border=("#5b21b6", "#b197fc"),
        text=("#ffffff", "#ffffff"),
    ),
    "tool": NodeStyle(
        title="Tool call",
        shape="hexagon",
        width=164,
        height=42,
        fill=("#15803d", "#17803f"),
        border=("#14532d", "#6ee7a0"),
        text=("#ffffff", "#ffffff"),
    ),
    "response": NodeStyle(
        title="Response",
        shape="rectangle",
        width=164,
        height=48,
        fill=("#e5e7eb", "#343a46"),
        border=("#9ca3af", "#5b6472"),
        text=("#1f2937", "#e5e7eb"),
    ),
}

#: Many calls of one agent in one node, see `tracelake.graph.stacks`.
STACK_STYLE: Final = NodeStyle(
    title="Many calls: click to open",
    shape="rounded",
    width=164,
    height=48,
    fill=("#ede9fe", "#2c2548"),
    border=("#7c3aed", "#a78bfa"),
    text=("#4c1d95", "#e4dcff"),
)

EDGE_STYLES: Final[dict[EdgeType, EdgeStyle]] = {
    "request": EdgeStyle("Request", "solid", 1.6, ("#64748b", "#94a3b8")),
    "response": EdgeStyle("Response", "dashed", 1.6, ("#64748b", "#94a3b8")),
    "delegation": EdgeStyle("Delegation", "solid", 4.5, ("#ea7317", "#f59e4b")),
}


def style_table() -> dict[str, Any]:
    """Both tables as plain JSON, for renderers in the browser."""
    return {
        "nodes": {
            name: asdict(style) for name, style in [*NODE_STYLES.items(), ("stack", STACK_STYLE)]
        },
        "edges": {name: asdict(style) for name, style in EDGE_STYLES.items()},
    }
