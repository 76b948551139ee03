// JSON whose whole numbers keep all their digits: ids often have more than a double holds, and a
// reader compares them with what is elsewhere. Where the browser cannot, they are rounded as usual.

const canKeep = Boolean(JSON.rawJSON);

/** Parse JSON; whole numbers too large to be exact stay as they are written. */
export function parseExact(text) {
  return canKeep ? JSON.parse(text, kept) : JSON.parse(text);
}

function kept(_, value, context) {
  const isRounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded && /^-?\d+$/.test(context.source) ? JSON.rawJSON(context.source) : value;
}

/** The digits of a number that was kept as written, else null. */
export function digitsOf(value) {
  return canKeep && JSON.isRawJSON(value) ? value.rawJSON : null;
}
