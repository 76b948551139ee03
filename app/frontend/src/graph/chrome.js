// Toolbar, state chip, legend and tooltip around the drawing.

import { h, icon, ICONS } from "../shared/dom.js";
import { count, duration, money, took } from "../shared/format.js";

const STATES = {
  connecting: ["connecting", "Opening the live connection"],
  live: ["live", "New spans appear as they happen"],
  waiting: ["waiting", "Nothing of this run is in the lake yet"],
  reconnecting: ["reconnecting", "The live connection broke and is being opened again"],
  unreachable: ["polling", "No live connection can be had: the page asks for news instead"],
  offline: ["offline", "The app does not answer: this is what it told last. It is asked again and again"],
  done: ["done", "The run has ended"],
  failed: ["failed", "The run has ended with an error"],
};

/** What stands where the graph will be, by state. */
const EMPTY = {
  connecting: "Opening the run…",
  reconnecting: "Opening the run again…",
  waiting: "Nothing of this run is in the lake yet. It appears here with its first span.",
  offline: "The app does not answer. It is asked again and again.",
  unreachable: "Nothing of this run is in the lake yet. It appears here with its first span.",
};
const KEYS = [
  ["/", "find"], ["j k", "next, previous"], ["e", "next error"], ["Esc", "deselect"],
  ["c", "collapse agent"], ["a", "agents"], ["f", "fit"], ["+ -", "zoom"],
  ["l", "layout"], ["t", "timeline"], ["m", "overview"], ["?", "this legend"],
];

function button(name, label, title, onClick) {
  return h(
    "button",
    { class: `tl-button ${name}`, type: "button", title, "aria-label": title, on: { click: onClick } },
    icon(ICONS[name]),
    label,
  );
}

/** The parts of the frame, and the elements other parts need. */
export function buildFrame(root, actions) {
  const search = h("input", {
    class: "tl-search",
    type: "search",
    placeholder: "Find",
    title: "Find by text ( / )",
    "aria-label": "Find in the graph",
  });
  const hits = h("span", { class: "tl-hits", "aria-live": "polite" });
  const chip = h("span", { class: "tl-chip", role: "status" }, h("i"), h("span"));
  const errors = button("error", h("span"), "First error ( e )", actions.firstError);
  const lanes = button("lanes", "Lanes", "Lanes: time runs down, one lane per agent ( l )", () => actions.layout("lanes"));
  const tree = button("tree", "Hierarchy", "Hierarchy: who works for whom ( l )", () => actions.layout("hierarchy"));
  const follow = button("follow", "Follow", "Follow the newest calls", actions.follow);
  const fit = button("fit", "Fit", "Fit everything into the window ( f )", actions.fit);
  const legendButton = button("legend", "Legend", "What the shapes and lines mean, and the keys ( ? )", actions.legend);
  const timelineButton = button("timeline", "Timeline", "Show or hide the timeline ( t )", actions.timeline);
  const zoom = h(
    "div",
    { class: "tl-zoom" },
    button("plus", null, "Zoom in ( + ), or Ctrl and scroll", () => actions.zoom(1.3)),
    button("minus", null, "Zoom out ( - )", () => actions.zoom(1 / 1.3)),
    button("map", null, "Show or hide the overview ( m )", actions.map),
  );
  const parts = {
    search,
    hits,
    chip,
    errors,
    lanes,
    tree,
    follow,
    legend: h("div", { class: "tl-legend", hidden: true }),
    tip: h("div", { class: "tl-tip", hidden: true, role: "tooltip" }),
    empty: h("div", { class: "tl-empty" }),
    probe: h("i"),
    timelineButton,
    legendButton,
    ticker: h("div", { class: "tl-ticker", role: "log", "aria-live": "off", "aria-label": "What happened last", hidden: true }),
    grip: h("div", { class: "tl-grip", title: "Drag to resize" }),
    timeline: h("div", { class: "tl-timeline" }),
    sideGrip: h("div", { class: "tl-side-grip", title: "Drag to resize", hidden: true }),
    detail: h("aside", { class: "tl-detail", "aria-label": "Details of the chosen span", hidden: true }),
  };
  parts.stage = h(
    "div",
    { class: "tl-stage" },
    h("div", { class: "tl-bands tl-layer" }),
    h("div", { class: "tl-canvas" }),
    h("div", { class: "tl-pulses tl-layer" }),
    h("div", { class: "tl-heads" }),
    zoom,
    h("div", { class: "tl-map", title: "Overview: click or drag to move" }, h("canvas"), h("div", { class: "tl-map-window" })),
    parts.legend,
    parts.empty,
    parts.tip,
  );
  parts.bar = h(
    "div",
    { class: "tl-bar", role: "toolbar", "aria-label": "Graph" },
    chip,
    h("label", { class: "tl-find" }, icon(ICONS.find), search, hits),
    h("span", { class: "tl-gap" }),
    errors,
    actions.agents,
    h("span", { class: "tl-group" }, lanes, tree),
    follow,
    fit,
    timelineButton,
    legendButton,
  );
  errors.hidden = true;
  const main = h("div", { class: "tl-main" }, parts.stage, parts.ticker, parts.grip, parts.timeline);
  root.replaceChildren(parts.probe, parts.bar, h("div", { class: "tl-body" }, main, parts.sideGrip, parts.detail));
  search.addEventListener("input", () => actions.find(search.value));
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") actions.nextHit(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      search.value = "";
      actions.find("");
      root.focus();
    }
    event.stopPropagation();
  });
  return parts;
}

export function showState(parts, state) {
  const [text, title] = STATES[state] ?? [state, ""];
  parts.chip.dataset.state = state;
  parts.chip.title = title;
  parts.chip.lastChild.textContent = text;
  parts.empty.textContent = EMPTY[state] ?? "This run has no spans.";
}

export function showErrors(parts, number) {
  parts.errors.hidden = !number;
  parts.errors.lastChild.textContent = `${number} ${number === 1 ? "error" : "errors"}`;
}

export function showLegend(parts, table, theme) {
  const shade = theme.shade;
  const nodes = Object.values(table.nodes).map((look) => {
    const mark = h("i", { class: `tl-mark ${look.shape}` });
    mark.style.background = look.fill[shade];
    return h("div", {}, mark, look.title);
  });
  const edges = Object.values(table.edges).map((look) => {
    const mark = h("i", { class: "tl-line" });
    mark.style.borderTop = `${Math.max(2, look.width)}px ${look.line} ${look.color[shade]}`;
    return h("div", {}, mark, look.title);
  });
  const marks = [
    ["tl-mark circle running", "Running"],
    ["tl-mark circle failed", "Error"],
    ["tl-mark rounded inferred", "Inferred from what passed the proxy"],
  ].map(([className, text]) => h("div", {}, h("i", { class: className }), text));
  const keys = h(
    "div",
    { class: "tl-keys" },
    ...KEYS.map(([key, text]) => h("span", {}, h("kbd", {}, key), ` ${text}`)),
    h("p", {}, "Scroll to move, Ctrl and scroll to zoom, drag the ground to pan and a node to put it aside."),
  );
  parts.legend.replaceChildren(...nodes, ...edges, ...marks, keys);
}

export function showTip(parts, node) {
  if (!node) {
    parts.tip.hidden = true;
    return;
  }
  const data = node.data();
  const rows = [
    ["agent", data.agent],
    ["status", data.status],
    ["took", data.duration_ms === null ? null : took(data)],
    ["first token", data.ttft_ms === null ? null : duration(data.ttft_ms)],
    ["tokens", data.tokens_input === null ? null : `${count(data.tokens_input)} in, ${count(data.tokens_output)} out`],
    ["cost", data.cost_usd === null ? null : money(data.cost_usd)],
    ["evidence", data.inferred ? "inferred" : null],
    ["replay", data.match],
    ["error", data.error || null],
  ].filter(([, value]) => value);
  parts.tip.replaceChildren(
    h("strong", {}, data.type === "stack" ? `Calls ${data.label}: click to open` : data.label),
    h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
  );
  parts.tip.hidden = false;
  const box = node.renderedBoundingBox({ includeLabels: false });
  const stage = parts.stage.getBoundingClientRect();
  const tip = parts.tip.getBoundingClientRect();
  const x = Math.min(Math.max(6, box.x1), stage.width - tip.width - 6);
  const below = box.y2 + 8;
  const y = below + tip.height < stage.height ? below : Math.max(6, box.y1 - tip.height - 8);
  parts.tip.style.transform = `translate(${x}px, ${y}px)`;
}
