// The drawing: Cytoscape with layers of lanes below and headers above it, all in model coordinates.

import cytoscape from "cytoscape";
import { READABLE, showAll, showEnd, showPoint, showStart } from "./camera.js";
import { Collapse } from "./collapse.js";
import { Filter } from "./filter.js";
import { labelOf } from "./labels.js";
import { Lanes } from "./lanes.js";
import { Minimap } from "./minimap.js";
import { Motion } from "./motion.js";
import { Painter } from "./paint.js";
import { Stacks } from "./stacks.js";
import { stylesheet } from "./style.js";
import { boundsOf, takeEdges, takeNodes } from "./upserts.js";
import { panOrZoom } from "./wheel.js";

const MOVE_MS = 420;
const FOLLOW_MS = 260;

export class View {
  /**
   * @param stage Element that holds the layers.
   * @param events {onSelect(id|null), onFollow(bool), onHover(node|null), onViewport(), onFold()}
   */
  constructor(stage, events) {
    this.stage = stage;
    this.events = events;
    this.layout = "lanes";
    this.follow = true;
    this.lanes = new Lanes(stage, (id) => this.toggleLane(id));
    this.canvas = stage.querySelector(".tl-canvas");
    this.cy = cytoscape({
      container: this.canvas,
      elements: [],
      layout: { name: "preset" },
      minZoom: 0.01,
      maxZoom: 3,
      boxSelectionEnabled: false,
      selectionType: "single",
      style: [],
    });
    this.painter = new Painter(this.cy, (moving) => stage.classList.toggle("moving", moving));
    this.filter = new Filter(this.cy);
    this.stacks = new Stacks(this.cy, this.lanes);
    this.collapse = new Collapse(this.cy, this.lanes.lanes, this.stacks);
    this.motion = new Motion(this.cy, this.lanes.pulses);
    this.minimap = new Minimap(stage, this.cy, () => this.setFollow(false));
    this.listen();
  }

  listen() {
    const { cy } = this;
    const selected = () => cy.$("node:selected").first().id() ?? null;
    cy.on("tap", "node", (event) => this.tap(event.target));
    cy.on("tap", (event) => {
      if (event.target === cy && selected()) this.select(null, { tell: true });
    });
    cy.on("tap", "edge", (event) => this.tap(event.target.target()));
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
    this.cy.batch(() => this.cy.nodes().forEach((node) => node.data("text", this.textOf(node.data()))));
    this.minimap.setTheme(theme, table);
  }

  /** Forget everything: another trace follows, or the same `again` and is looked at as it was. */
  reset({ again = false } = {}) {
    this.reopened = again ? this.stacks.opened : null;
    if (again && this.placed && !this.follow) this.restored = this.viewport();
    this.cy.elements().remove();
    this.lanes.clear();
    if (!again) this.collapse.clear();
    this.stacks.clear();
    this.motion.update();
    this.placed = false;
    this.minimap.draw();
  }

  /** Take upserts in; nodes already drawn keep their place. */
  apply({ nodes = [], edges = [], lanes = [], places = null }) {
    const { cy } = this;
    let fresh = [];
    cy.batch(() => {
      fresh = takeNodes(this, nodes, places);
      takeEdges(this, edges);
    });
    for (const lane of lanes) this.lanes.put(lane);
    this.collapse.refresh();
    if (this.reopened && cy.getElementById(this.reopened).nonempty()) {
      this.stacks.toggle(this.reopened);
      this.reopened = null;
    }
    if (fresh.length || lanes.length) this.growStack(fresh);
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

  /** The open stack grows with its run; a run that is followed goes on in its next stack. */
  growStack(fresh) {
    const { stacks } = this;
    if (!stacks.opened) return;
    const { lane, status } = this.cy.getElementById(stacks.opened).data();
    const next = fresh.findLast((data) => data.type === "stack" && data.lane === lane);
    if (next && this.follow && status !== "error") stacks.toggle(next.id);
    else stacks.settle();
  }

  tap(node) {
    if (node.data("type") === "stack") this.toggleStack(node.id());
    else this.events.onSelect(node.id());
  }

  toggleLane(id) {
    if (this.lanes.lanes.get(id)?.data.stack) this.toggleStack(id);
    else {
      this.fold((collapse) => collapse.toggle(id));
      this.reveal(this.cy.getElementById(this.lanes.lanes.get(id)?.data.head ?? ""));
    }
  }

  /** Open a stack beside the lanes and show its beginning; close it when it is open. */
  toggleStack(id) {
    this.fold(() => this.stacks.toggle(id));
    const first = this.stacks.opened ? this.stacks.membersOf(id).first() : this.cy.getElementById(id);
    this.reveal(first);
  }

  /** The label of a node with that data. */
  textOf = (data) => {
    const look = this.table.nodes[data.type];
    return look ? labelOf(data, look, this.theme.font) : "";
  };

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
    this.events.onFold();
  }

  /** Collapse or expand the agent of a node; without one every agent that another called. */
  foldAt(id) {
    const node = this.cy.getElementById(id ?? "");
    if (node.nonempty()) this.toggleLane(node.data("lane"));
    else this.fold((collapse) => collapse.toggleAll());
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
    if (box) this.animate(showAll(this.window(), box));
  }

  /** First look at a trace: all of it where that is readable, else its start or, running, its end. */
  frame() {
    const box = this.bounds();
    const { cy } = this;
    cy.resize(); // a panel beside it may just have been closed
    if (!box || cy.width() < 50 || cy.height() < 50) return;
    this.placed = true;
    if (this.restored) {
      cy.viewport(this.restored);
      this.restored = null;
      return;
    }
    const x1 = Math.min(box.x1, ...[...this.lanes.lanes.values()].map(({ data }) => data.x));
    cy.viewport(showStart(this.window(), { ...box, x1 }));
    if (this.follow && this.lanes.anyOpen()) this.toEnd({ jump: true });
  }

  /** Bring the newest work into view: the open lanes' ends, no smaller than readable. */
  toEnd({ jump = false } = {}) {
    const box = this.layout === "lanes" ? this.lanes.front() : this.bounds();
    if (!box || this.cy.width() < 50) return;
    const target = showEnd(this.window(), this.viewport(), box);
    if (!this.isAt(target)) this.animate(target, jump ? 0 : FOLLOW_MS);
  }

  /** What the geometry has to know of the window. */
  window() {
    return { width: this.cy.width(), height: this.cy.height(), reserve: this.minimap.reserve };
  }

  isAt({ zoom, pan }) {
    const now = this.viewport();
    return zoom === now.zoom && pan.x === now.pan.x && pan.y === now.pan.y;
  }

  setFollow(follow) {
    if (this.follow === follow) return;
    this.follow = follow;
    if (!follow) this.cy.stop();
    this.events.onFollow(follow);
    if (follow) this.toEnd();
  }

  animate(target, duration = MOVE_MS) {
    this.painter.wake();
    this.cy.stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) duration = 0;
    if (duration) this.cy.animate(target, { duration, easing: "ease-in-out-cubic", queue: false });
    else if (target.pan) this.cy.viewport({ zoom: target.zoom, pan: target.pan });
    else this.cy.zoom(target.zoom);
  }

  bounds() {
    return boundsOf(this.cy, this.table);
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
    if (node.empty()) return;
    const { cy } = this;
    cy.resize();
    if (this.collapse.hides(node.data())) this.fold((collapse) => collapse.expose(node));
    const lane = this.layout === "lanes" ? this.lanes.lanes.get(node.data("stack") ?? node.data("lane"))?.data : null;
    const target = showPoint(this.window(), this.viewport(), node.position(), {
      least,
      sides: lane && { left: lane.x, right: lane.x + lane.width },
      corner: this.minimap,
    });
    if (this.isAt(target)) return;
    this.setFollow(false);
    this.animate(target);
  }

  /** Mark the nodes whose label, agent or error holds the text; gives them in order. */
  find(text) {
    const wanted = text.trim().toLowerCase();
    const { cy } = this;
    const hits = wanted
      ? cy.nodes('[type!="stack"]').filter((node) => {
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
    this.filter.setMoment(moment);
    this.lanes.pulses.hidden = moment !== null;
    const newest = this.filter.newest;
    if (newest && !this.collapse.hides(newest.data())) this.reveal(newest, { least: 0 });
  }

  // Layouts

  setLayout(layout, places) {
    this.layout = layout;
    if (this.stacks.opened) this.stacks.toggle(null);
    this.lanesChanged = true;
    this.cy.edges().toggleClass("free", layout !== "lanes");
    if (layout === "lanes") this.move(null);
    else if (places) this.move(places);
  }

  /** Move all nodes smoothly to `places`, or to their own in the lanes. */
  move(places) {
    const { cy } = this;
    this.painter.wake();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || cy.nodes().length > 400;
    cy.nodes().forEach((node) => {
      const at = places?.[node.id()];
      if (places && !at) return;
      const position = at ? { x: at[0], y: at[1] } : this.stacks.place(node.data());
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
