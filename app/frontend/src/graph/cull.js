// What is far from the window costs nothing until it comes near, so that a graph of thousands of
// elements opens, grows and is pointed at as fast as a small one.
//
// Cytoscape styles, measures and sorts every element before the first frame, and again whatever
// changed. Here elements are put in order without their styles, those near the window are worked
// out before they are drawn, and the others whenever the page has nothing else to do.

const FEW = 200; // elements: fewer are worked out at once
/** Half the size of the largest node with its marks, and the name beside an agent. */
const [NODE_X, NODE_Y, NAME] = [100, 44, 240];
/** How far an edge bends out of the box of its ends. */
const BEND = 110;
/** Room around the window in which elements count as near, pixels of the screen. */
const ROOM = 400;
const SLICE = 12; // elements worked out between two looks at the clock
const SPARE_MS = 4;
const SOON_MS = 500;

// Safari has had no requestIdleCallback for long: a moment later does there
const hasIdle = "requestIdleCallback" in globalThis;
const whenIdle = hasIdle
  ? (work) => requestIdleCallback(work, { timeout: SOON_MS })
  : (work) => setTimeout(work, SPARE_MS, { timeRemaining: () => 0 });
const noLonger = hasIdle ? (handle) => cancelIdleCallback(handle) : clearTimeout;

export class Cull {
  constructor(cy) {
    this.cy = cy;
    this.renderer = cy.renderer();
    this.dirty = new Set();
    this.boxes = null;
    this.hasNews = this.isBusy = false;
    this.takeOver();
  }

  takeOver() {
    const { cy, renderer } = this;
    for (const { target, args } of renderer.bindings)
      if (target === cy && /^(bounds|style)\./.test(args[0])) cy.off(...args);
    cy.on("bounds dirty", ({ target }) => this.take(target, true));
    cy.on("style background", ({ target }) => this.take(target, false));
    cy.on("select unselect", () => renderer.invalidateCachedZSortedEles()); // the chosen one is drawn last
    const { beforeRenderCallbacks: callbacks, beforeRenderPriorities: priorities } = renderer;
    callbacks.find(({ priority }) => priority === priorities.eleCalcs).fn = (draws) => draws && this.workOut();
    renderer.flushRenderedStyleQueue = () => this.workOut();
    renderer.getCachedZSortedEles = (anew) => {
      if (anew || !renderer.cachedZSortedEles) this.sort();
      return renderer.cachedZSortedEles;
    };
    skipFirstTriggers(cy);
  }

  take(element, isDirty) {
    if (element === this.cy) return;
    this.dirty.add(element);
    this.hasNews = true;
    if (!isDirty) return;
    const { rstyle } = element[0]._private;
    rstyle.clean = rstyle.cleanConnected = false;
  }

  /** Edges, nodes, the chosen node: the order in which they are drawn. */
  sort() {
    const { cy, renderer } = this;
    const [edges, nodes, chosen] = [[], [], []];
    for (const element of cy.mutableElements().toArray())
      (element.isEdge() ? edges : element.selected() ? chosen : nodes).push(element);
    const sorted = [...edges, ...nodes, ...chosen];
    // only what is near can be pointed at
    Object.defineProperty(sorted, "interactive", {
      get: () => this.near(sorted, cy.extent()).filter((element) => element.interactive()),
    });
    renderer.cachedZSortedEles = sorted;
    renderer.updateCachedGrabbedEles();
  }

  /** A node was moved: the boxes by which `near` goes are old. */
  moved() {
    this.boxes = null;
  }

  /** Those of some elements that may be seen in a box, in the same order. */
  near(elements, window) {
    if (elements.length < FEW) return elements;
    if (this.boxes?.of !== elements) this.boxes = { of: elements, at: boxesOf(elements) };
    const { at } = this.boxes;
    return elements.filter((_, index) => isIn(window, at, index * 4));
  }

  /** Work out what changed and is near; the rest follows when there is time. */
  workOut() {
    const { cy, dirty } = this;
    if (!dirty.size) return;
    const changed = [...dirty].filter((element) => !element.removed());
    if (changed.length < FEW) return this.calculate(changed);
    const seen = cy.extent();
    const looked = `${seen.x1} ${seen.y1} ${cy.zoom()}`;
    if (!this.hasNews && looked === this.looked) return;
    this.looked = looked;
    const room = ROOM / cy.zoom();
    const window = { x1: seen.x1 - room, y1: seen.y1 - room, x2: seen.x2 + room, y2: seen.y2 + room };
    const boxes = boxesOf(changed);
    this.calculate(changed.filter((_, index) => isIn(window, boxes, index * 4)));
    this.hasNews = false;
    this.later();
  }

  /** Work some elements out. What they tell meanwhile is known here: nothing is drawn anew for it. */
  calculate(elements) {
    this.isBusy = true;
    try {
      this.settle(elements);
    } finally {
      this.isBusy = false;
    }
  }

  settle(elements) {
    const { cy, renderer, dirty } = this;
    const list = new Set(elements);
    for (const element of elements) {
      if (element.removed()) continue;
      element.cleanStyle();
      const { rstyle } = element[0]._private;
      if (!element.isNode() || rstyle.cleanConnected) continue;
      element.connectedEdges().forEach((edge) => {
        this.take(edge, true);
        list.add(edge);
      });
      rstyle.cleanConnected = true;
    }
    const changed = cy.collection([...list].filter((element) => !element.removed()));
    changed.cleanStyle();
    for (const tell of renderer.onUpdateEleCalcsFns ?? []) tell(true, changed);
    renderer.recalculateRenderedStyle(changed);
    for (const element of list) dirty.delete(element);
  }

  later() {
    if (this.idle || !this.dirty.size) return;
    this.idle = whenIdle((deadline) => this.workAhead(deadline));
  }

  workAhead(deadline) {
    this.idle = null;
    if (this.cy.destroyed()) return;
    do {
      const some = [];
      for (const element of this.dirty) {
        some.push(element);
        if (some.length === SLICE) break;
      }
      this.calculate(some);
    } while (this.dirty.size && deadline.timeRemaining() > SPARE_MS);
    this.later();
  }

  stop() {
    noLonger(this.idle);
  }
}

/** Boxes around elements from their places alone, without a style: x1, y1, x2, y2 one after the other. */
function boxesOf(elements) {
  const boxes = new Float64Array(elements.length * 4);
  elements.forEach((element, index) => {
    const i = index * 4;
    if (element.isNode()) {
      const { x, y } = element.position();
      boxes.set([x - NODE_X, y - NODE_Y, x + NAME, y + NODE_Y], i);
      return;
    }
    const [from, to] = [element.source().position(), element.target().position()];
    boxes[i] = Math.min(from.x, to.x) - BEND;
    boxes[i + 1] = Math.min(from.y, to.y) - BEND;
    boxes[i + 2] = Math.max(from.x, to.x) + BEND;
    boxes[i + 3] = Math.max(from.y, to.y) + BEND;
  });
  return boxes;
}

function isIn({ x1, y1, x2, y2 }, boxes, i) {
  return boxes[i] < x2 && boxes[i + 2] > x1 && boxes[i + 1] < y2 && boxes[i + 3] > y1;
}

/**
 * An element's first style changes dozens of its properties, and for each Cytoscape tells that its
 * bounds changed, which was told when it was added. Only how parallel edges bend still matters.
 */
function skipFirstTriggers(cy) {
  const styles = Object.getPrototypeOf(cy.style());
  if (styles.tellsOnce) return;
  styles.tellsOnce = true;
  const { checkTriggers } = styles;
  styles.checkTriggers = function (element, name, from, to) {
    if (element[0]._private.appliedInitStyle || name === "curve-style") checkTriggers.call(this, element, name, from, to);
  };
}
