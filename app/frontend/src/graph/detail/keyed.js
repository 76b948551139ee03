// Elements that stay while what they show stays: whoever reads, selects or presses there is left alone.

/**
 * Give a parent these children, in order; those it has of the same key stay as they are.
 *
 * @param wanted Pairs of a key, text that says all a child shows, and a function that builds it.
 */
export function putChildren(parent, wanted) {
  const before = new Map([...parent.children].map((child) => [child.tlKey, child]));
  const kept = new Set(wanted.map(([key]) => before.get(key)));
  for (const child of [...parent.childNodes]) if (!kept.has(child)) child.remove();
  let next = parent.firstChild;
  for (const [key, build] of wanted) {
    const known = before.get(key);
    before.delete(key);
    if (known && known === next) {
      next = next.nextSibling;
      continue;
    }
    const child = known ?? build();
    child.tlKey = key;
    parent.insertBefore(child, next);
  }
}
