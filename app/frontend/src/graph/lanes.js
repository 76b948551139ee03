// Lane bands below the drawing and headers above it that stay in sight while their lane does.

import { h } from "../shared/dom.js";
import { count, money } from "../shared/format.js";

const HEAD_HEIGHT = 34;

export class Lanes {
  constructor(stage) {
    this.bands = stage.querySelector(".tl-bands");
    this.heads = stage.querySelector(".tl-heads");
    this.pulses = stage.querySelector(".tl-pulses");
    this.lanes = new Map();
  }

  setTheme() {}

  clear() {
    this.lanes.clear();
    this.bands.replaceChildren();
    this.heads.replaceChildren();
  }

  put(data) {
    let lane = this.lanes.get(data.id);
    if (!lane) {
      lane = { band: h("div", { class: "tl-band" }), head: h("div", { class: "tl-head" }) };
      this.bands.append(lane.band);
      this.heads.append(lane.head);
      this.lanes.set(data.id, lane);
    }
    lane.data = data;
    lane.bottom = data.y + data.height;
    const { style } = lane.band;
    style.left = `${data.x}px`;
    style.top = `${data.y}px`;
    style.width = `${data.width}px`;
    style.height = `${data.height}px`;
    lane.band.classList.toggle("nested", data.depth % 2 === 1);
    lane.head.dataset.status = data.errors ? "error" : data.status;
    lane.head.title = `${data.name}: ${figures(data).map((f) => f.join(" ")).join(", ")}`;
    lane.head.replaceChildren(
      h("span", { class: "tl-head-dot" }),
      h("span", { class: "tl-head-name" }, data.name),
      h("span", { class: "tl-head-figures" }, ...figures(data).map(figure)),
    );
  }

  /** How deep a node hangs: its lane's depth, calls one deeper than their agent. */
  depth(node) {
    const lane = this.lanes.get(node.lane)?.data;
    return (lane?.depth ?? 0) * 2 + (lane?.head === node.id ? 0 : 1);
  }

  anyOpen() {
    return [...this.lanes.values()].some(({ data }) => data.status === "running");
  }

  /** Box around the lower ends of the lanes still at work; of the lowest lane when none is. */
  front() {
    const all = [...this.lanes.values()];
    if (!all.length) return null;
    const open = all.filter(({ data }) => data.status === "running");
    const low = Math.max(...(open.length ? open : all).map((lane) => lane.bottom));
    const near = (open.length ? open : all).filter((lane) => lane.bottom > low - 900);
    return {
      x1: Math.min(...near.map(({ data }) => data.x)),
      x2: Math.max(...near.map(({ data }) => data.x + data.width)),
      y2: low,
    };
  }

  draw(cy, shown) {
    const zoom = cy.zoom();
    const pan = cy.pan();
    const layer = `translate(${pan.x}px, ${pan.y}px) scale(${zoom})`;
    this.bands.style.transform = layer;
    this.pulses.style.transform = layer;
    this.bands.hidden = this.heads.hidden = !shown;
    if (!shown) return;
    const [width, height] = [cy.width(), cy.height()];
    for (const { data, head, bottom } of this.lanes.values()) {
      const left = data.x * zoom + pan.x;
      const top = data.y * zoom + pan.y;
      const wide = data.width * zoom;
      const end = bottom * zoom + pan.y;
      const visible = left + wide > 0 && left < width && end > 0 && top < height && wide > 70;
      head.hidden = !visible;
      if (!visible) continue;
      const y = Math.min(Math.max(top, 0), Math.max(top, end - HEAD_HEIGHT));
      head.style.transform = `translate(${left}px, ${y}px)`;
      head.style.width = `${wide}px`;
      head.classList.toggle("pinned", top < 0);
      head.classList.toggle("narrow", wide < 250);
    }
  }
}

function figures(data) {
  return [
    [count(data.calls), data.calls === 1 ? "call" : "calls"],
    [count(data.tokens_input + data.tokens_output), "tok"],
    ...(data.cost_usd === null ? [] : [[money(data.cost_usd), ""]]),
    ...(data.errors ? [[String(data.errors), data.errors === 1 ? "error" : "errors"]] : []),
  ];
}

function figure([value, unit]) {
  const isError = unit.startsWith("error");
  return h("span", { class: isError ? "tl-figure error" : "tl-figure" }, h("b", {}, value), unit && ` ${unit}`);
}
