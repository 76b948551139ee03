// The detail panel of one span. Folding, modes and copying need no server.

import { h } from "../../shared/dom.js";
import { asCurl, asPython, copyButton } from "./copy.js";
import { jsonBlock } from "./json.js";
import { putChildren } from "./keyed.js";
import { textBlock } from "./markdown.js";
import { looksLikeJson, plainText, prettyJson, turnBlock } from "./turns.js";

/** What a status is called, as on every page. */
const STATUS = { ok: "done", error: "failed" };
const kept = { tab: "conversation", mode: "markdown" };

export class Detail {
  /** @param act Called with playground, replay or close. */
  constructor(root, act) {
    this.root = root;
    this.act = act;
  }

  /** A node was chosen: say what is known of it until its document arrives. */
  announce(node) {
    if (this.document?.id === node.span_id) return;
    this.document = this.version = null;
    this.root.replaceChildren(
      h(
        "div",
        { class: "tl-title" },
        h("i", { class: `tl-kind ${node.type === "response" ? "llm" : (node.type ?? "")}` }),
        h("h3", {}, node.label ?? ""),
        node.status ? h("span", { class: `tl-status ${node.status}` }, node.status) : null,
        this.closeButton(),
      ),
      h("p", { class: "tl-none tl-wait" }, "Reading…"),
    );
  }

  /** What was asked for is not there. */
  missing() {
    this.document = this.version = null;
    this.root.replaceChildren(
      h("div", { class: "tl-title" }, h("h3", {}, "No such span"), this.closeButton()),
      h("p", { class: "tl-none" }, "This run has no span of that id yet. It is shown here once it has."),
    );
  }

  closeButton() {
    const close = { click: () => this.act("close") };
    return h("button", { class: "tl-close", type: "button", title: "Close ( Esc )", "aria-label": "Close", on: close }, "×");
  }

  /** Show a document; the same one again leaves folds and scrolling alone. */
  show(document, actions) {
    const version = JSON.stringify(document);
    if (version === this.version) return;
    const isSame = this.document?.id === document.id;
    const at = isSame ? this.root.scrollTop : 0;
    if (!isSame) this.folds = new Map();
    Object.assign(this, { version, document, actions });
    this.draw();
    this.root.scrollTop = at;
  }

  /** Draw anew what changed: the rest stays as it is opened, scrolled, marked and pressed. */
  draw() {
    const { document: doc } = this;
    const names = tabsOf(doc);
    this.tab = names.some(([name]) => name === kept.tab) ? kept.tab : names[0][0];
    const has = [Boolean(doc.body && doc.endpoint), Boolean(doc.result)];
    const page = `${doc.id} ${this.tab}`;
    putChildren(this.root, [
      [text("header", doc.id, doc.title, doc.agent, doc.kind, doc.role, doc.status, has, this.actions), () => this.header()],
      [text("facts", doc.facts), () => facts(doc)],
      ...(doc.error ? [[text("error", doc.error), () => errorCard(doc.error)]] : []),
      ...(doc.evidence ? [[text("evidence", doc.evidence), () => evidenceLine(doc.evidence)]] : []),
      [text("tabs", names, this.tab, kept.mode), () => this.tabs(names)],
      [page, () => h("div", { class: "tl-page" })],
    ]);
    putChildren(this.root.lastChild, this.page());
  }

  header() {
    const { document: doc, actions } = this;
    const type = doc.kind === "agent" && doc.role === "orchestrator" ? "orchestrator" : doc.kind;
    return h(
      "header",
      {},
      h(
        "div",
        { class: "tl-title" },
        h("i", { class: `tl-kind ${type}` }),
        h("h3", { title: doc.title }, doc.title),
        h("span", { class: "tl-agent", title: doc.agent ?? "" }, doc.agent === doc.title ? "" : (doc.agent ?? "")),
        h("span", { class: `tl-status ${doc.status}` }, STATUS[doc.status] ?? doc.status),
        this.closeButton(),
      ),
      h(
        "div",
        { class: "tl-actions" },
        actions.playground && doc.kind === "llm" ? h("button", { class: "tl-act primary", type: "button", on: { click: () => this.act("playground") } }, "Edit prompt") : null,
        actions.replay && ["llm", "agent", "tool"].includes(doc.kind) ? h("button", { class: "tl-act", type: "button", on: { click: () => this.act("replay") } }, "Rerun from here") : null,
        h("span", { class: "tl-copies", role: "group", "aria-label": "Copy" }, h("span", {}, "Copy"), ...this.copies()),
      ),
    );
  }

  /** Each copies the document as it is when it is pressed. */
  copies() {
    const { document: doc } = this;
    const hasCall = doc.body && doc.endpoint;
    return [
      doc.kind === "llm" || doc.result ? copyButton("Text", () => asText(this.document)) : null,
      copyButton("JSON", () => JSON.stringify(whole(this.document), null, 2)),
      hasCall ? copyButton("Python", () => asPython(this.document)) : null,
      hasCall ? copyButton("cURL", () => asCurl(this.document)) : null,
      copyButton("Link", () => link(this.document)),
    ];
  }

  tabs(names) {
    const choose = (key, value) => () => {
      kept[key] = value;
      this.draw();
    };
    const tab = ([name, label]) =>
      h("button", { class: name === this.tab ? "on" : "", type: "button", role: "tab", "aria-selected": String(name === this.tab), on: { click: choose("tab", name) } }, label);
    const mode = (name, label) =>
      h("button", { class: name === kept.mode ? "on" : "", type: "button", on: { click: choose("mode", name) } }, label);
    const hasModes = this.tab === "conversation";
    return h(
      "nav",
      { class: "tl-tabs", role: "tablist" },
      ...names.map(tab),
      h("span", { class: "tl-gap" }),
      hasModes ? h("span", { class: "tl-modes" }, mode("markdown", "Rendered"), mode("text", "Raw")) : null,
    );
  }

  /** The children of the page that is chosen, by key. */
  page() {
    const { document: doc } = this;
    switch (this.tab) {
      case "conversation":
        return conversation(doc, this.folds);
      case "tools":
        return doc.tools.map((tool, at) => [text(at, tool), () => toolBlock(tool)]);
      case "request":
        return [[text(doc.body), () => jsonBlock(doc.body)]];
      case "result":
        return toolCall(doc);
      case "json":
        return [[this.version, () => jsonBlock(whole(doc))]];
      default:
        return [note("Its calls are in its lane.")];
    }
  }
}

/** The key of a child: all that it shows. */
const text = (...parts) => JSON.stringify(parts);

function note(words, waits = false) {
  return [text(words), () => h("p", { class: waits ? "tl-none tl-wait" : "tl-none" }, words)];
}

function tabsOf(doc) {
  const names = [];
  if (doc.kind === "llm") names.push(["conversation", `Conversation ${doc.turns.length + (doc.answer ? 1 : 0)}`]);
  else if (doc.kind === "tool" || doc.parameters !== null || doc.result !== null) names.push(["result", "Call"]);
  else if (doc.turns.length) names.push(["conversation", "Task and answer"]);
  else names.push(["about", "About"]);
  if (doc.tools.length) names.push(["tools", `Tools ${doc.tools.length}`]);
  if (doc.body) names.push(["request", "Request"]);
  names.push(["json", "JSON"]);
  return names;
}

/** `folds` keeps which turns the reader opened and closed. */
function conversation(doc, folds) {
  const resent = doc.turns.filter((turn) => turn.resent);
  const fresh = doc.turns.filter((turn) => !turn.resent);
  const last = fresh.at(-1);
  const fold = (turn, label = null) => {
    const isOpen = turn === doc.answer || (turn === last && turn.role !== "system");
    const at = doc.turns.indexOf(turn); // -1 for the answer
    return remembered(folds, at, (open) => turnBlock(turn, { open: open ?? isOpen, mode: kept.mode, label }));
  };
  const keyed = (turn) => [text(doc.turns.indexOf(turn), kept.mode, turn), () => fold(turn)];
  const blocks = [];
  if (resent.length > 1) {
    const group = (open) => {
      const inner = h("div", {});
      const fill = () => inner.hasChildNodes() || inner.append(...resent.map((turn) => fold(turn)));
      const box = h("details", { class: "tl-resent", open: Boolean(open) }, h("summary", {}, `${resent.length} messages sent before`), inner);
      if (open) fill();
      box.addEventListener("toggle", fill);
      return box;
    };
    const head = fresh.filter((turn) => turn.role === "system" && doc.turns.indexOf(turn) < doc.turns.indexOf(resent[0]));
    const rest = fresh.filter((turn) => !head.includes(turn));
    blocks.push(...head.map(keyed), [text("resent", kept.mode, resent), () => remembered(folds, "resent", group)], ...rest.map(keyed));
  } else blocks.push(...doc.turns.map(keyed));
  if (doc.answer) blocks.push([text("answer", kept.mode, doc.answer), () => fold(doc.answer, "Answer")]);
  else if (doc.status === "running") blocks.push(note("Waiting for the answer…", true));
  return blocks;
}

/** A foldable block that is built as the reader left it. */
function remembered(folds, at, build) {
  const box = build(folds.get(at));
  box.addEventListener("toggle", () => folds.set(at, box.open));
  return box;
}

function toolCall(doc) {
  const section = (title, ...content) => h("section", {}, h("h4", {}, title), ...content);
  const blocks = [];
  if (doc.parameters !== null) blocks.push([text("Parameters", doc.parameters), () => section("Parameters", jsonBlock(doc.parameters))]);
  if (doc.result !== null)
    blocks.push([
      text("Result", doc.result),
      () => section("Result", looksLikeJson(doc.result) ? jsonBlock(prettyJson(doc.result)) : textBlock(doc.result, "text")),
    ]);
  else if (doc.status === "running") blocks.push(note("Still running…", true));
  else if (!blocks.length) blocks.push(note("Neither parameters nor a result were recorded."));
  return blocks;
}

function asText(doc) {
  return [...doc.turns.map((turn) => `## ${turn.role}\n\n${plainText(turn)}`), doc.answer ? `## answer\n\n${plainText(doc.answer)}` : null, doc.result]
    .filter(Boolean)
    .join("\n\n");
}

function toolBlock(tool) {
  return h(
    "details",
    { class: "tl-turn tool" },
    h("summary", {}, h("span", { class: "tl-role" }, tool.name), h("span", { class: "tl-preview" }, tool.description.slice(0, 160))),
    h("div", { class: "tl-turn-body" }, tool.description ? textBlock(tool.description, "markdown") : null, tool.schema ? jsonBlock(tool.schema) : null),
  );
}

function facts(doc) {
  return h(
    "dl",
    { class: "tl-facts" },
    ...doc.facts.map(([label, value, hint]) => h("div", { title: hint }, h("dt", {}, label), h("dd", {}, value))),
  );
}

function errorCard(error) {
  return h(
    "div",
    { class: "tl-error", role: "alert" },
    h("b", {}, error.type),
    h("pre", {}, error.text),
    copyButton("copy", () => `${error.type}: ${error.text}`, "tl-copy"),
  );
}

function evidenceLine({ source, confidence }) {
  const sure = confidence === null || confidence === undefined ? "" : `, ${Math.round(confidence * 100)} % sure`;
  return h("p", { class: "tl-evidence" }, `Inferred${source ? ` from ${source}` : ""}${sure}`);
}

function whole(doc) {
  const { span, body, parameters, result, answer } = doc;
  return { ...span, ...(body && { request: body }), ...(answer && { answer: plainText(answer) }), ...(parameters !== null && { parameters }), ...(result !== null && { result }) };
}

function link(doc) {
  const url = new URL(location.href);
  url.searchParams.set("trace", doc.trace);
  url.searchParams.set("span", doc.id);
  return url.href;
}
