// The wheel pans, as in a drawing program, because a run is much taller than the window; with Ctrl
// or Cmd (a trackpad's pinch sends it) it zooms at the pointer.

export function panOrZoom(cy, event) {
  event.preventDefault();
  event.stopPropagation();
  const unit = event.deltaMode === 1 ? 18 : 1;
  if (event.ctrlKey || event.metaKey) {
    const box = cy.container().getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    cy.zoom({ level: cy.zoom() * Math.exp(-event.deltaY * unit * 0.008), renderedPosition: at });
  } else {
    const [dx, dy] = event.shiftKey ? [event.deltaY, event.deltaX] : [event.deltaX, event.deltaY];
    cy.panBy({ x: -dx * unit, y: -dy * unit });
  }
}
