// A text editor for prompts: Markdown or JSON, {{variables}} marked, Ctrl+Enter to submit.
//
// Told by `data`: id, value and revision (the text is taken anew when the revision changes, and at
// no other time, so that what is being typed is never overwritten; `value` is the text at the start
// of the revision), language, label, placeholder, height. Tells `value` ({ revision, text }) shortly after the last key and on leaving, and
// `submit` on Ctrl+Enter.

import { EditorState, Compartment } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { fixed, language, look } from "./extensions.js";
import { readTheme, watchTheme } from "../shared/theme.js";

/** So long after the last key the text goes to Python. */
const PAUSE_MS = 300;
/** What was told to Python, by editor: an editor put back on the page shows that. */
const told = new Map();

class Editor {
  constructor(place, data) {
    this.place = place;
    this.theme = new Compartment();
    this.timer = null;
    this.probe = document.createElement("span");
    place.append(this.probe);
    this.view = new EditorView({ parent: place, root: place.getRootNode() });
    this.load(data);
    this.unwatch = watchTheme(this.probe, () => this.recolour());
  }

  /** Show another text; the undo history starts over with it. */
  load(data) {
    clearTimeout(this.timer);
    this.id = data.id;
    this.revision = data.revision;
    const known = told.get(data.id);
    this.sent = known?.revision === data.revision ? known.text : data.value;
    const typed = EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.commit(), PAUSE_MS);
    });
    this.view.setState(
      EditorState.create({
        doc: this.sent,
        extensions: [
          fixed(data, { submit: () => this.submit(), leave: () => this.commit() }),
          language(data.language, this.sent.length),
          typed,
          this.theme.of(look(readTheme(this.place))),
        ],
      }),
    );
  }

  recolour() {
    this.view.dispatch({ effects: this.theme.reconfigure(look(readTheme(this.place))) });
  }

  commit() {
    clearTimeout(this.timer);
    const text = this.view.state.doc.toString();
    if (text === this.sent) return;
    this.sent = text;
    told.set(this.id, { revision: this.revision, text });
    this.tell.setStateValue("value", { revision: this.revision, text });
  }

  submit() {
    this.commit();
    this.tell.setTriggerValue("submit", true);
  }

  destroy() {
    clearTimeout(this.timer);
    this.unwatch();
    this.view.destroy();
    this.probe.remove();
  }
}

/** Called by Streamlit on every run of the page, with the same parent for the same key. */
export default function render({ data, parentElement, setStateValue, setTriggerValue }) {
  const place = parentElement.querySelector(".tl-editor");
  place.style.setProperty("--tl-height", data.height);
  const editor = (parentElement.tlEditor ??= new Editor(place, data));
  editor.tell = { setStateValue, setTriggerValue };
  if (editor.revision !== data.revision) editor.load(data);
  return () => {
    editor.destroy();
    parentElement.tlEditor = null;
  };
}
