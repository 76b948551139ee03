// Lane bands below the drawing and headers above it that stay in sight while their lane does.

import { h, icon, ICONS } from "../shared/dom.js";
import { count, money } from "../shared/format.js";

const HEAD_HEIGHT = 34;
/** Room above a lane's first node, in model coordinates: zoomed out, the header needs more. */
const HEAD_ROOM = 36;

export class Lanes {
  /** @param onToggle Called with the id of the lane that is to be collapsed or expanded. */
  constructor(stage, onToggle) {
    this.onToggle = onToggle;
    this.bands = stage.querySelector(".tl-bands");
    this.heads = stage.querySelector(".tl-heads");
    this.pulses = stage.querySelector(".tl-pulses");
    this.lanes = new Map();
  }

  clear() {
    this.lanes.clear();
    this.bands.replaceChildren();
    this.heads.replaceChildren();
  }

  put(data) {
    let lane = this.lanes.get(data.id);
    if (!lane) {
      lane = this.build(data.id);
      this.lanes.set(data.id, lane);
    }
    lane.data = data;
    lane.band.classList.toggle("nested", data.depth % 2 === 1);
    lane.head.dataset.status = data.errors ? "error" : data.status;
    lane.head.title = `${data.name}: ${figures(data).map((f) => f.join(" ")).join(", ")}`;
    lane.toggle.hidden = !data.head;
    lane.name.textContent = data.name;
    lane.figures.replaceChildren(...figures(data).map(figure));
    if (lane.state === "open") Object.assign(lane, { height: data.height, width: data.width });
  }

  remove(id) {
    const lane = this.lanes.get(id);
    lane?.band.remove();
    lane?.head.remove();
    this.lanes.delete(id);
  }

  /** The elements of a lane; its button stays the same, so that no news swallows a click on it. */
  build(id) {
    const toggle = h("button", { class: "tl-head-toggle", type: "button", on: { click: () => this.onToggle(id) } }, icon(ICONS.chevron));
    const [name, figures] = [h("span", { class: "tl-head-name" }), h("span", { class: "tl-head-figures" })];
    const lane = {
      band: h("div", { class: "tl-band" }),
      head: h("div", { class: "tl-head" }, toggle, h("span", { class: "tl-head-dot" }), name, figures),
      state: "open",
      toggle,
      name,
      figures,
    };
    this.bands.append(lane.band);
    this.heads.append(lane.head);
    return lane;
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
    const all = [...this.lanes.values()].filter(({ state }) => state !== "gone");
    if (!all.length) return null;
    const open = all.filter(({ data }) => data.status === "running");
    const bottom = ({ data, height }) => data.y + height;
    const low = Math.max(...(open.length ? open : all).map(bottom));
    const near = (open.length ? open : all).filter((lane) => bottom(lane) > low - 900);
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
    const lift = Math.max(0, HEAD_HEIGHT - HEAD_ROOM * zoom);
    for (const lane of this.lanes.values()) {
      const { data, head } = lane;
      const left = data.x * zoom + pan.x;
      const top = data.y * zoom + pan.y - lift;
      const wide = lane.width * zoom;
      const end = (data.y + lane.height) * zoom + pan.y;
      this.drawBand(lane);
      const visible =
        lane.state !== "gone" && left + wide > 0 && left < width && end > 0 && top < height && wide > 70;
      head.hidden = !visible;
      if (!visible) continue;
      const y = Math.min(Math.max(top, 0), Math.max(top, end - HEAD_HEIGHT));
      const x = Math.max(left, 0); // the name stays in sight while any of its lane does
      head.style.transform = `translate(${x}px, ${y}px)`;
      head.style.width = `${left + wide - x}px`;
      head.classList.toggle("pinned", top < 0);
      head.classList.toggle("narrow", left + wide - x < 250);
      head.classList.toggle("tiny", left + wide - x < 150);
    }
  }

  drawBand(lane) {
    const { data, band, state, height, width } = lane;
    const drawn = `${data.x} ${data.y} ${width} ${height} ${state}`;
    if (drawn === lane.drawn) return;
    lane.drawn = drawn;
    band.hidden = state === "gone";
    Object.assign(band.style, {
      left: `${data.x}px`, top: `${data.y}px`, width: `${width}px`, height: `${height}px`,
    });
    const isOpen = state === "open";
    lane.toggle.classList.toggle("folded", !isOpen);
    lane.toggle.title = isOpen ? "Collapse this agent ( c )" : "Expand this agent ( c )";
    lane.toggle.setAttribute("aria-label", `${isOpen ? "Collapse" : "Expand"} ${data.name}`);
    lane.toggle.setAttribute("aria-expanded", String(isOpen));
  }
}

function figures(data) {
  return [
    [count(data.calls), data.calls === 1 ? "call" : "calls"],
    ...(data.tokens_input + data.tokens_output ? [[count(data.tokens_input + data.tokens_output), "tok"]] : []),
    ...(data.cost_usd === null ? [] : [[money(data.cost_usd), ""]]),
    ...(data.errors ? [[String(data.errors), data.errors === 1 ? "error" : "errors"]] : []),
  ];
}

function figure([value, unit]) {
  const isError = unit.startsWith("error");
  return h("span", { class: isError ? "tl-figure error" : "tl-figure" }, h("b", {}, value), unit && ` ${unit}`);
}
