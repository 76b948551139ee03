// A text editor for prompts: Markdown or JSON, {{variables}} marked, Ctrl+Enter to submit.
//
// Told by `data`: id, value and revision (the text is taken anew when the revision changes, and at
// no other time, so that what is being typed is never overwritten; `value` is the text at the start
// of the revision), language, label, placeholder, height. Tells `edit` ({ revision, start, end,
// text }: `text` in the place of what stood from `start` to `end` at the start of the revision, in
// UTF-16 units, so that a long text does not travel at each pause) shortly after the last key and
// on leaving, and `submit` on Ctrl+Enter.

import { ChangeSet, Compartment, EditorState, Transaction } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { span } from "./edited.js";
import { fixed, language, look } from "./extensions.js";
import { isFollowed, tellEdited } from "../shared/edits.js";
import { readTheme, watchTheme } from "../shared/theme.js";

/**
 * So long after the last key the edit goes to Python: soon while a view of the page follows it,
 * else once nobody types, for drawing the page holds up a key that falls into it. That the text is
 * edited is seen at once, at its edge. Leaving the editor and Ctrl+Enter never wait.
 */
const PAUSE_MS = 300;
const REST_MS = 1500;
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
    this.isTold = true;
    const typed = EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      this.changes = this.changes.compose(update.changes);
      this.isTold = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.commit(), isFollowed() ? PAUSE_MS : REST_MS);
      this.mark();
    });
    const start = EditorState.create({
      doc: data.value,
      extensions: [
        // a carriage return is a character of its line, as it is in the text that was recorded
        EditorState.lineSeparator.of("\n"),
        fixed(data, { submit: () => this.submit(), leave: () => this.commit() }),
        language(data.language, data.value.length),
        typed,
        this.theme.of(look(readTheme(this.place))),
      ],
    });
    this.base = start.doc;
    const known = told.get(data.id);
    this.changes =
      known?.revision === data.revision ? known.changes : ChangeSet.empty(start.doc.length);
    const annotations = Transaction.addToHistory.of(false);
    this.view.setState(start.update({ changes: this.changes, annotations }).state);
    this.mark();
  }

  /** Show at its edge whether the text is another one than at the start of its revision. */
  mark() {
    this.place.classList.toggle("tl-edited", !this.view.state.doc.eq(this.base));
  }

  recolour() {
    this.view.dispatch({ effects: this.theme.reconfigure(look(readTheme(this.place))) });
  }

  commit() {
    clearTimeout(this.timer);
    if (this.isTold) return;
    this.isTold = true;
    told.set(this.id, { revision: this.revision, changes: this.changes });
    const edit = span(this.base, this.view.state.doc, this.changes);
    this.tell.setStateValue("edit", { revision: this.revision, ...edit });
    tellEdited();
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
