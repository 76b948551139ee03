// The graph of a trace as a Streamlit component (components v2): one mount over a whole run.
//
// data     {trace, path, token, style, elements? (JSON text), selected, document? (JSON text),
//           actions: {playground, replay}, show, agents, height}
// state    selected: id of a node, "" for none; agents: names of those that stand out, none for all;
//          transport: live | polling; layout: lanes | hierarchy; woken: counts news after a lull
// trigger  action: {page: playground | replay, span}

import { h } from "../shared/dom.js";
import { parseExact } from "../shared/exact.js";
import { readTheme, watchTheme } from "../shared/theme.js";
import { AgentMenu } from "./agents.js";
import { buildFrame, showErrors, showLegend, showState, showTip } from "./chrome.js";
import { Detail } from "./detail/panel.js";
import { adopt, keep, scrollBack, watchScrolls } from "./keep.js";
import { Stream } from "./stream.js";
import { Ticker } from "./ticker.js";
import { Timeline } from "./timeline.js";
import { View } from "./view.js";
import { Walk } from "./walk.js";

const ANSWER = /:response$/;
/** How long a selection rests before the page hears of it: walking through nodes stays fast. */
const TELL_MS = 350;
const ASK_MS = 1500;
/** After so long without news the page looks at its figures now and then only, until told. */
const LULL_MS = 10_000;

/** Viewports by trace, so that coming back to a page finds the same part of the graph. */
const viewports = new Map();
/** How the panels were left. */
const kept = { timeline: true, share: 0.27, side: 0.37 };

class LiveGraph {
  constructor(root) {
    this.root = root;
    root.tabIndex = 0;
    root.setAttribute("aria-label", "Execution graph");
    watchScrolls(root);
    this.agents = new AgentMenu((agents) => this.pickAgents(agents));
    this.parts = buildFrame(root, {
      agents: this.agents.box,
      firstError: () => this.walk.firstError(),
      layout: (layout) => this.setLayout(layout),
      follow: () => this.view.setFollow(!this.view.follow),
      fit: () => this.view.fit(),
      zoom: (factor) => this.view.zoomBy(factor),
      find: (text) => this.walk.find(text),
      nextHit: (step) => this.walk.nextHit(step),
      timeline: () => this.showTimeline(!kept.timeline),
      legend: () => this.showLegend(this.parts.legend.hidden),
      map: () => this.view.minimap.toggle(),
    });
    this.timeline = new Timeline(this.parts.timeline, {
      onSelect: (id) => this.view.select(id, { tell: true, show: true }),
      onMoment: (moment) => this.view?.setMoment(moment),
      isFolded: (row) => this.view.collapse.cover(row),
    });
    this.ticker = new Ticker(this.parts.ticker, (id) => this.view.select(id, { tell: true, show: true }));
    this.view = new View(this.parts.stage, {
      onSelect: (id) => this.selected(id),
      onFollow: (follow) => this.parts.follow.classList.toggle("on", follow),
      onHover: (node) => showTip(this.parts, node),
      onViewport: () => this.viewportMoved(),
      onFold: () => this.timeline.refold(),
    });
    this.walk = new Walk(this.view, () => this.current, (hits) => {
      this.parts.hits.textContent = hits === null ? "" : String(hits);
    });
    this.stream = new Stream({
      onMessage: (message) => this.receive(message),
      onDocument: ({ id, document }) => this.read(id, document),
      onState: (state) => this.connection(state),
    });
    this.detail = new Detail(this.parts.detail, (action) => {
      if (action === "close") this.view.select(null, { tell: true });
      else this.trigger("action", { page: action, span: this.current.replace(ANSWER, "") });
    });
    this.parts.follow.classList.add("on");
    this.parts.lanes.classList.add("on");
    this.showTimeline(kept.timeline);
    this.parts.grip.addEventListener("pointerdown", (event) => this.parts.grip.setPointerCapture(event.pointerId));
    this.parts.grip.addEventListener("pointermove", (event) => event.buttons & 1 && this.resizeTimeline(event));
    const { sideGrip } = this.parts;
    sideGrip.addEventListener("pointerdown", (event) => sideGrip.setPointerCapture(event.pointerId));
    sideGrip.addEventListener("pointermove", (event) => event.buttons & 1 && this.resizeDetail(event));
    this.state = "connecting";
    this.told = [];
    this.unwatch = watchTheme(this.parts.probe, () => this.refreshTheme());
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys);
  }

  /** Called on every rerun of the page. */
  update({ data, setStateValue, setTriggerValue }) {
    this.tell = setStateValue;
    this.trigger = setTriggerValue;
    this.root.style.setProperty("--tl-height", data.height ?? "640px");
    if (!this.table) {
      this.table = data.style;
      this.refreshTheme();
    }
    if (data.trace !== this.trace) this.open(data);
    if (data.path) this.stream.follow(data.path, data.token);
    if (data.elements) this.receive({ ...JSON.parse(data.elements), type: "poll" });
    const show = JSON.stringify(data.show ?? null);
    if (show !== this.show) {
      this.show = show;
      this.view.filter.choose({ statuses: data.show });
    }
    this.takeAgents(data.agents ?? []);
    this.takeSelection(data.selected);
    this.actions = data.actions;
    if (data.document) this.read(data.selected?.replace(ANSWER, ""), parseExact(data.document));
  }

  /** The page's wish for a selection; what it merely repeats of ours is no wish. */
  takeSelection(id) {
    if (id === this.asked) return;
    this.asked = id;
    const echo = this.told.indexOf(id);
    if (echo >= 0) {
      this.told.splice(0, echo + 1);
      return;
    }
    if (id === (this.current ?? null)) return;
    this.current = this.pendingSelection = id;
    this.view.select(id);
    this.showSelection(id);
    this.tell("selected", id ?? "");
  }

  /** The page's wish for the agents that stand out, such as from a link. */
  takeAgents(names) {
    const asked = JSON.stringify(names);
    if (asked === this.agentsAsked) return;
    this.agentsAsked = asked;
    if (this.agentsTold.delete(asked)) return;
    this.agents.pick(names);
    this.view.filter.choose({ agents: names });
  }

  /** The user's own choice of agents; the page keeps it in the URL. */
  pickAgents(names) {
    this.view.filter.choose({ agents: names });
    this.agentsTold.add(JSON.stringify(names));
    this.tell("agents", names);
  }

  open(data) {
    if (this.trace) viewports.set(this.trace, this.view.viewport());
    this.trace = data.trace;
    this.epoch = null;
    this.newsAt = performance.now();
    this.status = "running";
    this.current = this.asked = undefined;
    this.told = [];
    this.agentsTold = new Set();
    this.agentsAsked = undefined;
    clearTimeout(this.telling);
    this.showSelection(null);
    this.view.reset();
    this.agents.clear();
    this.view.filter.choose({ agents: null });
    this.timeline.clear();
    this.ticker.clear();
    this.view.follow = true;
    this.parts.follow.classList.add("on");
    this.view.restored = viewports.get(data.trace) ?? null;
    if (this.view.restored) this.view.setFollow(false);
    showErrors(this.parts, 0);
    this.parts.empty.hidden = false;
    this.show = undefined;
  }

  receive(message) {
    const isAnew = this.epoch && message.epoch !== this.epoch; // the server was restarted
    if (isAnew) {
      this.view.reset({ again: true });
      this.timeline.forget();
      this.ticker.clear();
    }
    this.epoch = message.epoch;
    this.view.apply(message);
    if (isAnew) this.view.select(this.current);
    if (message.type === "snapshot") this.view.painter.afterFrame(() => performance.mark("tracelake:painted"));
    if (message.nodes) this.ticker.apply(message.nodes);
    if (message.nodes?.length) this.wakePage();
    const chosen = this.current?.replace(ANSWER, "");
    if (chosen && message.nodes?.some((node) => node.span_id === chosen)) this.ask();
    else if (chosen && message.lanes?.some(({ head }) => head === chosen)) this.askSoon();
    if (message.nodes?.length) this.timeline.apply(message.nodes, (node) => this.view.lanes.depth(node));
    if (message.lanes?.length) this.agents.show([...this.view.lanes.lanes.values()].map(({ data }) => data).filter((lane) => !lane.stack));
    if (message.status) this.status = message.status;
    const count = this.view.cy.nodes().length;
    this.parts.empty.hidden = count > 0;
    if (message.totals) showErrors(this.parts, message.totals.errors);
    if (this.pendingSelection && this.view.cy.getElementById(this.pendingSelection).nonempty()) {
      this.view.select(this.pendingSelection, { show: true });
      this.showSelection(this.pendingSelection);
      this.pendingSelection = null;
    }
    this.walk.findAgain();
    this.drawState();
  }

  /** There is news: a page that rests is told. */
  wakePage() {
    const now = performance.now();
    if (now - this.newsAt > LULL_MS && this.transport === "live") this.tell("woken", (this.woken = (this.woken ?? 0) + 1));
    this.newsAt = now;
  }

  connection(state) {
    const opened = state === "live" && this.state !== "live";
    this.state = state;
    const transport = { live: "live", unreachable: "polling" }[state];
    if (transport && transport !== this.transport) {
      this.transport = transport;
      this.tell?.("transport", transport);
    }
    if (opened) this.ask();
    if (opened && this.layout === "hierarchy") this.stream.send({ layout: "hierarchy" });
    this.drawState();
  }

  drawState() {
    const over = this.status !== "running";
    this.ticker.show(!over && Boolean(this.epoch));
    this.parts.follow.hidden = over && Boolean(this.epoch);
    const settled = over && (this.state === "live" || this.state === "unreachable");
    const waits = this.state === "live" && this.view.cy.nodes().empty();
    const running = waits ? "waiting" : this.state;
    showState(this.parts, settled ? (this.status === "error" ? "failed" : "done") : running);
  }

  selected(id) {
    if (id !== this.current) {
      this.current = id;
      // The page only keeps the URL: it is told once the user rests on a node.
      clearTimeout(this.telling);
      const rest = this.transport === "polling" ? 0 : TELL_MS;
      this.telling = setTimeout(() => {
        this.told.push(id);
        this.tell("selected", id ?? "");
      }, rest);
    }
    this.showSelection(id);
  }

  /** Take the document of a span in; of one left meanwhile, nothing. */
  read(id, document) {
    if (id !== this.current?.replace(ANSWER, "")) return;
    if (document) this.detail.show(document, this.actions);
    else if (this.view.cy.getElementById(this.current).empty()) this.detail.missing();
  }

  /** Ask for the chosen span. */
  ask() {
    if (this.current) this.stream.send({ span: this.current.replace(ANSWER, "") });
  }

  /** Ask again, now and then, for an agent that goes on: what it did so far is in its panel. */
  askSoon() {
    this.asking ??= setTimeout(() => (this.asking = this.ask()), ASK_MS);
  }

  /** Open or close the panel at the right and mark the row below. */
  showSelection(id) {
    const { detail, sideGrip } = this.parts;
    const opens = Boolean(id) && detail.hidden;
    detail.hidden = sideGrip.hidden = !id;
    detail.style.width = `${kept.side * 100}%`;
    const node = id ? this.view.cy.getElementById(id) : null;
    if (id) this.detail.announce(node.nonempty() ? node.data() : { span_id: id.replace(ANSWER, "") });
    if (opens && node?.nonempty()) this.view.reveal(node, { least: 0 });
    this.timeline.select(id);
    this.root.dataset.selected = id ?? "";
    this.ask();
  }

  resizeDetail(event) {
    const area = this.root.getBoundingClientRect();
    kept.side = Math.min(0.7, Math.max(0.2, (area.right - event.clientX) / area.width));
    this.parts.detail.style.width = `${kept.side * 100}%`;
  }

  setLayout(layout) {
    if (layout === (this.layout ?? "lanes")) return;
    this.layout = layout;
    this.parts.lanes.classList.toggle("on", layout === "lanes");
    this.parts.tree.classList.toggle("on", layout === "hierarchy");
    this.view.setLayout(layout);
    if (!this.stream.send({ layout })) this.tell?.("layout", layout);
  }

  showTimeline(shown) {
    kept.timeline = shown;
    this.parts.timeline.hidden = this.parts.grip.hidden = !shown;
    this.parts.timelineButton.classList.toggle("on", shown);
    this.parts.timeline.style.height = `${kept.share * 100}%`;
    if (shown) this.timeline.draw();
  }

  showLegend(shown) {
    this.parts.legend.hidden = !shown;
    this.parts.legendButton.classList.toggle("on", shown);
  }

  resizeTimeline(event) {
    const area = this.root.getBoundingClientRect();
    kept.share = Math.min(0.7, Math.max(0.12, (area.bottom - event.clientY) / area.height));
    this.parts.timeline.style.height = `${kept.share * 100}%`;
  }

  key(event) {
    const target = event.composedPath()[0];
    const typing =
      target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.root.isConnected) return;
    const act = {
      "/": () => this.parts.search.focus(),
      j: () => this.walk.step(1),
      k: () => this.walk.step(-1),
      e: () => this.walk.firstError(),
      f: () => this.view.fit(),
      l: () => this.setLayout(this.layout === "hierarchy" ? "lanes" : "hierarchy"),
      t: () => this.showTimeline(!kept.timeline),
      c: () => this.view.foldAt(this.current),
      a: () => this.agents.open(true),
      m: () => this.view.minimap.toggle(),
      "?": () => this.showLegend(this.parts.legend.hidden),
      "+": () => this.view.zoomBy(1.3),
      "-": () => this.view.zoomBy(1 / 1.3),
      Escape: () => this.leave(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** Leave what was opened last: the legend, a moment of the past, the chosen span. */
  leave() {
    if (!this.parts.legend.hidden) this.showLegend(false);
    else if (this.timeline.moment !== null) this.timeline.setMoment(null);
    else this.view.select(null, { tell: true });
  }

  viewportMoved() {
    showTip(this.parts, null);
    if (this.trace && this.view.placed) viewports.set(this.trace, this.view.viewport());
  }

  refreshTheme() {
    if (!this.table) return;
    this.theme = readTheme(this.root);
    this.root.classList.toggle("dark", this.theme.dark);
    this.view.setTheme(this.theme, this.table);
    showLegend(this.parts, this.table, this.theme);
  }

  destroy() {
    document.removeEventListener("keydown", this.keys);
    this.unwatch();
    this.agents.destroy();
    this.stream.close();
    this.timeline.destroy();
    this.ticker.stop();
    this.view.destroy();
  }
}

/** How many graphs this page built, and the one that is shown: for measurements. */
function note(live, isNew) {
  const known = (window.tracelakeGraph ??= { mounts: 0 });
  known.mounts += isNew;
  known.live = live;
}

export default function mount(component) {
  const { parentElement } = component;
  let live = parentElement.tlLiveGraph;
  if (!live) {
    const kept = adopt();
    live = kept ?? new LiveGraph(h("div", { class: "tl-graph" }));
    note(live, !kept);
    parentElement.tlLiveGraph = live;
    parentElement.querySelector(".tl-place").replaceChildren(live.root);
    scrollBack(live.root, parentElement);
  }
  live.update(component);
  return () => {
    parentElement.tlLiveGraph = null;
    keep(live);
  };
}
