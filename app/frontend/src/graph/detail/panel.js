// The detail panel of one span. Folding, modes and copying need no server.

import { h } from "../../shared/dom.js";
import { asCurl, asPython, copyButton } from "./copy.js";
import { jsonBlock } from "./json.js";
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
    const at = this.document?.id === document.id ? this.root.scrollTop : 0;
    Object.assign(this, { version, document, actions });
    this.draw();
    this.root.scrollTop = at;
  }

  draw() {
    const { document: doc } = this;
    this.root.replaceChildren(
      this.header(),
      facts(doc),
      ...[doc.error ? errorCard(doc.error) : null, doc.evidence ? evidenceLine(doc.evidence) : null].filter(Boolean),
      this.tabs(),
      h("div", { class: "tl-page" }, ...this.page()),
    );
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

  copies() {
    const { document: doc } = this;
    const text = () =>
      [...doc.turns.map((turn) => `## ${turn.role}\n\n${plainText(turn)}`), doc.answer ? `## answer\n\n${plainText(doc.answer)}` : null, doc.result]
        .filter(Boolean)
        .join("\n\n");
    return [
      doc.kind === "llm" || doc.result ? copyButton("Text", text) : null,
      copyButton("JSON", () => JSON.stringify(whole(doc), null, 2)),
      doc.body && doc.endpoint ? copyButton("Python", () => asPython(doc)) : null,
      doc.body && doc.endpoint ? copyButton("cURL", () => asCurl(doc)) : null,
      copyButton("Link", () => link(doc)),
    ];
  }

  tabs() {
    const names = tabsOf(this.document);
    if (!names.some(([name]) => name === kept.tab)) this.tab = names[0][0];
    else this.tab = kept.tab;
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

  page() {
    const { document: doc } = this;
    switch (this.tab) {
      case "conversation":
        return conversation(doc);
      case "tools":
        return doc.tools.map(toolBlock);
      case "request":
        return [jsonBlock(doc.body)];
      case "result":
        return toolCall(doc);
      case "json":
        return [jsonBlock(whole(doc))];
      default:
        return [h("p", { class: "tl-none" }, "Its calls are in its lane.")];
    }
  }
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

function conversation(doc) {
  const blocks = [];
  const resent = doc.turns.filter((turn) => turn.resent);
  const fresh = doc.turns.filter((turn) => !turn.resent);
  const last = fresh.at(-1);
  const fold = (turn) => turnBlock(turn, { open: turn === last && turn.role !== "system", mode: kept.mode });
  if (resent.length > 1) {
    const inner = h("div", {});
    const group = h("details", { class: "tl-resent" }, h("summary", {}, `${resent.length} messages sent before`), inner);
    group.addEventListener("toggle", () => inner.hasChildNodes() || inner.append(...resent.map(fold)));
    const head = fresh.filter((turn) => turn.role === "system" && doc.turns.indexOf(turn) < doc.turns.indexOf(resent[0]));
    blocks.push(...head.map(fold), group, ...fresh.filter((turn) => !head.includes(turn)).map(fold));
  } else blocks.push(...doc.turns.map(fold));
  if (doc.answer) blocks.push(turnBlock(doc.answer, { open: true, mode: kept.mode, label: "Answer" }));
  else if (doc.status === "running") blocks.push(h("p", { class: "tl-none tl-wait" }, "Waiting for the answer…"));
  return blocks;
}

function toolCall(doc) {
  const section = (title, ...content) => h("section", {}, h("h4", {}, title), ...content);
  const blocks = [];
  if (doc.parameters !== null) blocks.push(section("Parameters", jsonBlock(doc.parameters)));
  if (doc.result !== null)
    blocks.push(section("Result", looksLikeJson(doc.result) ? jsonBlock(prettyJson(doc.result)) : textBlock(doc.result, "text")));
  else if (doc.status === "running") blocks.push(h("p", { class: "tl-none tl-wait" }, "Still running…"));
  else if (!blocks.length) blocks.push(h("p", { class: "tl-none" }, "Neither parameters nor a result were recorded."));
  return blocks;
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
