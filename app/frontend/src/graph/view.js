// The drawing: Cytoscape with layers of lanes below and headers above it, all in model coordinates.

import cytoscape from "cytoscape";
import { Collapse } from "./collapse.js";
import { Filter } from "./filter.js";
import { labelOf } from "./labels.js";
import { Lanes } from "./lanes.js";
import { Minimap } from "./minimap.js";
import { Motion } from "./motion.js";
import { Painter } from "./paint.js";
import { stylesheet } from "./style.js";
import { panOrZoom } from "./wheel.js";

const READABLE = 0.85; // smallest zoom the view chooses by itself: labels can still be read
const MAX_AUTO_ZOOM = 1.15;
const MARGIN = 28;
const HEAD_ROOM = 52;
const BAND_TOP = 44; // a lane's band begins this far above its first node
const MOVE_MS = 420;

export class View {
  /**
   * @param stage Element that holds the layers.
   * @param events {onSelect(id|null), onFollow(bool), onChange()}
   */
  constructor(stage, events) {
    this.stage = stage;
    this.events = events;
    this.layout = "lanes";
    this.follow = true;
    this.lanes = new Lanes(stage, (id) => this.fold((collapse) => collapse.toggle(id)));
    this.canvas = stage.querySelector(".tl-canvas");
    this.cy = cytoscape({
      container: this.canvas,
      elements: [],
      layout: { name: "preset" },
      minZoom: 0.03,
      maxZoom: 3,
      boxSelectionEnabled: false,
      selectionType: "single",
      style: [],
    });
    this.painter = new Painter(this.cy);
    this.filter = new Filter(this.cy);
    this.collapse = new Collapse(this.cy, this.lanes.lanes);
    this.motion = new Motion(this.cy, this.lanes.pulses);
    this.minimap = new Minimap(stage, this.cy, () => this.setFollow(false));
    this.listen();
  }

  listen() {
    const { cy } = this;
    const selected = () => cy.$("node:selected").first().id() ?? null;
    cy.on("tap", "node", (event) => this.events.onSelect(event.target.id()));
    cy.on("tap", (event) => {
      if (event.target === cy && selected()) this.select(null, { tell: true });
    });
    cy.on("tap", "edge", (event) => this.events.onSelect(event.target.target().id()));
    cy.on("dragpan pinchzoom", () => this.setFollow(false));
    cy.on("drag", "node", () => this.layersChanged());
    cy.on("viewport resize", () => this.layersChanged());
    // The layers around the canvas move when it does, never a frame before it.
    cy.on("render", () => this.drawLayers());
    cy.on("mouseover", "node", (event) => this.events.onHover(event.target));
    cy.on("mouseout", "node", () => this.events.onHover(null));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), {
      capture: true,
      passive: false,
    });
    this.observer = new ResizeObserver(() => {
      cy.resize();
      if (!this.placed) this.frame();
      this.layersChanged();
    });
    this.observer.observe(this.canvas);
  }

  setTheme(theme, table) {
    this.theme = theme;
    this.table = table;
    this.cy.style(stylesheet(table, theme));
    this.cy.batch(() => this.cy.nodes().forEach((node) => this.label(node)));
    this.minimap.setTheme(theme, table);
  }

  /** Forget everything: another trace follows. */
  reset() {
    this.cy.elements().remove();
    this.lanes.clear();
    this.collapse.clear();
    this.motion.update();
    this.placed = false;
    this.minimap.draw();
  }

  /** Take upserts in; nodes already drawn keep their place. */
  apply({ nodes = [], edges = [], lanes = [], places = null }) {
    const { cy } = this;
    const fresh = [];
    cy.batch(() => {
      for (const data of nodes) {
        const known = cy.getElementById(data.id);
        if (known.nonempty()) known.data(data);
        else {
          const at = places?.[data.id];
          const position = at ? { x: at[0], y: at[1] } : { x: data.x, y: data.y };
          cy.add({ group: "nodes", data, position });
          fresh.push(data);
        }
        const node = cy.getElementById(data.id);
        this.label(node);
        this.filter.take(node);
      }
      for (const data of edges) {
        const known = cy.getElementById(data.id);
        if (known.nonempty()) known.data(data);
        else if (cy.getElementById(data.source).nonempty() && cy.getElementById(data.target).nonempty())
          this.addEdge(data);
      }
    });
    for (const lane of lanes) this.lanes.put(lane);
    this.collapse.refresh();
    if (places) this.move(places);
    this.motion.update();
    if (fresh.length) {
      if (!this.placed) this.frame();
      else if (this.follow) this.toEnd();
    }
    this.lanesChanged = true;
    this.layersChanged();
    this.minimap.draw();
  }

  addEdge(data) {
    const { cy } = this;
    cy.add({ group: "edges", data, selectable: false, classes: this.layout === "lanes" ? "" : "free" });
    if (data.type === "delegation") cy.getElementById(data.source).addClass("crossed");
  }

  label(node) {
    const data = node.data();
    const look = this.table.nodes[data.type];
    if (look) node.data("text", labelOf(data, look, this.theme.font));
  }

  layersChanged() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      if (this.lanesChanged) this.drawLayers({ anew: true });
      this.motion.place();
      this.minimap.frame();
      this.events.onViewport();
    });
  }

  drawLayers({ anew = false } = {}) {
    const { cy } = this;
    const { x, y } = cy.pan();
    const state = `${x} ${y} ${cy.zoom()} ${cy.width()} ${cy.height()} ${this.layout}`;
    if (!anew && state === this.drawnState) return;
    this.drawnState = state;
    this.lanesChanged = false;
    this.lanes.draw(cy, this.layout === "lanes");
  }

  /** Collapse or expand: `change` gets the collapsed agents. */
  fold(change) {
    change(this.collapse);
    this.motion.update();
    this.minimap.draw();
    this.lanesChanged = true;
    this.layersChanged();
  }

  /** Collapse or expand the agent of a node; without one every agent that another called. */
  foldAt(id) {
    const node = this.cy.getElementById(id ?? "");
    this.fold((collapse) => (node.empty() ? collapse.toggleAll() : collapse.toggle(node.data("lane"))));
  }

  // Viewport

  wheel(event) {
    this.setFollow(false);
    panOrZoom(this.cy, event);
  }

  zoomBy(factor) {
    const { cy } = this;
    this.setFollow(false);
    this.animate({
      zoom: { level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } },
    });
  }

  /** Everything, however small. */
  fit() {
    this.setFollow(false);
    const box = this.bounds();
    if (!box) return;
    const { cy } = this;
    const zoom = Math.min(
      MAX_AUTO_ZOOM,
      (cy.width() - 2 * MARGIN) / box.w,
      (cy.height() - 2 * MARGIN - HEAD_ROOM / 2) / box.h,
    );
    this.animate({ zoom, pan: centred(cy, box, zoom) });
  }

  /** First look at a trace: all of it where that is readable, else its start or, running, its end. */
  frame() {
    const box = this.bounds();
    const { cy } = this;
    if (!box || cy.width() < 50 || cy.height() < 50) return;
    this.placed = true;
    if (this.restored) {
      cy.viewport(this.restored);
      this.restored = null;
      return;
    }
    box.x1 = Math.min(box.x1, ...[...this.lanes.lanes.values()].map(({ data }) => data.x));
    box.w = box.x2 - box.x1;
    const zoom = Math.max(
      READABLE,
      Math.min(1, (cy.width() - 2 * MARGIN) / box.w, (cy.height() - MARGIN - HEAD_ROOM) / box.h),
    );
    const fits = box.w * zoom <= cy.width() - MARGIN;
    cy.viewport({
      zoom,
      pan: {
        x: fits ? this.centredX(box, zoom) : MARGIN - box.x1 * zoom,
        y: 8 - (box.y1 - BAND_TOP) * zoom,
      },
    });
    if (this.follow && this.lanes.anyOpen()) this.toEnd({ jump: true });
  }

  /** Bring the newest work into view: the open lanes' ends, no smaller than readable. */
  toEnd({ jump = false } = {}) {
    const { cy } = this;
    const box = this.layout === "lanes" ? this.lanes.front() : this.bounds();
    if (!box || cy.width() < 50) return;
    const wide = (cy.width() - 2 * MARGIN) / (box.x2 - box.x1);
    const zoom = Math.max(READABLE, Math.min(cy.zoom(), wide, MAX_AUTO_ZOOM));
    const room = cy.height() - MARGIN - 26;
    const pan = { x: cy.pan().x, y: cy.pan().y };
    const fits = (box.x2 - box.x1) * zoom <= cy.width() - MARGIN;
    if (fits) {
      const left = box.x1 * zoom + pan.x;
      const right = box.x2 * zoom + pan.x;
      if (left < MARGIN || right > cy.width() - MARGIN || zoom !== cy.zoom())
        pan.x = this.centredX(box, zoom);
    } else pan.x = cy.width() - MARGIN - box.x2 * zoom;
    const bottom = box.y2 * zoom + pan.y;
    if (bottom > room || bottom < HEAD_ROOM * 2) pan.y = Math.min(room - box.y2 * zoom, HEAD_ROOM);
    if (zoom === cy.zoom() && pan.x === cy.pan().x && pan.y === cy.pan().y) return;
    if (jump) cy.viewport({ zoom, pan });
    else this.animate({ zoom, pan }, 260);
  }

  /** Pan that centres a box that fits, clear of the overview as far as there is room. */
  centredX({ x1, x2 }, zoom) {
    const wide = (x2 - x1) * zoom;
    const room = this.cy.width() - wide;
    return Math.max(MARGIN, Math.min(room / 2, room - this.minimap.reserve)) - x1 * zoom;
  }

  setFollow(follow) {
    if (this.follow === follow) return;
    this.follow = follow;
    if (!follow) this.cy.stop();
    this.events.onFollow(follow);
    if (follow) this.toEnd();
  }

  animate(target, duration = MOVE_MS) {
    this.cy.stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) duration = 0;
    if (duration) this.cy.animate(target, { duration, easing: "ease-in-out-cubic", queue: false });
    else if (target.pan) this.cy.viewport({ zoom: target.zoom, pan: target.pan });
    else this.cy.zoom(target.zoom);
  }

  bounds() {
    const nodes = this.cy.nodes().filter((node) => !node.hasClass("folded"));
    return nodes.empty() ? null : nodes.boundingBox({ includeLabels: true, includeOverlays: false });
  }

  // Selection and search

  select(id, { tell = false, show = false } = {}) {
    const { cy } = this;
    const node = id ? cy.getElementById(id) : cy.collection();
    cy.batch(() => {
      cy.$("node:selected").not(node).unselect();
      node.select();
    });
    if (tell) this.events.onSelect(id); // may open a panel beside the stage
    if (show && node.nonempty()) this.reveal(node);
  }

  /** Pan just enough to see a node well, unless told otherwise with its label readable. */
  reveal(node, { least = READABLE } = {}) {
    const { cy } = this;
    cy.resize();
    if (this.collapse.cover(node.data())) this.fold((collapse) => collapse.expose(node));
    const zoom = Math.max(cy.zoom(), least);
    const { x, y } = node.position();
    const pan = zoom === cy.zoom() ? { ...cy.pan() } : centreOn(cy, x, y, zoom);
    const into = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
    const at = { x: x * zoom + pan.x, y: y * zoom + pan.y };
    const before = pan.x;
    pan.x += into(at.x, 130, cy.width() - 150) - at.x;
    const underMap = at.x + pan.x - before > cy.width() - this.minimap.width - 100;
    const low = underMap ? this.minimap.height + 60 : 70;
    pan.y += into(at.y, HEAD_ROOM + 40, cy.height() - low) - at.y;
    if (zoom === cy.zoom() && pan.x === cy.pan().x && pan.y === cy.pan().y) return;
    this.setFollow(false);
    this.animate({ zoom, pan });
  }

  /** Mark the nodes whose label, agent or error holds the text; gives them in order. */
  find(text) {
    const wanted = text.trim().toLowerCase();
    const { cy } = this;
    const hits = wanted
      ? cy.nodes().filter((node) => {
          const { label, agent, error } = node.data();
          return `${label}\n${agent}\n${error}`.toLowerCase().includes(wanted);
        })
      : cy.collection();
    cy.batch(() => {
      cy.nodes(".match").removeClass("match");
      hits.addClass("match");
    });
    return hits.toArray();
  }

  /** Show the graph as it was at a moment (epoch milliseconds); null for now. */
  setMoment(moment) {
    this.filter.setMoment(moment ?? null);
    this.lanes.pulses.hidden = this.filter.moment !== null;
  }

  // Layouts

  setLayout(layout, places) {
    this.layout = layout;
    this.lanesChanged = true;
    this.cy.edges().toggleClass("free", layout !== "lanes");
    if (layout === "lanes") this.move(null);
    else if (places) this.move(places);
  }

  /** Move all nodes smoothly to `places`, or to their own in the lanes. */
  move(places) {
    const { cy } = this;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || cy.nodes().length > 400;
    cy.nodes().forEach((node) => {
      const at = places ? places[node.id()] : [node.data("x"), node.data("y")];
      if (!at) return;
      const position = { x: at[0], y: at[1] };
      if (still) node.position(position);
      else node.stop().animate({ position }, { duration: MOVE_MS, easing: "ease-in-out-cubic" });
    });
    clearTimeout(this.settle);
    this.settle = setTimeout(
      () => {
        if (this.follow && this.layout === "lanes") this.toEnd();
        else if (this.layout !== this.framed) this.fit();
        this.framed = this.layout;
        this.minimap.draw();
      },
      still ? 0 : MOVE_MS + 30,
    );
  }

  viewport() {
    return { zoom: this.cy.zoom(), pan: { ...this.cy.pan() } };
  }

  destroy() {
    this.observer.disconnect();
    clearTimeout(this.settle);
    cancelAnimationFrame(this.drawing);
    this.motion.stop();
    this.painter.stop();
    this.cy.destroy();
  }
}

function centreOn(cy, x, y, zoom) {
  return { x: cy.width() / 2 - x * zoom, y: cy.height() / 2 - y * zoom };
}

function centred(cy, box, zoom) {
  return {
    x: cy.width() / 2 - ((box.x1 + box.x2) / 2) * zoom,
    y: (cy.height() + HEAD_ROOM / 2) / 2 - ((box.y1 + box.y2) / 2) * zoom,
  };
}
