// What is dimmed: nodes of other statuses or agents than the chosen ones, and what had not begun at
// the moment that is looked at.

export class Filter {
  constructor(cy) {
    this.cy = cy;
    this.statuses = null;
    this.agents = null;
    this.moment = null;
  }

  /** A node is new or changed. */
  take(node) {
    if (this.statuses || this.agents) this.apply(node);
    if (this.moment !== null) this.applyMoment(node);
  }

  /** Choose statuses and agents (lists of names; null or empty chooses all of them). */
  choose({ statuses = this.statuses, agents = this.agents }) {
    this.statuses = asSet(statuses);
    this.agents = asSet(agents);
    const { cy } = this;
    cy.batch(() => cy.nodes().forEach((node) => this.apply(node)));
    cy.batch(() => cy.edges().forEach((edge) => this.applyEdge(edge)));
  }

  /** An edge is new: it looks as what it leads to. */
  takeEdge(edge) {
    if (this.statuses || this.agents) this.applyEdge(edge);
    if (this.moment !== null) edge.toggleClass("future", edge.target().hasClass("future"));
  }

  applyEdge(edge) {
    edge.toggleClass("dim", edge.target().hasClass("dim") || (Boolean(this.agents) && edge.source().hasClass("dim")));
  }

  apply(node) {
    const other =
      (this.statuses && !this.statuses.has(node.data("status"))) ||
      (this.agents && !this.agents.has(node.data("agent")));
    node.toggleClass("dim", Boolean(other));
  }

  /** Fade what had not begun at a moment (epoch milliseconds); null for now. */
  setMoment(moment) {
    this.moment = moment;
    this.newest = null;
    this.cy.batch(() => {
      this.cy.nodes().forEach((node) => this.applyMoment(node));
      this.cy.edges().forEach((edge) => {
        edge.toggleClass("future", edge.target().hasClass("future"));
      });
    });
  }

  applyMoment(node) {
    const { start_ms: start, end_ms: end, type } = node.data();
    const begins = type === "response" ? (end ?? start) : start;
    const past = this.moment === null;
    if (!past && start <= this.moment && type !== "response" && type !== "stack" && !(start < this.newest?.data("start_ms")))
      this.newest = node;
    node.toggleClass("future", !past && begins > this.moment);
    node.toggleClass("busy", !past && type !== "response" && start <= this.moment && (end ?? Infinity) > this.moment);
  }
}

function asSet(names) {
  const set = new Set(names ?? []);
  return set.size ? set : null;
}
