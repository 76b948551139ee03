// Signs of life. Rings around the newest running nodes are stepped DOM animations; only the dashes of
// running edges need the canvas redrawn, so they tick slowly, slower in large graphs, and the timer
// ends when nothing runs.

import { h } from "../shared/dom.js";

const TICK_MS = 140;
const SLOW_TICK_MS = 700;
const LARGE = 300;
/**
 * Without news for so long everything rests but a slow beat: an animation of the browser's own,
 * however rarely it changes, has it compose sixty frames a second.
 */
const REST_MS = 5000;
const BEAT_MS = 1500;
/** Rings at once: each costs the compositor a layer. Nodes beyond show their border only. */
const MAX_RINGS = 10;

export class Motion {
  constructor(cy, layer) {
    this.cy = cy;
    this.layer = layer;
    this.rings = new Map();
    this.offset = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  /** There is news: look again at what is running. */
  update() {
    this.wake();
    this.resting = setTimeout(() => this.rest(), REST_MS);
    const running = this.cy
      .nodes('[status="running"][type!="response"]')
      .filter((node) => !node.hasClass("folded"))
      .toArray();
    const shown = new Map(running.slice(-MAX_RINGS).map((node) => [node.id(), node]));
    for (const [id, ring] of this.rings) {
      if (shown.has(id)) continue;
      ring.remove();
      this.rings.delete(id);
    }
    for (const [id, node] of shown) {
      if (this.rings.has(id)) continue;
      const ring = h("div", { class: `tl-ring ${node.data("type")}` });
      this.layer.append(ring);
      this.rings.set(id, ring);
    }
    this.place();
    this.edges = this.cy.edges('[status="running"]');
    this.setPace(this.still.matches || this.edges.empty() ? 0 : this.pace());
  }

  wake() {
    clearTimeout(this.resting);
    clearInterval(this.beat);
    this.layer.closest(".tl-graph")?.classList.remove("resting", "beat");
  }

  rest() {
    const root = this.layer.closest(".tl-graph");
    root?.classList.add("resting");
    this.setPace(0); // each tick of the dashes draws the whole canvas again
    if (this.rings.size && !this.still.matches)
      this.beat = setInterval(() => document.hidden || root?.classList.toggle("beat"), BEAT_MS);
  }

  setPace(pace) {
    if (pace === this.pacing) return;
    clearInterval(this.timer);
    this.pacing = pace;
    if (pace) this.timer = setInterval(() => this.tick(), pace);
  }

  place() {
    for (const [id, ring] of this.rings) {
      const node = this.cy.getElementById(id);
      if (node.empty()) continue;
      const { x, y } = node.position();
      const [width, height] = [node.width(), node.height()];
      ring.style.cssText =
        `left:${x - width / 2}px;top:${y - height / 2}px;width:${width}px;height:${height}px`;
    }
  }

  pace() {
    return this.cy.nodes().length > LARGE || this.edges.length > 2 * MAX_RINGS ? SLOW_TICK_MS : TICK_MS;
  }

  tick() {
    if (document.hidden) return;
    this.offset = (this.offset - 2) % 24;
    this.edges.style("line-dash-offset", this.offset);
  }

  stop() {
    clearInterval(this.timer);
    this.wake();
    this.pacing = 0;
  }
}
