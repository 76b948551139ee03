// Signs of life: rings around the newest running nodes, and dashes that wander along running edges.
//
// Both advance by a slow tick, slower in large graphs, which ends when nothing runs. An animation of
// the browser's own would have it compose sixty frames a second, however rarely it changes.

import { h } from "../shared/dom.js";

const TICK_MS = 180;
const SLOW_TICK_MS = 700;
const LARGE = 300;
/** Steps from the smallest ring to the largest. */
const PHASES = 7;
/** Without news for so long everything rests but a slow beat. */
const REST_MS = 5000;
const BEAT_MS = 2500;
/** Rings at once. Nodes beyond show their border only. */
const MAX_RINGS = 10;

export class Motion {
  constructor(cy, layer) {
    this.cy = cy;
    this.layer = layer;
    this.rings = new Map();
    this.ticks = 0;
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
    const isLively = this.rings.size || this.edges.nonempty();
    this.setPace(this.still.matches || !isLively ? 0 : this.pace());
  }

  wake() {
    clearTimeout(this.resting);
    clearInterval(this.beat);
    this.layer.closest(".tl-graph")?.classList.remove("resting", "beat");
  }

  rest() {
    const root = this.layer.closest(".tl-graph");
    root?.classList.add("resting");
    this.setPace(0);
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
    this.ticks += 1;
    const phase = this.ticks % PHASES;
    this.layer.style.setProperty("--phase", phase / PHASES);
    this.layer.closest(".tl-graph")?.classList.toggle("beat", phase > PHASES / 2);
    if (this.edges.nonempty()) this.edges.style("line-dash-offset", -2 * (this.ticks % 12));
  }

  stop() {
    clearInterval(this.timer);
    this.wake();
    this.pacing = 0;
  }
}
