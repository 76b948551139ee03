// What the editor can do, and how it looks in the theme in force.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json, jsonLanguage } from "@codemirror/lang-json";
import { markdown, markdownLanguage } from "@codemirror/lang-markdown";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  MatchDecorator,
  ViewPlugin,
  drawSelection,
  highlightSpecialChars,
  keymap,
  placeholder,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

/** The same names as `tracelake.playground.variables` takes. */
const VARIABLE = /\{\{\s*[A-Za-z_][\w.-]*\s*\}\}/g;
/** One paragraph of Markdown is parsed anew at each key in it, however long it is. */
const HIGHLIGHTED_MAX = 60_000;
const marker = new MatchDecorator({
  regexp: VARIABLE,
  decoration: Decoration.mark({ class: "tl-variable" }),
});
const variables = ViewPlugin.define(
  (view) => ({
    decorations: marker.createDeco(view),
    update(change) {
      this.decorations = marker.updateDeco(change, this.decorations);
    },
  }),
  { decorations: (plugin) => plugin.decorations },
);

/** Extensions that stay the same while a text is shown. */
export function fixed(data, { submit, leave }) {
  const keys = Prec.highest(
    keymap.of([{ key: "Mod-Enter", run: () => (submit(), true), stopPropagation: true }]),
  );
  return [
    keys,
    history(),
    drawSelection(),
    // what has no shape, or turns the order of others, shows as a dot that says which it is
    highlightSpecialChars(),
    bracketMatching(),
    keymap.of([...defaultKeymap, ...historyKeymap]),
    EditorView.lineWrapping,
    EditorState.tabSize.of(2),
    EditorView.contentAttributes.of({ "aria-label": data.label, spellcheck: "false" }),
    EditorView.domEventHandlers({ blur: () => (leave(), false) }),
    data.placeholder ? placeholder(data.placeholder) : [],
    variables,
  ];
}

/** The grammar of a text: `json`, else Markdown; none where parsing would be felt at each key. */
export function language(name, length) {
  if (length > HIGHLIGHTED_MAX) return [];
  if (name === "json") return json();
  const fenced = (info) => (info.trim().startsWith("json") ? jsonLanguage : null);
  return markdown({ base: markdownLanguage, codeLanguages: fenced, completeHTMLTags: false });
}

/** Colours for a theme as `readTheme` reads it. */
export function look({ dark }) {
  const [string, number, key, quiet] = dark
    ? ["#86efac", "#fbbf24", "#93c5fd", "#94a3b8"]
    : ["#15803d", "#b45309", "#1d4ed8", "#64748b"];
  const style = HighlightStyle.define([
    { tag: tags.heading, fontWeight: "650" },
    { tag: tags.strong, fontWeight: "650" },
    { tag: tags.emphasis, fontStyle: "italic" },
    { tag: [tags.monospace, tags.string], color: string },
    { tag: [tags.number, tags.bool, tags.null], color: number },
    { tag: [tags.propertyName, tags.link, tags.url, tags.tagName], color: key },
    { tag: [tags.processingInstruction, tags.meta, tags.quote, tags.comment], color: quiet },
  ]);
  return [EditorView.theme({}, { dark }), syntaxHighlighting(style)];
}
