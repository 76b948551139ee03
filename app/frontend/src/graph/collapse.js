// Collapsed agents: only the agent itself stays, its calls and whoever it called go out of sight.
// Nothing moves; an edge to or from what is hidden ends at the agent instead.

const STAND_IN = "fold:";
const BELOW_HEAD = 40;
const FOLDED_WIDTH = 232;
const ROUTES = new Set(["across", "back"]);

export class Collapse {
  /**
   * @param lanes The lanes as `Lanes` keeps them, by id.
   * @param stacks `Stacks`: what is hidden there, and what stands for it.
   */
  constructor(cy, lanes, stacks) {
    this.cy = cy;
    this.lanes = lanes;
    this.stacks = stacks;
    this.ids = new Set();
  }

  clear() {
    this.ids.clear();
  }

  toggle(id) {
    const lane = this.lanes.get(id);
    if (!lane?.data.head) return;
    if (!this.ids.delete(id)) this.ids.add(id);
    this.refresh();
  }

  /** Collapse every agent that another one called, or, when some are collapsed, expand all. */
  toggleAll() {
    const called = [...this.lanes.values()].filter(({ data }) => data.caller && data.head);
    if (this.ids.size) this.ids.clear();
    else for (const { data } of called) this.ids.add(data.id);
    this.refresh();
  }

  /** Whether a node is out of sight. */
  hides(data) {
    return this.stacks.hides(data) || Boolean(this.cover(data));
  }

  /** Expand and open what hides a node. */
  expose(node) {
    let hidden = false;
    if (this.stacks.hides(node.data())) this.stacks.toggle(node.data("stack"));
    for (let id = this.cover(node.data()); id; id = this.cover(node.data())) {
      this.ids.delete(id);
      hidden = true;
    }
    if (hidden) this.refresh();
  }

  /** The outermost collapsed lane that hides a node; undefined when it is in sight. */
  cover({ id, lane }) {
    let found;
    for (let at = this.lanes.get(lane); at; at = this.lanes.get(at.data.caller)) {
      if (this.ids.has(at.data.id) && at.data.head !== id) found = at.data.id;
    }
    return found;
  }

  /** Hide and show what has to be; cheap while nothing is collapsed. */
  refresh() {
    const { cy } = this;
    if (!this.ids.size && !this.folded) return;
    this.folded = this.ids.size > 0;
    if (this.folded && this.stacks.opened) this.stacks.toggle(null);
    cy.batch(() => {
      cy.edges(`[id ^= "${STAND_IN}"]`).remove();
      cy.nodes().forEach((node) => {
        node.toggleClass("folded", this.hides(node.data()));
      });
      cy.edges().forEach((edge) => this.standIn(edge));
    });
    for (const lane of this.lanes.values()) this.mark(lane);
  }

  /** Draw an edge between what stands for its ends, where that is something else. */
  standIn(edge) {
    const { source, target, type, route, status, inferred } = edge.data();
    const [from, to] = [edge.source(), edge.target()].map((end) => this.shown(end.data()));
    const inOneStack = edge.source().data("stack") === edge.target().data("stack");
    if ((from === source && to === target) || from === to || (inOneStack && !this.folded)) return;
    edge.toggleClass("folded", !inOneStack);
    const id = `${STAND_IN}${from}>${to}`;
    if (this.cy.getElementById(id).nonempty()) return;
    const data = { id, source: from, target: to, type, status, inferred, route: ROUTES.has(route) ? route : "" };
    this.cy.add({ group: "edges", data, selectable: false, classes: edge.hasClass("free") ? "free" : "" });
  }

  /** The node that stands for another one at the ends of edges. */
  shown(data) {
    const cover = this.cover(data);
    return cover ? this.lanes.get(cover).data.head : this.stacks.standIn(data);
  }

  /** Note how a lane is drawn now: `state` open, folded or gone, its height and width. */
  mark(lane) {
    const { data } = lane;
    const above = this.cover({ id: data.head, lane: data.id });
    const isFolded = this.ids.has(data.id);
    lane.state = above ? "gone" : isFolded ? "folded" : "open";
    lane.width = isFolded ? FOLDED_WIDTH : data.width;
    const head = this.cy.getElementById(data.head ?? "");
    lane.height = isFolded && head.nonempty() ? head.position("y") + BELOW_HEAD - data.y : data.height;
  }
}
