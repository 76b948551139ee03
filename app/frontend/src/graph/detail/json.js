// JSON with colours, made of text nodes only.

import { h } from "../../shared/dom.js";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;
const MAX_COLOURED = 120_000;

/** A block of JSON text; `value` may be text or anything JSON. */
export function jsonBlock(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const pre = h("pre", { class: "tl-pre tl-json" });
  if (text.length > MAX_COLOURED) {
    pre.append(text);
    return pre;
  }
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    pre.append(text.slice(last, match.index));
    const [whole, string, colon, word] = match;
    const kind = string ? (colon ? "key" : "str") : word ? "word" : "num";
    pre.append(h("span", { class: `j-${kind}` }, string ?? whole));
    if (colon) pre.append(colon);
    last = match.index + whole.length;
  }
  pre.append(text.slice(last));
  return pre;
}
