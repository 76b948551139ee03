// N and P walk through the differences of the view that is looked at, from anywhere on the page
// where nothing is being typed.

const STEPS = { n: 1, p: -1 };

export class Keys {
  constructor() {
    this.views = new Set();
    this.listener = (event) => this.pressed(event);
  }

  add(view) {
    if (!this.views.size) document.addEventListener("keydown", this.listener);
    this.views.add(view);
  }

  remove(view) {
    this.views.delete(view);
    if (!this.views.size) document.removeEventListener("keydown", this.listener);
  }

  pressed(event) {
    const by = STEPS[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    const [target] = event.composedPath();
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    const view = this.lookedAt(target);
    if (!view) return;
    event.preventDefault();
    view.step(by);
  }

  /** The view with the focus or under the pointer, else the first one that can be seen. */
  lookedAt(target) {
    const seen = [...this.views].filter(({ root, total }) => total && root.offsetParent);
    return (
      seen.find(({ root }) => root.contains(target)) ??
      seen.find(({ root }) => root.matches(":hover")) ??
      seen[0]
    );
  }
}
