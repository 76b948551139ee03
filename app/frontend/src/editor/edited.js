// Which stretch of a text was edited.

const HIGH = /[\ud800-\udbff]/;
const LOW = /[\udc00-\udfff]/;

/**
 * The one stretch that holds every change: what stands there now in the place of `start` to `end`
 * of the text before, in UTF-16 units. Half a character cannot be told, so none is ever cut.
 *
 * @param before The text before, as CodeMirror holds it.
 * @param after The text now.
 * @param changes What led from one to the other.
 */
export function span(before, after, changes) {
  let start = before.length, end = 0;
  changes.iterChangedRanges((from, to) => {
    start = Math.min(start, from);
    end = Math.max(end, to);
  });
  if (start > end) return { start: 0, end: 0, text: "" };
  if (start && HIGH.test(before.sliceString(start - 1, start))) start -= 1;
  if (LOW.test(before.sliceString(end, end + 1))) end += 1;
  return { start, end, text: after.sliceString(start, after.length - (before.length - end)) };
}
