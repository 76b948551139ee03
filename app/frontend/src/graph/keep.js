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

/** Note how far anything inside is scrolled: what leaves the page and comes back is at its top. */
export function watchScrolls(root) {
  const noteScroll = ({ target }) => (target.tlScrolled = [target.scrollLeft, target.scrollTop]);
  root.addEventListener("scroll", noteScroll, { capture: true, passive: true });
}

/** Scroll everything inside to where it was before it left the page, once the style of its new place holds. */
export function scrollBack(root, place) {
  const scroll = () => {
    for (const element of root.querySelectorAll("*")) if (element.tlScrolled) element.scrollTo(...element.tlScrolled);
  };
  const style = place.querySelector("link[rel=stylesheet]");
  if (style && !style.sheet) style.addEventListener("load", scroll, { once: true });
  else scroll();
}
