// An overview in the corner for graphs much larger than the window; click or drag moves the view.

const WIDTH = 130;
const MAX_HEIGHT = 150;
/** Long and narrow runs are stretched, or the overview would be a line. */
const LEAST_SIDE = 56;
/** A smaller stage has no room to spare. */
const LEAST_STAGE = 820;
const LEAST_NODES = 25;

export class Minimap {
  constructor(stage, cy, onMove) {
    this.cy = cy;
    this.box = stage.querySelector(".tl-map");
    this.canvas = this.box.querySelector("canvas");
    this.window = this.box.querySelector(".tl-map-window");
    this.box.hidden = true;
    const move = (event) => {
      if (!this.world || !(event.buttons & 1)) return;
      onMove();
      const area = this.canvas.getBoundingClientRect();
      const x = (event.clientX - area.left) / this.scale.x + this.world.x1;
      const y = (event.clientY - area.top) / this.scale.y + this.world.y1;
      const zoom = cy.zoom();
      cy.stop().pan({ x: cy.width() / 2 - x * zoom, y: cy.height() / 2 - y * zoom });
    };
    this.box.addEventListener("pointerdown", (event) => {
      this.box.setPointerCapture(event.pointerId);
      move(event);
    });
    this.box.addEventListener("pointermove", move);
  }

  setTheme(theme, table) {
    this.theme = theme;
    this.table = table;
    this.draw();
  }

  /** Size in the corner, 0 while hidden. */
  get width() {
    return this.box.hidden ? 0 : this.box.offsetWidth;
  }

  get height() {
    return this.box.hidden ? 0 : this.box.offsetHeight;
  }

  /** Width at the right that the drawing leaves to the overview where it can. */
  get reserve() {
    return this.off || this.cy.width() < LEAST_STAGE || this.cy.nodes().length < LEAST_NODES ? 0 : WIDTH + 20;
  }

  toggle() {
    this.off = !this.off;
    this.frame();
  }

  /** Draw the nodes anew, at most once a frame. */
  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.paint();
      this.frame();
    });
  }

  paint() {
    const nodes = this.cy.nodes().filter((node) => !node.hasClass("folded"));
    if (!this.table || nodes.length < LEAST_NODES || this.cy.destroyed()) {
      this.world = null;
      return;
    }
    let [x1, y1, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
    const spots = nodes.map((node) => {
      const { x, y } = node.position();
      x1 = Math.min(x1, x - 90);
      x2 = Math.max(x2, x + 90);
      y1 = Math.min(y1, y - 40);
      y2 = Math.max(y2, y + 40);
      return [x, y, node.data("type"), node.data("status")];
    });
    this.world = { x1, y1, x2, y2 };
    const fit = Math.min(WIDTH / (x2 - x1), MAX_HEIGHT / (y2 - y1));
    const ratio = devicePixelRatio || 1;
    const width = Math.max(LEAST_SIDE, (x2 - x1) * fit);
    const height = Math.max(LEAST_SIDE, (y2 - y1) * fit);
    const scale = { x: width / (x2 - x1), y: height / (y2 - y1) };
    this.scale = scale;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    for (const [x, y, type, status] of spots) {
      const look = this.table.nodes[type];
      const wide = Math.max(2, look.width * scale.x);
      const high = Math.max(1, look.height * scale.y);
      pen.fillStyle = status === "error" ? this.theme.red : look.fill[this.theme.shade];
      pen.fillRect((x - x1) * scale.x - wide / 2, (y - y1) * scale.y - high / 2, wide, high);
    }
  }

  /** Show which part is in the window; hide when everything is. */
  frame() {
    const { world, scale, cy } = this;
    const seen = cy.extent();
    const useful =
      world && (seen.h < (world.y2 - world.y1) * 0.7 || seen.w < (world.x2 - world.x1) * 0.7);
    this.box.hidden = !useful || this.off || cy.width() < LEAST_STAGE;
    if (this.box.hidden) return;
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
    const left = clamp(seen.x1, world.x1, world.x2);
    const top = clamp(seen.y1, world.y1, world.y2);
    const { style } = this.window;
    style.left = `${(left - world.x1) * scale.x}px`;
    style.top = `${(top - world.y1) * scale.y}px`;
    style.width = `${(clamp(seen.x2, world.x1, world.x2) - left) * scale.x}px`;
    style.height = `${Math.max(5, (clamp(seen.y2, world.y1, world.y2) - top) * scale.y)}px`;
  }
}
