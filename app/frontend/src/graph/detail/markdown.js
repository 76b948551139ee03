// Markdown of traces, made safe: no HTML passes, no image is fetched, links open apart.

import MarkdownIt from "markdown-it";
import { h } from "../../shared/dom.js";

const markdown = new MarkdownIt({ html: false, linkify: false, breaks: true, typographer: false });
// An image in a trace would tell a foreign server that somebody reads it: show it as a link.
markdown.renderer.rules.image = (tokens, at) => {
  const source = tokens[at].attrGet("src") ?? "";
  const escape = markdown.utils.escapeHtml;
  return `<span class="tl-image-link">image: ${escape(tokens[at].content || source)} (${escape(source)})</span>`;
};
// `src/__init__.py` and `a.__len__()` are names, not bold words.
const DUNDER = /__\w+?__/y;
markdown.inline.ruler.before("emphasis", "dunder", (state, silent) => {
  const { src, pos } = state;
  DUNDER.lastIndex = pos;
  const name = src[pos] === "_" && DUNDER.exec(src)?.[0];
  if (!name || !(/[/.\\]/.test(src[pos - 1] ?? "") || /[.(]\w|\(/y.test(src.slice(pos + name.length)))) return false;
  if (!silent) state.pending += name;
  state.pos += name.length;
  return true;
});
const plainLink = markdown.renderer.rules.link_open ?? ((tokens, at, options, _, self) => self.renderToken(tokens, at, options));
markdown.renderer.rules.link_open = (tokens, at, ...rest) => {
  tokens[at].attrSet("target", "_blank");
  tokens[at].attrSet("rel", "noopener noreferrer nofollow");
  return plainLink(tokens, at, ...rest);
};

/** Longest text rendered as markdown; longer text is shown as it is. */
const MAX_CHARS = 60_000;
const FIRST_CHARS = 8_000;

/** Text as markdown or as it is, long text cut with a button to see the rest. */
export function textBlock(text, mode) {
  const box = h("div", { class: "tl-text" });
  const fill = (shown) => {
    if (mode === "markdown" && shown.length <= MAX_CHARS) {
      const body = h("div", { class: "tl-md" });
      body.innerHTML = markdown.render(shown); // made by markdown-it with html off
      box.replaceChildren(body);
    } else box.replaceChildren(h("pre", { class: "tl-pre" }, shown));
  };
  if (text.length <= FIRST_CHARS * 1.5) fill(text);
  else {
    fill(text.slice(0, FIRST_CHARS));
    const rest = (text.length - FIRST_CHARS).toLocaleString("en");
    box.append(
      h("button", { class: "tl-more", type: "button", on: { click: () => fill(text) } }, `Show ${rest} more characters`),
    );
  }
  return box;
}
