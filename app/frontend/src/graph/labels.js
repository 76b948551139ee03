// Fits label text into a node by measuring it, so that nothing spills over a box.

import { count, duration } from "../shared/format.js";

export const FONT_SIZE = 12.5;
const PADDING = { llm: 16, tool: 38, response: 16, stack: 16 };
const canvas = document.createElement("canvas").getContext("2d");
const shapes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
let cache = new Map();
let family = "";

/** The label of a node, line breaks included. */
export function labelOf(node, style, font) {
  if (font !== family) {
    family = font;
    cache = new Map();
  }
  canvas.font = `500 ${FONT_SIZE}px ${font}`;
  const room = style.width - (PADDING[node.type] ?? 0);
  switch (node.type) {
    case "llm":
      return `${line(node.label, room)}\n${line(callFigures(node), room)}`;
    case "stack":
      return `${line(stackCounts(node), room)}\n${line(stackFigures(node), room)}`;
    case "tool":
      return line(toolName(node.label, room), room);
    case "response":
      return twoLines(unmarked(node.label), room);
    default:
      return line(node.label, 220);
  }
}

/** Of a long `mcp__server__tool` what tells it from others is its end. */
function toolName(name, room) {
  const end = name.split("__").pop();
  return end && end !== name && width(name) > room ? `…${end}` : name;
}

/** Text without the marks of Markdown, which say nothing in two short lines. */
function unmarked(text) {
  return text.replace(/(^|\s)(#{1,6}|>|[-*+])(?=\s)/g, "$1").replace(/\*\*|__|`+/g, "").replace(/\s+/g, " ").trim() || text;
}

function callFigures(node) {
  if (node.status === "running") return "running…";
  const tokens =
    node.tokens_input === null && node.tokens_output === null
      ? null
      : `${count(node.tokens_input)} → ${count(node.tokens_output)}`;
  const took = node.duration_ms === null ? null : duration(node.duration_ms);
  return [tokens, took].filter(Boolean).join(" · ") || node.status;
}

function stackCounts({ calls, tools, label }) {
  const counts = [[calls, "call"], [tools, "tool call"]].filter(([number]) => number);
  return counts.map(([number, word]) => `${number} ${word}${number === 1 ? "" : "s"}`).join(", ") || label;
}

function stackFigures(node) {
  const errors = node.errors ? `${node.errors} ${node.errors === 1 ? "error" : "errors"}` : null;
  const tokens = node.tokens_input || node.tokens_output ? `${count(node.tokens_input + node.tokens_output)} tok` : null;
  const took = node.status === "running" ? "running…" : duration(node.duration_ms);
  return [errors, tokens, took].filter(Boolean).join(" · ");
}

function width(text) {
  let known = cache.get(text);
  if (known === undefined) {
    if (cache.size > 20_000) cache.clear();
    cache.set(text, (known = canvas.measureText(text).width));
  }
  return known;
}

function line(text, room) {
  if (width(text) <= room) return text;
  return `${text.slice(0, fit(text, room - width("…"))).trimEnd()}…`;
}

function twoLines(text, room) {
  if (width(text) <= room) return text;
  let cut = fit(text, room);
  const space = text.lastIndexOf(" ", cut);
  if (space > cut / 2) cut = space;
  return `${text.slice(0, cut).trimEnd()}\n${line(text.slice(cut).trimStart(), room)}`;
}

/** How many leading characters fit into `room` pixels; what is drawn as one is never parted. */
function fit(text, room) {
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (canvas.measureText(text.slice(0, middle)).width <= room) low = middle;
    else high = middle - 1;
  }
  return shapes.segment(text).containing(low)?.index ?? low;
}
