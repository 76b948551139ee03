// Two texts side by side, row by row: differences marked, counted and walked through, long equal
// stretches folded.
//
// data     {left, right: titles, state: whole | partial | followed, rows: JSON text}; a row is
//          ["same", text], ["folded", name, lines, text once it was asked for] or ["changed", left
//          pieces, right pieces], a piece [text, number of the difference or 0] or, of a very long
//          one, [its start, number, name, length of the middle, its end]
// tells    `opened`, the names of what to show whole, and, where the state is followed, `edited`
//          after each edit of a text of the page

import { h } from "../shared/dom.js";
import { followEdits } from "../shared/edits.js";
import { Keys } from "./keys.js";

/** Lines of one block; blocks out of sight are neither laid out nor painted. */
const BLOCK_LINES = 60;
/** Controls and marks of direction; not those that lay lines out or join emoji. */
const UNSEEN = /((?![\t\r\n\u200c\u200d])[\p{Cc}\p{Cf}])/u;
const keys = new Keys();

class Diff {
  constructor(place) {
    this.at = 0;
    this.total = 0;
    this.rows = [];
    this.opened = new Set();
    this.count = h("span", { class: "tl-count", "aria-live": "polite" });
    const step = (by, label, sign, key) =>
      h("button", { type: "button", title: `${label} (${key.toUpperCase()})`, "aria-label": label,
        "aria-keyshortcuts": key, on: { click: () => this.step(by) } }, sign);
    this.buttons = [step(-1, "Previous difference", "↑", "p"), step(1, "Next difference", "↓", "n")];
    this.titles = [h("span"), h("span")];
    this.body = h("div", { class: "tl-rows", tabIndex: 0, role: "group" });
    this.root = h("div", { class: "tl-side" },
      h("div", { class: "tl-head" }, this.titles[0],
        h("span", { class: "tl-right" }, this.titles[1],
          h("span", { class: "tl-steps" }, this.count, ...this.buttons))),
      this.body);
    place.replaceChildren(this.root);
    keys.add(this);
  }

  load(data) {
    const titles = [data.left, data.right];
    this.titles.forEach((title, side) => (title.textContent = titles[side]));
    this.body.setAttribute("aria-label", titles.join(" and "));
    this.state = data.state;
    this.follow(data.state === "followed");
    if (data.rows === this.told) return this.mark();
    this.told = data.rows;
    const top = this.body.scrollTop;
    const isFirst = !this.body.childElementCount;
    this.show(JSON.parse(data.rows));
    this.total = Math.max(0, ...this.marks().map(numberOf));
    this.at = Math.min(this.at, this.total);
    this.mark();
    if (!isFirst) this.body.scrollTop = top;
  }

  /** Ask for another drawing after each edit of a text of the page, or stop to. */
  follow(isWanted) {
    if (isWanted) {
      this.unfollow ??= followEdits(() => this.tell.setTriggerValue("edited", true));
    } else {
      this.unfollow?.();
      this.unfollow = null;
    }
  }

  /** Draw rows; those at the start and the end that stand there already stay as they are. */
  show(rows) {
    const told = rows.map((row) => JSON.stringify(row));
    const before = this.rows;
    const least = Math.min(told.length, before.length);
    let head = 0, tail = 0;
    while (head < least && told[head] === before[head]) head++;
    while (tail < least - head && told.at(-1 - tail) === before.at(-1 - tail)) tail++;
    const stale = [...this.body.children].slice(head, this.body.childElementCount - tail);
    const fresh = rows.slice(head, rows.length - tail).map((row) => this.row(row));
    if (!rows.length) fresh.push(h("div", { class: "tl-none" }, "nothing"));
    const after = this.body.children[this.body.childElementCount - tail] ?? null;
    for (const element of fresh) this.body.insertBefore(element, after);
    for (const element of stale) element.remove();
    this.rows = told;
  }

  row([kind, ...content]) {
    if (kind === "same") return pair(kind, ...twice(() => blocks(content[0])));
    if (kind === "folded") return this.fold(...content);
    return pair(kind, ...content.map((pieces, side) => this.side(pieces, side)));
  }

  /** A stretch without a difference, behind a button that asks for it. */
  fold(name, lines, text) {
    if (text !== undefined) return pair("same", ...twice(() => blocks(text)));
    return this.opener(name, "tl-fold", `Show ${lines.toLocaleString("en")} unchanged lines`);
  }

  opener(name, className, label) {
    const open = (event) => {
      event.target.disabled = true;
      this.opened.add(name);
      this.tell.setStateValue("opened", [...this.opened]);
    };
    return h("button", { type: "button", class: className, on: { click: open } }, label);
  }

  side(pieces, side) {
    const last = pieces.at(-1);
    const parts = pieces.flatMap((piece) => this.piece(piece, side));
    return (last?.[4] ?? last?.[0] ?? "").endsWith("\n") ? [...parts, "\n"] : parts;
  }

  piece([text, number, name, hidden, end], side) {
    if (!name) return [marked(text, number, side)];
    const more = this.opener(name, "tl-more", `… ${hidden.toLocaleString("en")} more characters …`);
    return [marked(text, number, side), more, marked(end, number, side)];
  }

  marks() {
    return [...this.body.querySelectorAll("[data-n]")];
  }

  /** Go to the next or the previous difference, around the ends. */
  step(by) {
    if (!this.total) return;
    const from = this.at || (by > 0 ? 0 : 1);
    this.at = ((from - 1 + by + this.total) % this.total) + 1;
    const first = this.mark();
    if (!first) return;
    this.body.scrollTo({ top: offsetIn(this.body, first) - this.body.clientHeight / 3 });
    this.root.scrollIntoView({ block: "nearest" });
  }

  /** Point out the difference stood at; gives its first mark. */
  mark() {
    const marks = this.marks();
    for (const element of marks) element.classList.toggle("on", numberOf(element) === this.at);
    this.count.textContent = this.where();
    for (const button of this.buttons) button.hidden = !this.total;
    return marks.find((element) => numberOf(element) === this.at);
  }

  where() {
    if (this.at) return `${this.at} of ${this.total}`;
    if (this.total) return `${this.total.toLocaleString("en")} difference${this.total > 1 ? "s" : ""}`;
    return this.state === "partial" ? "" : "No difference";
  }

  destroy() {
    this.follow(false);
    keys.remove(this);
  }
}

function pair(kind, left, right) {
  const side = (content) => h("div", {}, ...content);
  return h("div", { class: `tl-row tl-${kind}` }, side(left), side(right));
}

function twice(make) {
  return [make(), make()];
}

/** Lines as blocks, so that those out of sight cost nothing. */
function blocks(text) {
  const lines = text.split("\n");
  if (lines.length <= BLOCK_LINES * 2) return seen(ended(text));
  const found = [];
  for (let start = 0; start < lines.length; start += BLOCK_LINES) {
    const part = lines.slice(start, start + BLOCK_LINES).join("\n");
    found.push(h("div", { class: "tl-block" }, ...seen(ended(part))));
  }
  return found;
}

/** A last line that is empty is drawn only with a break after it. */
function ended(text) {
  return text.endsWith("\n") ? `${text}\n` : text;
}

function marked(text, number, side) {
  if (!number) return h("span", {}, ...seen(text));
  const tag = side === 0 ? "del" : "ins";
  // a line break alone would be invisible
  const name = /^[\r\n]+$/.test(text) ? "tl-break" : "";
  return h(tag, { class: name, dataset: { n: number } }, ...seen(text));
}

/** A text with each character that has no shape, or turns the order of others, made visible. */
function seen(text) {
  if (!UNSEEN.test(text)) return [text];
  return text.split(UNSEEN).map((part, place) => {
    if (place % 2 === 0) return part;
    const title = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    return h("bdi", { class: "tl-unseen", title }, part);
  });
}

function numberOf(element) {
  return Number(element.dataset.n);
}

/** Where an element stands in a scrolled box, in pixels from the top of its content. */
function offsetIn(box, element) {
  return element.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
}

/** Called by Streamlit on every run of the page, with the same parent for the same key. */
export default function render({ data, parentElement, setStateValue, setTriggerValue }) {
  const place = parentElement.querySelector(".tl-difference");
  const diff = (parentElement.tlDiff ??= new Diff(place));
  diff.tell = { setStateValue, setTriggerValue };
  diff.load(data);
  return () => {
    diff.destroy();
    parentElement.tlDiff = null;
  };
}
