// The Cytoscape stylesheet, made from the style table that Python sends.

import { FONT_SIZE } from "./labels.js";

const SHAPES = {
  circle: "ellipse",
  rounded: "round-rectangle",
  hexagon: "polygon",
  rectangle: "rectangle",
};

/** A hexagon with blunt ends, so that a name fits in. */
const HEXAGON = [-1, 0, -0.84, -1, 0.84, -1, 1, 0, 0.84, 1, -0.84, 1];

/** Stylesheet for a table `{nodes, edges}` in a theme. */
export function stylesheet(table, theme) {
  const shade = theme.shade;
  const rules = [
    {
      selector: "node",
      style: {
        label: "data(text)",
        "font-size": FONT_SIZE,
        "font-family": theme.font,
        "font-weight": 500,
        "line-height": 1.25,
        "text-wrap": "wrap",
        "text-max-width": 1000,
        "text-valign": "center",
        "text-halign": "center",
        "min-zoomed-font-size": 5,
        "border-width": 1.25,
        "corner-radius": 10,
        "overlay-opacity": 0,
      },
    },
  ];
  for (const [type, look] of Object.entries(table.nodes)) {
    rules.push({
      selector: `node[type="${type}"]`,
      style: {
        shape: SHAPES[look.shape],
        width: look.width,
        height: look.height,
        ...(look.shape === "hexagon" && { "shape-polygon-points": HEXAGON }),
        "background-color": look.fill[shade],
        "border-color": look.border[shade],
        color: look.text[shade],
        ...(look.label === "right" && {
          "text-halign": "right",
          "text-margin-x": 8,
          "font-size": FONT_SIZE + 2,
          "font-weight": 600,
        }),
      },
    });
  }
  for (const [type, look] of Object.entries(table.edges)) {
    rules.push({
      selector: `edge[type="${type}"]`,
      style: {
        width: look.width,
        "line-style": look.line,
        "line-color": look.color[shade],
        "target-arrow-color": look.color[shade],
        "mid-target-arrow-color": look.color[shade],
        "arrow-scale": type === "delegation" ? 0.75 : 0.9,
      },
    });
  }
  return [...rules, ...edgeRules(theme), ...stateRules(theme)];
}

function edgeRules(theme) {
  return [
    {
      selector: "edge",
      style: {
        "curve-style": "bezier",
        "target-arrow-shape": "triangle",
        "line-dash-pattern": [5, 4],
        "overlay-opacity": 0,
        "line-cap": "round",
      },
    },
    // Routes name how an edge avoids the boxes between its ends.
    {
      selector: 'edge[route="across"]',
      style: {
        "curve-style": "round-taxi",
        "taxi-direction": "rightward",
        "taxi-turn": "-96px",
        "taxi-radius": 14,
        "target-endpoint": "270deg",
      },
    },
    {
      selector: 'edge[route="back"]',
      style: {
        "curve-style": "round-taxi",
        "taxi-direction": "downward",
        "taxi-turn": "-13px",
        "taxi-turn-min-distance": 4,
        "taxi-radius": 9,
        "target-endpoint": "0deg",
      },
    },
    {
      selector: 'edge[route="right"]',
      style: {
        "curve-style": "unbundled-bezier",
        "control-point-distances": [-30],
        "control-point-weights": [0.5],
        "edge-distances": "endpoints",
        "source-endpoint": "90deg",
        "target-endpoint": "90deg",
      },
    },
    {
      selector: 'edge[route="left"]',
      style: {
        "curve-style": "unbundled-bezier",
        "control-point-distances": [40],
        "control-point-weights": [0.5],
        "edge-distances": "endpoints",
        "source-endpoint": "270deg",
        "target-endpoint": "270deg",
      },
    },
    { selector: 'edge[route="collect"]', style: { "source-endpoint": "-50% 0%" } },
    { selector: 'edge[route="onward"]', style: { "source-endpoint": "-50% 50%" } },
    {
      selector: "edge.free",
      style: {
        "curve-style": "bezier",
        "source-endpoint": "outside-to-node-or-label",
        "target-endpoint": "outside-to-node",
      },
    },
    {
      selector: "edge[?inferred]",
      style: {
        opacity: 0.62,
        "mid-target-arrow-shape": "circle",
        "mid-target-arrow-fill": "hollow",
      },
    },
    // In the hierarchy the order of work is in the rows: what matters is who works for whom.
    { selector: 'edge.free[type!="delegation"]', style: { opacity: 0.35 } },
    {
      selector: 'edge[status="running"]',
      style: {
        "line-color": theme.running,
        "target-arrow-color": theme.running,
        "line-style": "dashed",
        "line-dash-pattern": [7, 5],
        opacity: 1,
      },
    },
  ];
}

function stateRules(theme) {
  return [
    {
      // A second sheet behind the first.
      selector: 'node[type="stack"]',
      style: { ghost: "yes", "ghost-offset-x": 5, "ghost-offset-y": 5, "ghost-opacity": 0.45 },
    },
    {
      selector: 'edge[type="opened"]',
      style: {
        width: 1.6,
        "line-style": "dotted",
        "line-color": theme.primary,
        "target-arrow-color": theme.primary,
        "curve-style": "round-taxi",
        "taxi-direction": "rightward",
        "taxi-turn": "-70px",
      },
    },
    { selector: "node[?auxiliary]", style: { opacity: 0.55 } },
    { selector: "node[?inferred]", style: { "border-style": "dashed", "border-width": 1.75 } },
    {
      selector: 'node[status="running"]',
      style: { "border-color": theme.running, "border-width": 2.5 },
    },
    {
      selector: 'node[status="cancelled"], node[status="lost"]',
      style: { "background-blacken": 0.25, opacity: 0.75 },
    },
    {
      selector: 'node[status="error"]',
      style: {
        "border-color": theme.red,
        "border-width": 3,
        "border-style": "solid",
        "outline-color": theme.red,
        "outline-width": 3,
        "outline-offset": 3,
        "outline-opacity": 0.35,
        "background-image": badge(theme.red),
        "background-width": 18,
        "background-height": 18,
        "background-fit": "none",
        "background-clip": "none",
        "background-image-containment": "over",
        "background-position-x": "100%",
        "background-position-y": "0%",
        "background-offset-x": 8,
        "background-offset-y": -8,
        "bounds-expansion": 12,
      },
    },
    {
      selector: "node:selected",
      style: {
        "underlay-color": theme.primary,
        "underlay-opacity": 0.28,
        "underlay-padding": 7,
        "border-color": theme.primary,
        "border-width": 3,
        "z-index": 10,
      },
    },
    { selector: 'node[type="orchestrator"], node[type="agent"]', style: { "underlay-shape": "ellipse" } },
    { selector: 'node[status="error"]:selected', style: { "border-color": theme.red } },
    { selector: "node.match", style: { "underlay-color": "#facc15", "underlay-opacity": 0.45, "underlay-padding": 6 } },
    {
      // A thick edge leaves this agent, to the right as its name does: the name stays readable.
      selector: 'node.crossed[type="orchestrator"], node.crossed[type="agent"]',
      style: {
        "text-background-color": theme.background,
        "text-background-opacity": 0.85,
        "text-background-shape": "round-rectangle",
        "text-background-padding": 3,
      },
    },
    { selector: ".folded", style: { display: "none" } },
    { selector: ".dim", style: { opacity: 0.14 } },
    { selector: ".future", style: { opacity: 0.06 } },
    { selector: "node.busy", style: { "border-color": theme.running, "border-width": 3 } },
    { selector: ".dim.match", style: { opacity: 1 } },
    { selector: "node:active, edge:active", style: { "overlay-opacity": 0 } },
  ];
}

function badge(red) {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="18" height="18" viewBox="0 0 18 18">' +
    `<circle cx="9" cy="9" r="8" fill="${red}" stroke="white" stroke-width="1.5"/>` +
    '<path d="M9 4.6v5.2M9 12.6v.4" stroke="white" stroke-width="2.2" stroke-linecap="round"/></svg>';
  return `data:image/svg+xml;utf8,${encodeURIComponent(svg)}`;
}
