// Where the view goes: pure geometry over the size of the window, boxes of the drawing and a
// viewport {zoom, pan}. Nothing here moves anything.

/** Smallest zoom the view chooses by itself: labels can still be read. */
export const READABLE = 0.85;
export const HEAD_ROOM = 52;
const MAX_AUTO_ZOOM = 1.15;
const MARGIN = 28;
const BAND_TOP = 44; // a lane's band begins this far above its first node

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

/** Everything, however small. */
export function showAll({ width, height }, box) {
  const zoom = Math.min(
    MAX_AUTO_ZOOM,
    (width - 2 * MARGIN) / box.w,
    (height - 2 * MARGIN - HEAD_ROOM / 2) / box.h,
  );
  const pan = {
    x: width / 2 - ((box.x1 + box.x2) / 2) * zoom,
    y: (height + HEAD_ROOM / 2) / 2 - ((box.y1 + box.y2) / 2) * zoom,
  };
  return { zoom, pan };
}

/** First look: all of it where that is readable, else its start; `reserve` is kept free at the right. */
export function showStart({ width, height, reserve }, { x1, x2, y1, y2 }) {
  const fitting = Math.min((width - 2 * MARGIN) / (x2 - x1), (height - MARGIN - HEAD_ROOM) / (y2 - y1));
  const zoom = Math.max(READABLE, Math.min(1, fitting));
  const fits = (x2 - x1) * zoom <= width - MARGIN;
  return {
    zoom,
    pan: {
      x: fits ? centredX({ width, reserve }, { x1, x2 }, zoom) : MARGIN - x1 * zoom,
      y: 8 - (y1 - BAND_TOP) * zoom,
    },
  };
}

/** The lower end of a box, no smaller than readable, with as little movement as that takes. */
export function showEnd({ width, height, reserve }, { zoom: before, pan }, { x1, x2, y2 }) {
  const zoom = Math.max(READABLE, Math.min(before, (width - 2 * MARGIN) / (x2 - x1), MAX_AUTO_ZOOM));
  const room = height - MARGIN - 26;
  let { x, y } = pan;
  if ((x2 - x1) * zoom <= width - MARGIN) {
    const isSeen = x1 * zoom + x >= MARGIN && x2 * zoom + x <= width - MARGIN;
    if (!isSeen || zoom !== before) x = centredX({ width, reserve }, { x1, x2 }, zoom);
  } else x = width - Math.max(MARGIN, reserve) - x2 * zoom; // clear of the overview
  const bottom = y2 * zoom + y;
  if (bottom > room || bottom < HEAD_ROOM * 2) y = Math.min(room - y2 * zoom, HEAD_ROOM);
  return { zoom, pan: { x, y } };
}

/**
 * A point in sight, with as little movement as that takes.
 *
 * @param sides {left, right} of the lane the point is in: in sight as well where there is room.
 * @param corner {width, height} of what covers the lower right corner.
 */
export function showPoint({ width, height }, { zoom: before, pan }, at, { least, sides, corner }) {
  const zoom = Math.max(before, least);
  let { x, y } = pan;
  if (zoom !== before) [x, y] = [width / 2 - at.x * zoom, height / 2 - at.y * zoom];
  const seen = () => at.x * zoom + x;
  x += clamp(seen(), 130, width - 150) - seen();
  if (sides && (sides.right - sides.left) * zoom <= width - 16) {
    const left = sides.left * zoom + x;
    x += clamp(left, 8, width - 8 - (sides.right - sides.left) * zoom) - left;
  }
  const isCovered = seen() > width - corner.width - 100;
  const top = at.y * zoom + y;
  y += clamp(top, HEAD_ROOM + 40, height - (isCovered ? corner.height + 60 : 70)) - top;
  return { zoom, pan: { x, y } };
}

/** Pan that centres a box that fits, clear of the overview as far as there is room. */
function centredX({ width, reserve }, { x1, x2 }, zoom) {
  const room = width - (x2 - x1) * zoom;
  return Math.max(MARGIN, Math.min(room / 2, room - reserve)) - x1 * zoom;
}
