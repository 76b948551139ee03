// Going from node to node: in order of time, from error to error, through what a search found.

const ANSWER = /:response$/;

export class Walk {
  /**
   * @param view The drawing.
   * @param current Gives the id of the chosen node.
   * @param onHits Called with how many nodes a search found, null without a search.
   */
  constructor(view, current, onHits) {
    Object.assign(this, { view, current, onHits, hits: [], text: "" });
  }

  /** Forget the search. */
  clear() {
    this.find("");
  }

  inOrder() {
    return this.view.cy
      .nodes('[type!="response"][type!="stack"]')
      .sort((a, b) => (a.data("start_ms") ?? 0) - (b.data("start_ms") ?? 0) || a.data("y") - b.data("y"))
      .toArray();
  }

  step(by) {
    const nodes = this.inOrder();
    if (!nodes.length) return;
    const span = this.current()?.replace(ANSWER, "");
    const at = nodes.findIndex((node) => node.id() === span);
    const next = at < 0 ? (by > 0 ? 0 : nodes.length - 1) : Math.min(Math.max(at + by, 0), nodes.length - 1);
    this.go(nodes[next]);
  }

  /** The first error, and on each further press the next one. */
  firstError() {
    const failed = this.inOrder().filter((node) => node.data("status") === "error");
    if (!failed.length) return;
    const at = failed.findIndex((node) => node.id() === this.current());
    this.go(failed[(at + 1) % failed.length]);
  }

  find(text) {
    this.look(text);
    this.hit = -1;
    if (this.hits.length) this.nextHit(1, { tell: false });
  }

  /** There is news: search it as well, without going anywhere. */
  findAgain() {
    if (this.text) this.look(this.text);
  }

  look(text) {
    this.text = text.trim();
    this.hits = this.view.find(this.text);
    this.onHits(this.text ? this.hits.length : null);
  }

  nextHit(step, { tell = true } = {}) {
    if (!this.hits.length) return;
    this.hit = (this.hit + step + this.hits.length) % this.hits.length;
    if (tell) this.go(this.hits[this.hit]);
    else this.view.reveal(this.hits[this.hit]);
  }

  go(node) {
    this.view.select(node.id(), { tell: true, show: true });
  }
}
