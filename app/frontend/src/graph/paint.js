// Drawing that stays fast in large graphs: only what is near the window is drawn, and a picture that
// takes long is drawn once with room around it and then moved while the view is panned.
//
// Cytoscape looks at every element for every frame. Here its renderer gets those near the window
// instead (`cull.js`). What it draws, and how sharp, is the same. Its loop, which runs for every
// frame of the screen, sleeps while nothing changes.

import { Cull } from "./cull.js";

/** A picture that took longer than this is moved instead of drawn for each frame. */
const SLOW_MS = 5;
/** Room around the window in a picture that is moved. */
const ROOM = 360;
/** The picture is drawn anew where it is once the view rested this long. */
const REST_MS = 140;
/** The loop goes on this long after the last change, to sharpen what was drawn in haste. */
const AWAKE_MS = 1500;
/** More elements than this are animated without their edges. */
const MANY = 700;

export class Painter {
  /** @param onMoving Called with whether a picture is moved from now on. */
  constructor(cy, onMoving) {
    this.cy = cy;
    this.onMoving = onMoving;
    this.renderer = cy.renderer();
    this.dozing = null;
    this.cull = new Cull(cy);
    this.raft = this.buildRaft();
    this.takeOver();
  }

  /** The canvas that is moved. */
  buildRaft() {
    const { canvasContainer: box, canvases } = this.renderer.data;
    const canvas = document.createElement("canvas");
    Object.assign(canvas.style, { position: "absolute", left: `${-ROOM}px`, top: `${-ROOM}px`, willChange: "transform" });
    canvas.hidden = true;
    box.append(canvas);
    return { canvas, pen: canvas.getContext("2d"), under: canvases, shown: false };
  }

  takeOver() {
    const { renderer } = this;
    const { render, notify, redraw } = renderer;
    renderer.beforeRender(() => {
      this.hasLooped = true;
    }, renderer.beforeRenderPriorities.animations);
    renderer.redraw = (options) => {
      this.wake();
      redraw.call(renderer, options);
    };
    renderer.notify = (name, elements) => {
      if (this.cull.isBusy) return;
      this.wake();
      if (name !== "viewport") this.drawn = null;
      if (name === "position") this.cull.moved();
      return notify.call(renderer, name, elements);
    };
    renderer.drawLayeredElements = (pen, elements, ratio, extent) => {
      const near = extent ? this.cull.near(elements, extent) : elements;
      renderer.hideEdgesOnViewport = near.length > MANY;
      renderer.drawCachedElements(pen, near, ratio, extent);
    };
    renderer.drawCachedNodes = (pen, elements, ratio, extent) => {
      const near = extent ? this.cull.near(elements, extent) : elements;
      renderer.drawCachedElements(pen, near.filter((element) => element.isNode()), ratio, extent);
    };
    renderer.render = (options) => {
      if (!options?.forcedContext && this.move()) return;
      this.rest();
      const began = performance.now();
      render.call(renderer, options);
      if (options?.forcedContext) return;
      this.drawn = { ...this.cy.pan(), zoom: this.cy.zoom(), ms: performance.now() - began };
    };
  }

  /** Once what is known now has been drawn and the frame after it began, so that it is on the screen. */
  afterFrame(act) {
    this.cy.one("render", () => requestAnimationFrame(act));
    this.renderer.redraw();
  }

  /** Draw the view by moving a picture; false when it has to be drawn anew. */
  move() {
    const { cy, drawn, raft } = this;
    const pan = cy.pan();
    const zoom = cy.zoom();
    if (!drawn || drawn.zoom !== zoom || (drawn.x === pan.x && drawn.y === pan.y && !raft.shown)) return false;
    if (!raft.shown && drawn.ms < SLOW_MS) return false;
    if (!raft.shown || Math.abs(pan.x - raft.x) > ROOM || Math.abs(pan.y - raft.y) > ROOM) this.drawRaft(pan, zoom);
    const { ratio } = raft;
    const [dx, dy] = [pan.x - raft.x, pan.y - raft.y].map((by) => Math.round(by * ratio) / ratio);
    raft.canvas.style.transform = `translate(${dx}px, ${dy}px)`;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.redraw(), REST_MS);
    cy.emit("render");
    return true;
  }

  drawRaft(pan, zoom) {
    const { cy, renderer, raft } = this;
    const ratio = renderer.getPixelRatio();
    const [width, height] = [cy.width() + 2 * ROOM, cy.height() + 2 * ROOM];
    Object.assign(raft, { x: pan.x, y: pan.y, ratio });
    Object.assign(raft.canvas, { width: width * ratio, height: height * ratio }); // clears it, too
    Object.assign(raft.canvas.style, { width: `${width}px`, height: `${height}px` });
    const seen = cy.extent();
    const room = ROOM / zoom;
    const extent = { x1: seen.x1 - room, y1: seen.y1 - room, x2: seen.x2 + room, y2: seen.y2 + room };
    raft.pen.setTransform(zoom * ratio, 0, 0, zoom * ratio, (pan.x + ROOM) * ratio, (pan.y + ROOM) * ratio);
    const { nondrag, drag } = renderer.getCachedZSortedEles();
    renderer.drawCachedElements(raft.pen, this.cull.near(nondrag, extent), ratio, extent);
    renderer.drawCachedElements(raft.pen, drag, ratio, extent);
    this.swap(true);
  }

  swap(toRaft) {
    const { raft } = this;
    if (raft.shown === toRaft) return;
    raft.shown = toRaft;
    raft.canvas.hidden = !toRaft;
    for (const canvas of raft.under) canvas.style.visibility = toRaft ? "hidden" : "";
    this.onMoving(toRaft);
  }

  /** The view rests, or changed otherwise: the real drawing follows in this very frame. */
  rest() {
    clearTimeout(this.resting);
    this.swap(false);
  }

  redraw() {
    if (this.cy.destroyed()) return;
    this.drawn = null;
    const { renderer } = this;
    renderer.redrawHint("eles", true);
    renderer.redrawHint("drag", true);
    renderer.redraw();
  }

  /** Something changes, or is going to be animated: frames are drawn again. */
  wake() {
    this.woken = performance.now(); // asked for thousands of times a frame: no new timer each
    this.dozing ??= setTimeout(() => this.doze(), AWAKE_MS);
    if (!this.isAsleep && !this.isFallingAsleep) return;
    this.renderer.destroyed = false;
    if (this.isAsleep) this.startLoop();
    this.isAsleep = false;
  }

  startLoop() {
    this.renderer.renderLoopStarted = false;
    this.renderer.startRenderLoop();
  }

  /** End the renderer's loop, which looks at each frame whether its renderer still is. */
  doze() {
    const left = this.woken + AWAKE_MS - performance.now();
    this.dozing = left > 0 ? setTimeout(() => this.doze(), left) : null;
    if (left > 0) return;
    const { renderer } = this;
    if (renderer.destroyed) return;
    renderer.destroyed = true;
    if (this.isFallingAsleep) return;
    this.isFallingAsleep = true;
    this.hasLooped = false;
    requestAnimationFrame(() => {
      this.isFallingAsleep = false;
      if (renderer.destroyed) this.isAsleep = true;
      else if (!this.hasLooped) this.startLoop(); // woken in this frame, after the loop had ended
    });
  }

  stop() {
    clearTimeout(this.resting);
    clearTimeout(this.dozing);
    this.cull.stop();
  }
}
