// The menu that chooses whose work stands out; the others' is dimmed.

import { h, icon, ICONS } from "../shared/dom.js";
import { count } from "../shared/format.js";

export class AgentMenu {
  /** @param onChange Called with the chosen names, none for all. */
  constructor(onChange) {
    this.onChange = onChange;
    this.chosen = new Set();
    this.text = h("span", {}, "Agents");
    this.button = h(
      "button",
      { class: "tl-button agents", type: "button", hidden: true, title: "Show some agents only ( a )", "aria-haspopup": "true", on: { click: () => this.open(this.list.hidden) } },
      icon(ICONS.agents),
      this.text,
    );
    this.list = h("div", { class: "tl-menu", hidden: true, role: "group", "aria-label": "Agents" });
    this.box = h("span", { class: "tl-menu-place" }, this.button, this.list);
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.list.hidden) return;
      this.open(false);
      this.button.focus();
      event.stopPropagation();
    });
    this.away = (event) => !this.list.hidden && !event.composedPath().includes(this.box) && this.open(false);
    document.addEventListener("pointerdown", this.away);
  }

  open(shown) {
    this.list.hidden = !shown || this.button.hidden;
    this.button.setAttribute("aria-expanded", String(!this.list.hidden));
    if (!this.list.hidden) {
      this.fill();
      this.list.querySelector("input")?.focus();
    }
  }

  /** Another trace: nothing is chosen. */
  clear() {
    this.chosen.clear();
    this.open(false);
    this.show([]);
  }

  /** Take the lanes in, one entry for each agent's name. */
  show(lanes) {
    const agents = new Map();
    for (const lane of [...lanes].sort((a, b) => a.x - b.x || a.y - b.y)) {
      const known = agents.get(lane.name);
      agents.set(lane.name, { calls: (known?.calls ?? 0) + lane.calls, failed: Boolean(known?.failed || lane.errors) });
    }
    const key = [...agents.keys()].join("\n");
    this.agents = agents;
    this.button.hidden = agents.size < 2;
    if (key !== this.key && !this.list.hidden) this.fill();
    this.key = key;
    this.describe();
  }

  fill() {
    const rows = [...this.agents].map(([name, { calls, failed }]) => {
      const box = h("input", { type: "checkbox", checked: this.chosen.has(name) });
      box.addEventListener("change", () => this.choose(name, box.checked));
      return h("label", { title: name }, box, h("span", { class: failed ? "failed" : "" }, name), h("em", {}, `${count(calls)} ${calls === 1 ? "call" : "calls"}`));
    });
    const all = h("button", { class: "tl-button", type: "button", on: { click: () => this.choose(null) } }, "Show all");
    this.list.replaceChildren(...rows, all);
  }

  /** Choose these names without telling anybody. */
  pick(names) {
    this.chosen = new Set(names);
    if (!this.list.hidden) this.fill();
    this.describe();
  }

  choose(name, wanted) {
    if (name === null) this.chosen.clear();
    else if (wanted) this.chosen.add(name);
    else this.chosen.delete(name);
    if (name === null) this.fill();
    this.describe();
    this.onChange([...this.chosen]);
  }

  describe() {
    this.button.classList.toggle("on", this.chosen.size > 0);
    this.text.textContent = this.chosen.size ? `${this.chosen.size} of ${this.agents.size} agents` : "Agents";
  }

  destroy() {
    document.removeEventListener("pointerdown", this.away);
  }
}
