// Two texts side by side, row by row: differences marked, counted and walked through, long equal
// stretches folded.
//
// data     {left, right: titles, state: whole | partial, rows: JSON text}; a row is ["same", text], ["folded", lines, text]
//          or ["changed", left pieces, right pieces], a piece [text, number of the difference or 0]

import { h } from "../shared/dom.js";
import { Keys } from "./keys.js";

/** More of one piece is shown on demand: nobody reads it, and laying it out stops the page. */
const PIECE_MAX = 20_000;
const PIECE_SHOWN = 2_000;
/** Lines of one block; blocks out of sight are neither laid out nor painted. */
const BLOCK_LINES = 60;
const keys = new Keys();

class Diff {
  constructor(place) {
    this.at = 0;
    this.total = 0;
    this.unfolded = new Set();
    this.count = h("span", { class: "tl-count", "aria-live": "polite" });
    const step = (by, label, sign, key) =>
      h("button", { type: "button", title: `${label} (${key.toUpperCase()})`, "aria-label": label,
        "aria-keyshortcuts": key, on: { click: () => this.step(by) } }, sign);
    this.buttons = [step(-1, "Previous difference", "↑", "p"), step(1, "Next difference", "↓", "n")];
    this.titles = [h("span"), h("span")];
    this.body = h("div", { class: "tl-rows", tabIndex: 0, role: "group" });
    this.root = h("div", { class: "tl-side" },
      h("div", { class: "tl-head" }, this.titles[0],
        h("span", { class: "tl-right" }, this.titles[1],
          h("span", { class: "tl-steps" }, this.count, ...this.buttons))),
      this.body);
    place.replaceChildren(this.root);
    keys.add(this);
  }

  load(data) {
    const titles = [data.left, data.right];
    this.titles.forEach((title, side) => (title.textContent = titles[side]));
    this.body.setAttribute("aria-label", titles.join(" and "));
    this.isPartial = data.state === "partial";
    if (data.rows === this.told) return this.mark();
    this.told = data.rows;
    const top = this.body.scrollTop;
    const rows = JSON.parse(data.rows);
    this.body.replaceChildren(...rows.map((row) => this.row(row)));
    if (!rows.length) this.body.append(h("div", { class: "tl-none" }, "nothing"));
    this.total = Math.max(0, ...this.marks().map(numberOf));
    this.at = Math.min(this.at, this.total);
    this.mark();
    this.body.scrollTop = top;
  }

  row([kind, ...content]) {
    if (kind === "same") return pair(kind, ...twice(() => blocks(content[0])));
    if (kind === "folded") return this.fold(...content);
    return pair(kind, ...content.map((pieces, side) => this.side(pieces, side)));
  }

  /** A stretch without a difference, behind a button that shows it. */
  fold(lines, text) {
    const name = `${lines} ${text.slice(0, 200)}`;
    const open = () => pair("same", ...twice(() => blocks(text)));
    if (this.unfolded.has(name)) return open();
    const button = h("button", { type: "button", class: "tl-fold" },
      `Show ${lines.toLocaleString("en")} unchanged lines`);
    button.addEventListener("click", () => {
      this.unfolded.add(name);
      button.replaceWith(open());
    });
    return button;
  }

  side(pieces, side) {
    const [last] = pieces.at(-1) ?? [""];
    const parts = pieces.flatMap((piece) => this.piece(piece, side));
    return last.endsWith("\n") ? [...parts, "\n"] : parts;
  }

  piece([text, number], side) {
    if (text.length <= PIECE_MAX) return [marked(text, number, side)];
    const rest = text.slice(PIECE_SHOWN);
    const button = h("button", { type: "button", class: "tl-more" },
      `… ${rest.length.toLocaleString("en")} more characters`);
    button.addEventListener("click", () => button.replaceWith(marked(rest, number, side)));
    return [marked(text.slice(0, PIECE_SHOWN), number, side), button];
  }

  marks() {
    return [...this.body.querySelectorAll("[data-n]")];
  }

  /** Go to the next or the previous difference, around the ends. */
  step(by) {
    if (!this.total) return;
    const from = this.at || (by > 0 ? 0 : 1);
    this.at = ((from - 1 + by + this.total) % this.total) + 1;
    const first = this.mark();
    if (!first) return;
    this.body.scrollTo({ top: offsetIn(this.body, first) - this.body.clientHeight / 3 });
    this.root.scrollIntoView({ block: "nearest" });
  }

  /** Point out the difference stood at; gives its first mark. */
  mark() {
    const marks = this.marks();
    for (const element of marks) element.classList.toggle("on", numberOf(element) === this.at);
    this.count.textContent = this.where();
    for (const button of this.buttons) button.hidden = !this.total;
    return marks.find((element) => numberOf(element) === this.at);
  }

  where() {
    if (this.at) return `${this.at} of ${this.total}`;
    if (this.total) return `${this.total.toLocaleString("en")} difference${this.total > 1 ? "s" : ""}`;
    return this.isPartial ? "" : "No difference";
  }

  destroy() {
    keys.remove(this);
  }
}

function pair(kind, left, right) {
  const side = (content) => h("div", {}, ...content);
  return h("div", { class: `tl-row tl-${kind}` }, side(left), side(right));
}

function twice(make) {
  return [make(), make()];
}

/** Lines as blocks, so that those out of sight cost nothing. */
function blocks(text) {
  const lines = text.split("\n");
  if (lines.length <= BLOCK_LINES * 2) return [ended(text)];
  const found = [];
  for (let start = 0; start < lines.length; start += BLOCK_LINES) {
    const part = lines.slice(start, start + BLOCK_LINES).join("\n");
    found.push(h("div", { class: "tl-block" }, ended(part)));
  }
  return found;
}

/** A last line that is empty is drawn only with a break after it. */
function ended(text) {
  return text.endsWith("\n") ? `${text}\n` : text;
}

function marked(text, number, side) {
  if (!number) return text;
  const tag = side === 0 ? "del" : "ins";
  // a line break alone would be invisible
  const name = /^[\r\n]+$/.test(text) ? "tl-break" : "";
  return h(tag, { class: name, dataset: { n: number } }, text);
}

function numberOf(element) {
  return Number(element.dataset.n);
}

/** Where an element stands in a scrolled box, in pixels from the top of its content. */
function offsetIn(box, element) {
  return element.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
}

/** Called by Streamlit on every run of the page, with the same parent for the same key. */
export default function render({ data, parentElement }) {
  const place = parentElement.querySelector(".tl-difference");
  const diff = (parentElement.tlDiff ??= new Diff(place));
  diff.load(data);
  return () => {
    diff.destroy();
    parentElement.tlDiff = null;
  };
}
