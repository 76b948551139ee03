// Stacks: many calls of one agent in one node. Its calls are out of sight until it is opened into a
// column of its own, right of all lanes, so that nothing else moves; one is open at a time.
//
// Members are told with places relative to that column. An edge between a member and the rest of
// the graph is drawn to and from the stack.

const GAP = 60;
const ABOVE_CALLS = 44;
const LINK = "open:";

export class Stacks {
  /** @param lanes `Lanes`: the open stack's column gets a band and a header like a lane's. */
  constructor(cy, lanes) {
    this.cy = cy;
    this.lanes = lanes;
    this.opened = null;
    this.origin = { x: 0, y: 0 };
  }

  clear() {
    this.opened = null;
  }

  /** Whether a node is out of sight because its stack is not open. */
  hides(data) {
    return Boolean(data.stack) && data.stack !== this.opened;
  }

  /** Where a node stands in the lanes. */
  place({ stack, x, y }) {
    return stack && stack === this.opened ? { x: x + this.origin.x, y: y + this.origin.y } : { x, y };
  }

  /** What an edge to or from a node of another stack, or of none, ends at. */
  standIn({ id, stack }) {
    return stack ?? id;
  }

  /** Open a stack, or close it when it is open; null closes what is open. */
  toggle(id) {
    const before = this.opened;
    this.opened = id === before ? null : id;
    const { cy } = this;
    cy.batch(() => {
      if (before) {
        cy.edges(`[id ^= "${LINK}"]`).remove();
        this.membersOf(before).addClass("folded");
        this.lanes.remove(before);
      }
      if (!this.opened) return;
      this.settle();
      this.membersOf(this.opened).removeClass("folded");
    });
  }

  /** Keep the open stack's column right of the lanes and as long as it has to be. */
  settle() {
    const node = this.cy.getElementById(this.opened ?? "");
    if (node.empty()) return;
    const data = node.data();
    const edge = Math.max(...[...this.lanes.lanes.values()].filter((lane) => !lane.data.stack).map(({ data: lane }) => lane.x + lane.width));
    const origin = { x: edge + GAP - data.left, y: data.y - ABOVE_CALLS };
    this.origin = origin;
    this.membersOf(data.id).forEach((member) => {
      member.position(this.place(member.data()));
    });
    this.lanes.put({
      ...data, stack: true, name: `${data.agent}, ${data.label}`, head: data.id, caller: null, depth: 0,
      x: origin.x + data.left, y: origin.y,
    });
    const first = this.membersOf(data.id).first();
    const link = `${LINK}${data.id}`;
    if (first.nonempty() && this.cy.getElementById(link).empty())
      this.cy.add({ group: "edges", data: { id: link, source: data.id, target: first.id(), type: "opened" }, selectable: false });
  }

  membersOf(id) {
    return this.cy.nodes().filter((node) => node.data("stack") === id);
  }
}
