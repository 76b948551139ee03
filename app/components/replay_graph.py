"""Both execution paths as one drawing: same faded, changed, only before, only after in colour.

A click on a node tells its row. Shapes and places are those of the live graph (`tracelake.graph`),
so that a run is recognised.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from streamlit.components.v2 import component

from tracelake.graph import NODE_STYLES, GraphBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.replay.compare import Comparison

_ANSWER = ":response"
_MARGIN = 40
_LABEL_CHARS = 22
#: Border colour and legend of each status; they read on light and dark ground.
STATUS: dict[str, tuple[str, str]] = {
    "same": ("#94a3b8", "same"),
    "changed": ("#f59e0b", "changed"),
    "only_before": ("#ef4444", "only before"),
    "only_after": ("#22c55e", "only after"),
}
_CSS = """
.tl-merged-scroll { overflow: auto; max-height: 640px; border: 1px solid #8883;
  border-radius: 8px; }
.tl-merged svg { display: block; }
.tl-merged text { font: 12px var(--st-font, system-ui, sans-serif); text-anchor: middle;
  dominant-baseline: central; }
.tl-merged text.beside { text-anchor: start; font-weight: 600;
  fill: var(--st-text-color, currentColor); }
.tl-merged .edge { fill: none; }
.tl-merged .node { cursor: pointer; }
.tl-merged .same { opacity: .55; }
.tl-merged .under { fill: var(--st-background-color, #fff); stroke: none; }
.tl-merged .only_before { opacity: .8; }
.tl-merged .lane { fill: #8881; stroke: #8883; }
.tl-merged .chosen { filter: drop-shadow(0 0 6px #3b82f6); }
.tl-merged { color: var(--st-text-color); font-family: var(--st-font, system-ui, sans-serif); }
.tl-merged-legend { display: flex; gap: 1.2rem; font-size: 13px; padding: .2rem 0 .5rem; }
.tl-merged-legend i { display: inline-block; width: 14px; height: 14px; border: 3px solid;
  border-radius: 4px; margin-right: .4rem; vertical-align: -2px; }
"""
_JS = """
export default function ({ data, parentElement, setStateValue }) {
  const place = parentElement.querySelector(".tl-place");
  if (place.dataset.svg !== data.svg) {
    const old = place.querySelector(".tl-merged-scroll");
    const at = old ? [old.scrollLeft, old.scrollTop] : [0, 0];
    place.dataset.svg = data.svg;
    place.innerHTML = data.svg;  // every text in it was escaped by the server
    place.querySelector(".tl-merged-scroll").scrollTo(at[0], at[1]);
  }
  const tell = (event) => {
    const node = event.target.closest("[data-row]");
    if (node && (event.type === "click" || event.key === "Enter")) {
      setStateValue("clicked", node.dataset.row);
    }
  };
  place.onclick = tell;
  place.onkeydown = tell;
}
"""
_drawing = component(
    "tracelake_replay_graph", html='<div class="tl-place"></div>', css=_CSS, js=_JS
)


def render_graph(
    comparison: Comparison,
    before: Mapping[str, dict[str, Any]],
    after: Mapping[str, dict[str, Any]],
    *,
    chosen: str | None,
) -> str | None:
    """Draw both paths; gives the row of the node that was clicked last, None before a click."""
    result = _drawing(
        key=f"replay-graph-{comparison.after_trace}",
        data={"svg": draw(comparison, before, after, chosen=chosen)},
        default={"clicked": None},
        on_clicked_change=_noted,
    )
    return result.clicked


def _noted() -> None:
    """A callback makes Streamlit keep the value; it is read where the graph is drawn."""


def merged_spans(
    comparison: Comparison,
    before: Mapping[str, dict[str, Any]],
    after: Mapping[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """The spans of both traces as those of one: what only the second has hangs on its twin."""
    merged: list[dict[str, Any]] = []
    for row in comparison.rows:
        span = before[row.before] if row.before else after[row.after or ""]
        merged.append({**span, "parent_id": row.parent})
    return merged


def draw(
    comparison: Comparison,
    before: Mapping[str, dict[str, Any]],
    after: Mapping[str, dict[str, Any]],
    *,
    chosen: str | None = None,
) -> str:
    """The drawing as SVG; every text in it is escaped."""
    builder = GraphBuilder("comparison")
    builder.apply_all(merged_spans(comparison, before, after))
    elements = builder.since(0)
    status = {row.id: row.status for row in comparison.rows}
    answers = {row.id: "output" in row.parts for row in comparison.rows if row.status == "changed"}
    nodes = {node["id"]: node for node in elements.nodes}
    left = min((node["x"] for node in nodes.values()), default=0) - 110
    top = min((node["y"] for node in nodes.values()), default=0) - 40
    right = max((node["x"] for node in nodes.values()), default=0) + 130
    bottom = max((node["y"] for node in nodes.values()), default=0) + 40
    edges = "".join(_edge(edge, nodes, status) for edge in elements.edges)
    boxes = "".join(_node(node, status, answers, chosen) for node in nodes.values())
    lanes = "".join(_lane(lane) for lane in elements.lanes)
    width, height = right - left + _MARGIN, bottom - top + _MARGIN
    view = f"{left - _MARGIN / 2} {top - _MARGIN / 2} {width} {height}"
    return (
        f'<div class="tl-merged">{_legend(comparison)}<div class="tl-merged-scroll">'
        f'<svg role="img" aria-label="Both execution paths" viewBox="{view}" '
        f'width="{width}" height="{height}">{lanes}{edges}{boxes}</svg></div></div>'
    )


def _legend(comparison: Comparison) -> str:
    items = "".join(
        f'<span><i style="border-color:{colour}"></i>{name} {comparison.counts.get(key, 0)}</span>'
        for key, (colour, name) in STATUS.items()
    )
    return f'<div class="tl-merged-legend">{items}</div>'


def _lane(lane: Mapping[str, Any]) -> str:
    return (
        f'<rect class="lane" x="{lane["x"]}" y="{lane["y"]}" width="{lane["width"]}" '
        f'height="{lane["height"]}" rx="10"/>'
    )


def _edge(
    edge: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], status: Mapping[str, str]
) -> str:
    source, target = nodes.get(edge["source"]), nodes.get(edge["target"])
    if source is None or target is None:
        return ""
    of = status.get(str(target["span_id"]), "same")
    colour = STATUS[of][0]
    width = 3.5 if edge["type"] == "delegation" else 1.5
    dash = ' stroke-dasharray="5 4"' if edge["type"] == "response" else ""
    x1, y1, x2, y2 = source["x"], source["y"], target["x"], target["y"]
    middle = (y1 + y2) / 2
    path = f"M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2}"
    return f'<path class="edge {of}" d="{path}" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _node(
    node: Mapping[str, Any],
    status: Mapping[str, str],
    answers: Mapping[str, bool],
    chosen: str | None,
) -> str:
    span_id = str(node["span_id"])
    of = status.get(span_id, "same")
    if of == "changed" and str(node["id"]).endswith(_ANSWER) and not answers.get(span_id):
        of = "same"  # another question, the same answer
    style = NODE_STYLES[node["type"]]
    colour = STATUS[of][0]
    x, y, w, h = node["x"], node["y"], style.width, style.height
    attributes = (
        f'style="fill:light-dark({",".join(style.fill)})" stroke="{colour}" '
        f'stroke-width="{1.5 if of == "same" else 4}"'
    )
    if of == "only_before":
        attributes += ' stroke-dasharray="7 4"'
    if style.shape == "circle":
        shape = f'<circle cx="{x}" cy="{y}" r="{w / 2}" {attributes}/>'
    elif style.shape == "hexagon":
        cut = h / 2.4
        points = (
            f"{x - w / 2 + cut},{y - h / 2} {x + w / 2 - cut},{y - h / 2} {x + w / 2},{y} "
            f"{x + w / 2 - cut},{y + h / 2} {x - w / 2 + cut},{y + h / 2} {x - w / 2},{y}"
        )
        shape = f'<polygon points="{points}" {attributes}/>'
    else:
        radius = 10 if style.shape == "rounded" else 3
        shape = (
            f'<rect x="{x - w / 2}" y="{y - h / 2}" width="{w}" height="{h}" rx="{radius}" '
            f"{attributes}/>"
        )
    label = str(node["label"] or "")
    shown = label if len(label) <= _LABEL_CHARS else label[: _LABEL_CHARS - 1] + "…"
    if style.label == "right":
        text = f'<text class="beside" x="{x + w / 2 + 8}" y="{y}">{escape(shown)}</text>'
    else:
        fill = f"fill:light-dark({','.join(style.text)})"
        text = f'<text x="{x}" y="{y}" style="{fill}">{escape(shown)}</text>'
    mark = " chosen" if chosen == span_id else ""
    title = escape(f"{STATUS[of][1]}: {label}")
    row = f'data-row="{escape(span_id)}" tabindex="0" role="button"'
    # what is drawn faded must not let the edges below it shine through
    under = shape.replace(attributes, 'class="under"')
    return f'{under}<g class="node {of}{mark}" {row}><title>{title}</title>{shape}{text}</g>'
