// The Streamlit theme as concrete colours, for canvases, and word of its changes.

/** Reads the theme in force at an element. */
export function readTheme(element) {
  const style = getComputedStyle(element);
  const read = (name, fallback) => style.getPropertyValue(`--st-${name}`).trim() || fallback;
  const background = read("background-color", "#ffffff");
  const dark = luminance(background) < 0.4;
  return {
    dark,
    shade: dark ? 1 : 0,
    background,
    text: read("text-color", dark ? "#f1f5f9" : "#0f172a"),
    primary: read("primary-color", "#6d4aff"),
    font: read("font", "system-ui, sans-serif"),
    red: dark ? "#f87171" : "#dc2626",
    running: dark ? "#22d3ee" : "#0891b2",
  };
}

/** Calls back when a theme colour changes, by the transition it starts; returns the undo. */
export function watchTheme(probe, changed) {
  probe.style.cssText =
    "position:absolute;width:0;height:0;color:var(--st-text-color);" +
    "background:var(--st-background-color);transition:color 1ms,background-color 1ms";
  probe.addEventListener("transitionend", changed);
  return () => probe.removeEventListener("transitionend", changed);
}

function luminance(color) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}
