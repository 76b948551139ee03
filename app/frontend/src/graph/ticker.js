// What happened last, in one line, while a run goes on: newest first, a click shows the span.

import { h } from "../shared/dom.js";
import { clock, duration } from "../shared/format.js";

const KEPT = 8;
const PAINT_MS = 150; // a burst of news is painted once

export class Ticker {
  /** @param onSelect Called with the id of the node that was clicked. */
  constructor(box, onSelect) {
    this.box = box;
    this.seen = new Map();
    this.news = [];
    box.addEventListener("click", (event) => {
      const item = event.target.closest("[data-id]");
      if (item) onSelect(item.dataset.id);
    });
  }

  clear() {
    this.seen.clear();
    this.news = [];
    this.isSeeded = false;
    this.paint();
  }

  /** Take nodes in; the first ones only say what is known already. */
  apply(nodes) {
    for (const node of nodes) {
      if (node.type === "response" || node.type === "stack") continue;
      const before = this.seen.get(node.id);
      if (before === node.status) continue;
      this.seen.set(node.id, node.status);
      if (!this.isSeeded) continue;
      // of a call that was over when it was first told, the end is the news
      this.news = [node, ...this.news.filter(({ id }) => id !== node.id)].slice(0, KEPT);
    }
    if (!this.isSeeded) this.isSeeded = true;
    else this.timer ??= setTimeout(() => this.paint(), PAINT_MS);
  }

  /** Shown while the run goes on. */
  show(isRunning) {
    this.box.hidden = !isRunning;
  }

  paint() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.news.length) {
      this.box.replaceChildren(h("span", { class: "tl-tick-none" }, "Waiting for what happens next"));
      return;
    }
    this.box.replaceChildren(...this.news.map(item));
  }

  stop() {
    clearTimeout(this.timer);
  }
}

function item(node) {
  const isOver = node.status !== "running";
  const failed = node.status === "error";
  const said = !isOver ? "began" : failed ? node.error || "failed" : node.status === "ok" ? `took ${duration(node.duration_ms)}` : node.status;
  return h(
    "button",
    { class: `tl-tick ${failed ? "failed" : node.status}`, type: "button", dataset: { id: node.id }, title: `${node.agent}: ${node.label} ${said}` },
    h("time", { title: "UTC" }, clock((isOver ? node.end_ms : node.start_ms) ?? node.start_ms)),
    h("i", { class: `tl-row-dot ${node.type}` }),
    h("b", {}, node.label),
    h("span", {}, said),
  );
}
