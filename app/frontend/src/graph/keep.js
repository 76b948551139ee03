// The graph that lost its place: a page that is interrupted while it runs drops its elements, and
// puts them back when it has run through.

/** How long a graph waits to be put back. */
const KEEP_MS = 20_000;
let waiting = null;

/** The graph that waits, if one does; it waits no more. */
export function adopt() {
  if (!waiting) return null;
  clearTimeout(waiting.timer);
  const { live } = waiting;
  waiting = null;
  return live;
}

/** Keep a graph for a while; one that waited already is ended. */
export function keep(live) {
  adopt()?.destroy();
  waiting = { live, timer: setTimeout(() => adopt()?.destroy(), KEEP_MS) };
}
