// What a message tells of nodes and edges, taken into the drawing in as few steps as there can be.

/** Room for a name beside its node. */
const NAME_WIDTH = 230;

/** Add or change nodes; gives the data of those that are new. */
export function takeNodes({ cy, filter, stacks, textOf }, nodes, places) {
  const fresh = [];
  for (const data of nodes) {
    data.text = textOf(data);
    const known = cy.getElementById(data.id);
    if (known.empty()) fresh.push(data);
    else filter.take(known.data(data));
  }
  const added = fresh.map((data) => {
    const at = places?.[data.id];
    const position = at ? { x: at[0], y: at[1] } : stacks.place(data);
    return { group: "nodes", data, position, classes: stacks.hides(data) ? "folded" : "" };
  });
  cy.add(added).forEach((node) => filter.take(node));
  return fresh;
}

/** Add or change edges; one whose ends are not both known is left out. */
export function takeEdges({ cy, collapse, filter, layout }, edges) {
  const isThere = (id) => cy.getElementById(id).nonempty();
  const classes = layout === "lanes" ? "" : "free";
  const fresh = [];
  for (const data of edges) {
    const known = cy.getElementById(data.id);
    if (known.nonempty()) filter.takeEdge(known.data(data));
    else if (isThere(data.source) && isThere(data.target))
      fresh.push({ group: "edges", data, selectable: false, classes });
  }
  cy.add(fresh).forEach((edge) => {
    collapse.standIn(edge);
    filter.takeEdge(edge);
    if (edge.data("type") === "delegation") edge.source().addClass("crossed");
  });
}

/** Box around all that is shown, by what is known of the nodes: none has to be styled for it. */
export function boundsOf(cy, table) {
  let [x1, y1, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
  cy.nodes().forEach((node) => {
    if (node.hasClass("folded")) return;
    const { x, y } = node.position();
    const look = table.nodes[node.data("type")];
    const name = look.label === "right" ? NAME_WIDTH : 0;
    [x1, x2] = [Math.min(x1, x - look.width / 2), Math.max(x2, x + look.width / 2 + name)];
    [y1, y2] = [Math.min(y1, y - look.height / 2), Math.max(y2, y + look.height / 2)];
  });
  return x1 > x2 ? null : { x1, y1, x2, y2, w: x2 - x1, h: y2 - y1 };
}
