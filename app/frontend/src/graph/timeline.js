// The run as rows of bars below the graph: virtualised, with time to first token and a playhead.

import { h } from "../shared/dom.js";
import { duration, took } from "../shared/format.js";

const ROW = 22;
const SPARE = 6; // rows drawn beyond the window on either side
const TICK_MS = 1000;
/** Without news for this long running bars grow at every fifth tick only. */
const QUIET_MS = 8000;
/** Steps of the axis from ten seconds to a day; shorter and longer ones are decimal. */
const STEPS_S = [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

export class Timeline {
  /**
   * @param box Element of the panel.
   * @param events {onSelect(id), onMoment(ms|null), isFolded(row): id of the collapsed lane or none}
   */
  constructor(box, events) {
    this.events = events;
    this.spans = new Map();
    this.rows = [];
    this.drawn = new Map();
    // kept, as to ask the page for them has it lay everything out
    this.top = this.tall = this.turn = 0;
    this.axis = h("div", { class: "tl-axis", title: "Drag to see the graph as it was; double-click to return" });
    this.inner = h("div", { class: "tl-rows" });
    this.scroll = h("div", { class: "tl-scroll", tabIndex: -1 }, this.inner);
    this.moment = null;
    this.momentText = h("span");
    this.playhead = h("div", { class: "tl-playhead", hidden: true }, this.momentText);
    this.now = h("button", { class: "tl-now", type: "button", hidden: true, title: "Back to now ( Esc )", on: { click: () => this.setMoment(null) } }, "Back to now");
    this.label = h("div", { class: "tl-axis-label" }, "Timeline", this.now);
    this.ticks = h("div", { class: "tl-ticks" });
    this.axis.append(this.label, this.ticks);
    this.track = h("div", { class: "tl-track-area" }, this.playhead);
    box.replaceChildren(this.axis, this.scroll, this.track);
    this.box = box;
    this.scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.inner.addEventListener("click", (event) => {
      const row = event.target.closest(".tl-row");
      if (row) this.events.onSelect(row.dataset.id);
    });
    this.axis.addEventListener("pointerdown", (event) => {
      if (event.composedPath().includes(this.label)) return;
      this.axis.setPointerCapture(event.pointerId);
      this.drag(event);
    });
    this.axis.addEventListener("pointermove", (event) => event.buttons & 1 && this.drag(event));
    this.axis.addEventListener("dblclick", () => this.setMoment(null));
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      this.tall = contentRect.height;
      this.draw();
    });
    this.observer.observe(this.scroll);
  }

  scrolled() {
    this.top = this.scroll.scrollTop;
    this.draw();
  }

  scrollTo(top) {
    this.top = Math.max(0, Math.min(top, this.rows.length * ROW - this.tall));
    this.scroll.scrollTop = this.top;
  }

  /** Whether the last row is in sight. */
  get isAtEnd() {
    return this.top + this.tall >= this.rows.length * ROW - 2 * ROW;
  }

  /** Another trace follows. */
  clear() {
    this.forget();
    this.inner.replaceChildren();
    this.inner.style.height = 0;
    this.drawn.clear();
    this.scrollTo(0);
    this.setMoment(null);
  }

  /** The same trace is told anew: where one looked, one looks. */
  forget() {
    this.spans.clear();
    this.rows = [];
    this.stale = true;
    this.axisKey = null;
  }

  /** Take nodes in; answers have no row of their own. */
  apply(nodes, depthOf) {
    for (const node of nodes) {
      if (node.type === "response" || node.type === "stack" || node.start_ms === null) continue;
      this.spans.set(node.id, { ...node, depth: depthOf(node) });
    }
    this.stale = true;
    this.newsAt = performance.now();
    if (this.pending) return;
    const { isAtEnd } = this;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
      if (isAtEnd && this.running && !this.selected) this.scrollTo(Infinity);
      this.tick();
    });
  }

  /** Put rows in order and find what all drawing needs, once a change. */
  arrange() {
    if (!this.stale) return;
    this.stale = false;
    const all = [...this.spans.values()].sort((a, b) => a.start_ms - b.start_ms || a.depth - b.depth);
    this.running = all.filter((row) => row.status === "running").length;
    this.first = all[0]?.start_ms ?? 0;
    this.last = all.reduce((last, row) => Math.max(last, row.end_ms ?? row.start_ms), 0);
    this.folded = new Map();
    this.rows = all.filter((row) => {
      const cover = this.events.isFolded(row);
      if (cover) this.folded.set(cover, (this.folded.get(cover) ?? 0) + 1);
      return !cover;
    });
  }

  /** Agents were collapsed or expanded: their rows go and come with them. */
  refold() {
    this.stale = true;
    this.draw();
  }

  tick() {
    const wanted = this.running > 0;
    if (wanted && !this.timer) this.timer = setInterval(() => !document.hidden && !this.box.hidden && this.advance(), TICK_MS);
    if (!wanted && this.timer) {
      clearInterval(this.timer);
      this.timer = null;
    }
  }

  /** Time went on: running bars grow, and now and then the axis does. */
  advance() {
    this.turn = (this.turn + 1) % 5;
    if (this.turn && performance.now() - this.newsAt > QUIET_MS) return;
    const [, to] = this.range();
    if (!this.extent || to !== this.extent[1]) return this.draw();
    const span = to - this.extent[0];
    for (const bar of this.inner.querySelectorAll(".tl-bar-mark.running"))
      bar.style.width = `${((Date.now() - Number(bar.dataset.start)) / span) * 100}%`;
  }

  select(id) {
    this.selected = id?.replace(/:response$/, "") ?? null;
    this.arrange();
    const at = this.rows.findIndex((row) => row.id === this.selected);
    this.inner.style.height = `${this.rows.length * ROW}px`;
    if (at >= 0 && (at * ROW < this.top || (at + 1) * ROW > this.top + this.tall)) this.scrollTo(at * ROW - this.tall / 2);
    this.draw();
  }

  range() {
    const from = this.first;
    if (!this.running) return [from, Math.max(from + 1, this.last)];
    // while a run goes on the axis grows in steps: between them only running bars change
    const span = Math.max(1000, Date.now() - from, this.last - from);
    const step = niceStep(span / 10);
    return [from, from + Math.ceil(span / step) * step];
  }

  draw() {
    this.arrange();
    if (this.box.hidden || !this.rows.length) return;
    const { rows, top, tall } = this;
    const [from, to] = (this.extent = this.range());
    const span = to - from;
    this.inner.style.height = `${rows.length * ROW}px`;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(rows.length, Math.ceil((top + tall) / ROW) + SPARE);
    this.drawRows(first, last, from, span);
    this.drawAxis(span);
    this.placePlayhead();
  }

  /** Rows that look as before stay as they are. */
  drawRows(first, last, from, span) {
    const before = this.drawn;
    this.drawn = new Map();
    for (let at = first; at < last; at += 1) {
      const data = this.rows[at];
      const look = `${at} ${from} ${span} ${data.id === this.selected} ${this.folded.get(data.lane)}`;
      const known = before.get(data.id);
      const isSame = known?.data === data && known.look === look;
      this.drawn.set(data.id, isSame ? known : { data, look, row: this.row(data, at, from, span) });
      if (isSame) before.delete(data.id);
    }
    for (const { row } of before.values()) row.remove();
    let next = this.inner.firstChild;
    for (const { row } of this.drawn.values()) {
      if (row === next) next = next.nextSibling;
      else this.inner.insertBefore(row, next);
    }
  }

  row(data, at, from, span) {
    const end = data.end_ms ?? (data.status === "running" ? Date.now() : data.start_ms);
    const percent = (ms) => `${(ms / span) * 100}%`;
    const bar = h("i", { class: `tl-bar-mark ${data.type} ${data.status}`, dataset: { start: data.start_ms } });
    bar.style.left = percent(data.start_ms - from);
    bar.style.width = `max(3px, ${percent(end - data.start_ms)})`;
    if (data.ttft_ms && end > data.start_ms) {
      const wait = h("b");
      wait.style.width = `${Math.min(100, (data.ttft_ms / (end - data.start_ms)) * 100)}%`;
      bar.append(wait);
    }
    const name = h("span", { class: "tl-row-name" }, h("i", { class: `tl-row-dot ${data.type}` }), h("span", {}, data.label), h("em", {}, this.beside(data)));
    name.style.paddingLeft = `${8 + data.depth * 12}px`;
    const row = h(
      "div",
      {
        class: `tl-row${data.id === this.selected ? " on" : ""}${data.status === "error" ? " failed" : ""}`,
        dataset: { id: data.id },
        title: data.error || `${data.label}, ${data.agent}`,
      },
      name,
      h("span", { class: "tl-row-track" }, bar),
      h("span", { class: "tl-row-took" }, data.status === "running" ? "…" : took(data)),
    );
    row.style.top = `${at * ROW}px`;
    return row;
  }

  /** What stands beside a row's name: its agent, or what a collapsed agent hides. */
  beside({ id, lane, agent, label }) {
    const hidden = ["agent", "orchestrator"].includes(this.spans.get(id).type) && this.folded.get(lane);
    if (hidden) return `${hidden} ${hidden === 1 ? "span" : "spans"} collapsed`;
    return agent === label ? "" : agent;
  }

  drawAxis(span) {
    const step = niceStep(span / 6);
    const key = `${Math.round(span / step)}:${step}:${Math.round(span)}`;
    if (key === this.axisKey) return;
    this.axisKey = key;
    const ticks = [];
    for (let at = 0; at <= span; at += step) {
      const tick = h("span", {}, at ? duration(at).replace(".0 s", " s") : "0");
      tick.style.left = `${(at / span) * 100}%`;
      ticks.push(tick);
    }
    this.ticks.replaceChildren(...ticks);
  }

  drag(event) {
    if (!this.extent) return;
    const area = this.ticks.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
    const [from, to] = this.extent;
    this.setMoment(share >= 0.999 ? null : from + share * (to - from));
  }

  /** Look at a moment (epoch milliseconds); null for now. */
  setMoment(moment) {
    if (moment === this.moment) return;
    this.moment = moment;
    this.placePlayhead();
    this.scrubbing ??= requestAnimationFrame(() => {
      this.scrubbing = null;
      this.events.onMoment(this.moment);
    });
  }

  placePlayhead() {
    const shown = this.moment !== null && Boolean(this.extent);
    this.playhead.hidden = this.now.hidden = !shown;
    if (!shown) return;
    const [from, to] = this.extent;
    const share = (this.moment - from) / (to - from);
    this.playhead.style.left = `${share * 100}%`;
    this.playhead.classList.toggle("late", share > 0.8);
    this.momentText.textContent = `at ${duration(this.moment - from)}`;
  }

  destroy() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.scrubbing);
    this.observer.disconnect();
  }
}

/** Smallest step, in milliseconds, that people count time in. */
function niceStep(rough) {
  const known = STEPS_S.find((step) => rough > 5000 && step * 1000 >= rough);
  if (known) return known * 1000;
  const unit = rough > 5000 ? 86_400_000 : 1;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough / unit, 0.001)));
  return [1, 2, 5, 10].map((factor) => factor * power * unit).find((step) => step >= rough);
}
