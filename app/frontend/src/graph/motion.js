// Signs of life. Rings around running nodes are DOM animations on the compositor; only the dashes of
// running edges need the canvas redrawn, so they tick slowly, slower in large graphs, and the timer
// ends when nothing runs.

import { h } from "../shared/dom.js";

const TICK_MS = 90;
const SLOW_TICK_MS = 500;
const LARGE = 300;

export class Motion {
  constructor(cy, layer) {
    this.cy = cy;
    this.layer = layer;
    this.rings = new Map();
    this.offset = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  /** Look again at what is running. */
  update() {
    const running = this.cy.nodes('[status="running"][type!="response"]');
    const ids = new Set(running.map((node) => node.id()));
    for (const [id, ring] of this.rings) {
      if (!ids.has(id)) {
        ring.remove();
        this.rings.delete(id);
      }
    }
    running.forEach((node) => {
      if (this.rings.has(node.id())) return;
      const ring = h("div", { class: `tl-ring ${node.data("type")}` });
      this.layer.append(ring);
      this.rings.set(node.id(), ring);
    });
    this.place();
    this.edges = this.cy.edges('[status="running"]');
    const pace = this.still.matches || this.edges.empty() ? 0 : this.pace();
    if (pace !== this.pacing) {
      clearInterval(this.timer);
      this.pacing = pace;
      if (pace) this.timer = setInterval(() => this.tick(), pace);
    }
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
    return this.cy.nodes().length > LARGE ? SLOW_TICK_MS : TICK_MS;
  }

  tick() {
    if (document.hidden) return;
    this.offset = (this.offset - 2) % 24;
    this.edges.style("line-dash-offset", this.offset);
  }

  stop() {
    clearInterval(this.timer);
    this.pacing = 0;
  }
}
