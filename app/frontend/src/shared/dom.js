// Small DOM helpers. Text always goes in as text: what traces say is never markup.

/** An element with a class, properties and children (strings become text nodes). */
export function h(tag, { class: className, dataset, on, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  Object.assign(element.dataset, dataset);
  for (const [event, listener] of Object.entries(on ?? {})) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A 16x16 stroke icon from path data written in this repository. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "tl-icon");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  find: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  fit: "M2 6V2h4M14 6V2h-4M2 10v4h4M14 10v4h-4",
  follow: "M8 2v9M4 7.5 8 11.5l4-4M3 14h10",
  error: "M8 1.8 15 14H1L8 1.8ZM8 6v4M8 12v.2",
  lanes: "M3 2v12M8 2v12M13 2v12",
  tree: "M6 2h4v3H6zM1.5 11h4v3h-4zM10.5 11h4v3h-4zM8 5v3M3.5 11V8h9v3",
  legend: "M3 4h.1M3 8h.1M3 12h.1M6 4h8M6 8h8M6 12h8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  timeline: "M2 4h6M5 8h7M9 12h5",
  agents: "M8 7.5a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2ZM2.8 14c.4-3 2.4-4.6 5.2-4.6s4.8 1.6 5.2 4.6",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  map: "M2 3h12v10H2zM8.5 8.5h3v2.5h-3z",
};
