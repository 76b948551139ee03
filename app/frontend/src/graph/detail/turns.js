// A conversation as foldable turns, drawn when they are opened.

import { h } from "../../shared/dom.js";
import { parseExact } from "../../shared/exact.js";
import { copyButton } from "./copy.js";
import { jsonBlock } from "./json.js";
import { textBlock } from "./markdown.js";

const NAMES = { system: "System", developer: "Developer", user: "User", assistant: "Assistant" };

/** One turn, folded unless `open`. */
export function turnBlock(turn, { open, mode, label = null }) {
  const isResult = turn.parts.length > 0 && turn.parts.every((part) => part.kind === "tool_result");
  const role = isResult ? "tool" : turn.role;
  const body = h("div", { class: "tl-turn-body" });
  const draw = () => {
    if (!body.hasChildNodes()) body.append(...turn.parts.map((part) => partBlock(part, mode)));
  };
  const size = turn.parts.reduce((sum, part) => sum + (part.text?.length ?? 0) + (part.arguments?.length ?? 0), 0);
  const details = h(
    "details",
    { class: `tl-turn ${role}`, open },
    h(
      "summary",
      {},
      h("span", { class: "tl-role" }, label ?? (isResult ? "Tool result" : (NAMES[turn.role] ?? turn.role))),
      h("span", { class: "tl-preview" }, turn.preview),
      h("span", { class: "tl-size" }, `${size > 999 ? `${Math.round(size / 1000)}k` : size} chars`),
      copyButton("copy", () => plainText(turn), "tl-copy"),
    ),
    body,
  );
  if (open) draw();
  details.addEventListener("toggle", () => details.open && draw());
  return details;
}

/** All that a turn says, as text. */
export function plainText(turn) {
  return turn.parts
    .map((part) => (part.kind === "tool_call" ? `${part.name}(${part.arguments ?? ""})` : (part.text ?? part.json ?? "")))
    .filter(Boolean)
    .join("\n\n");
}

function partBlock(part, mode) {
  switch (part.kind) {
    case "thinking":
      return h("div", { class: "tl-part thinking" }, h("div", { class: "tl-part-name" }, "Thinking"), textBlock(part.text ?? "", mode));
    case "tool_call":
      return h(
        "div",
        { class: "tl-part call", dataset: { call: part.id ?? "" } },
        head("calls", part, "result"),
        part.arguments ? jsonBlock(part.arguments) : null,
      );
    case "tool_result":
      return h(
        "div",
        { class: part.is_error ? "tl-part result failed" : "tl-part result", dataset: { result: part.id ?? "" } },
        head(part.is_error ? "failed" : "returned", part, "call"),
        looksLikeJson(part.text) ? jsonBlock(prettyJson(part.text)) : textBlock(part.text ?? "", "text"),
      );
    case "image":
      return imageBlock(part);
    case "text":
      return looksLikeJson(part.text) && mode === "markdown" ? jsonBlock(prettyJson(part.text)) : textBlock(part.text ?? "", mode);
    default:
      return part.json ? jsonBlock(part.json) : textBlock(part.text ?? "", "text");
  }
}

/** The line above a call or a result; its id leads to the other one. */
function head(verb, part, other) {
  const jump = (event) => {
    const root = event.currentTarget.closest(".tl-detail");
    for (const turn of root.querySelectorAll("details.tl-turn")) {
      const was = turn.open;
      turn.open = true;
      turn.dispatchEvent(new Event("toggle"));
      const found = turn.querySelector(`[data-${other}="${CSS.escape(part.id)}"]`);
      if (found) {
        found.scrollIntoView({ block: "center", behavior: "smooth" });
        found.classList.add("flash");
        setTimeout(() => found.classList.remove("flash"), 1200);
        return;
      }
      turn.open = was;
    }
  };
  return h(
    "div",
    { class: "tl-part-name" },
    h("b", {}, part.name ?? "tool"),
    ` ${verb}`,
    part.id ? h("button", { class: "tl-link", type: "button", title: `Go to the ${other}`, on: { click: jump } }, `${other} ↗`) : null,
  );
}

function imageBlock(part) {
  const type = /^image\/(png|jpeg|gif|webp)$/.test(part.media_type ?? "") ? part.media_type : null;
  if (part.data && type) return h("img", { class: "tl-image", alt: "image of the conversation", src: `data:${type};base64,${part.data}` });
  const holder = h("div", { class: "tl-part" });
  const address = part.url ?? "";
  if (!/^https?:\/\//.test(address)) {
    holder.append(h("span", {}, `image ${part.media_type ?? ""} ${address.slice(0, 80)}`));
    return holder;
  }
  // Fetching it tells a foreign server: only when asked.
  const load = () => holder.replaceChildren(h("img", { class: "tl-image", alt: "", src: address, referrerPolicy: "no-referrer" }));
  holder.append(h("button", { class: "tl-more", type: "button", on: { click: load } }, `Load image from ${address.slice(0, 80)}`));
  return holder;
}

export function looksLikeJson(text) {
  if (typeof text !== "string" || text.length > 500_000 || !/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function prettyJson(text) {
  return JSON.stringify(parseExact(text), null, 2);
}
