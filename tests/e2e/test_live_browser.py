"""The Live page in a real browser: fast, steady, safe, and back after a break."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import COUNT_NODES, MOUNTS, PATIENCE_MS
from tests.e2e.live_support import GRAPH, Run, serve, show
from tests.support import eventually
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
#: Notes for each new node how long after its event the second frame with it was drawn.
MEASURE = f"""() => {{
  const view = {GRAPH}.view;
  const apply = view.apply.bind(view);
  window.latencies = [];
  view.apply = (message) => {{
    const fresh = (message.nodes ?? []).filter((n) => view.cy.getElementById(n.id).empty());
    apply(message);
    requestAnimationFrame(() => requestAnimationFrame(() => {{
      for (const node of fresh) window.latencies.push(Date.now() - node.start_ms);
    }}));
  }};
}}"""
#: Pans for two seconds and gives the time of each frame, milliseconds.
PAN = f"""() => new Promise((resolve) => {{
  const {{ cy }} = {GRAPH}.view;
  const frames = [];
  let last = performance.now();
  const began = last;
  const step = (now) => {{
    frames.push(now - last);
    last = now;
    cy.panBy({{ x: Math.sin(now / 200) * 14, y: -9 }});
    if (now - began < 2000) requestAnimationFrame(step);
    else resolve(frames.slice(2));
  }};
  requestAnimationFrame(step);
}})"""


#: How long a whole graph took from its arrival to the frame that shows it, milliseconds, and how
#: many pixels of the drawing are covered; null before that frame.
PAINTED = f"""() => {{
  const at = (name) => performance.getEntriesByName(`tracelake:${{name}}`)[0]?.startTime;
  if (!at("painted")) return null;
  const drawing = {GRAPH}.view.painter.renderer.data.canvases[2];
  const {{ data }} = drawing.getContext("2d").getImageData(0, 0, drawing.width, drawing.height);
  let ink = 0;
  for (let at = 3; at < data.length; at += 4) ink += data[at] > 0;
  return {{ took: at("painted") - at("snapshot"), ink }};
}}"""
#: A frame of 2,000 nodes within this time of their arrival, on a machine that does other work too.
PAINT_LIMIT_MS = 15_000

#: Pans a large graph, and gives how many of its drawn pixels the moved picture had otherwise than
#: the drawing that follows when the view rests; both are compared where they show nodes.
MOVED = f"""() => new Promise((resolve) => {{
  const {{ cy, painter }} = {GRAPH}.view;
  const [raft, drawing] = [painter.raft, painter.renderer.data.canvases[2]];
  cy.viewport({{ zoom: 0.85, pan: {{ x: 300, y: -4000 }} }});
  const box = [100, 100, 500, 200];
  let left = 20;
  const step = () => {{
    // as if drawing took a second
    if (left === 20) painter.drawn = {{ ...cy.pan(), zoom: cy.zoom(), ms: 1000 }};
    if (left--) {{
      cy.panBy({{ x: 3, y: -11 }});
      return requestAnimationFrame(step);
    }}
    const [dx, dy] = [cy.pan().x - raft.x, cy.pan().y - raft.y];
    const edge = raft.canvas.width / 2 - drawing.width / 2;
    const moved = raft.pen.getImageData(edge + box[0] - dx, edge + box[1] - dy, box[2], box[3]);
    const wasMoved = raft.shown;
    if (!wasMoved) return resolve({{ wasMoved }});
    const compare = () => {{
      if (raft.shown) return;
      cy.off("render", compare);
      const pen = drawing.getContext("2d");
      const drawn = pen.getImageData(...box);
      let [ink, other] = [0, 0];
      for (let at = 3; at < drawn.data.length; at += 4) {{
        if (drawn.data[at]) ink += 1;
        if (Math.abs(drawn.data[at] - moved.data[at]) > 40) other += 1;
      }}
      resolve({{ wasMoved, ink, other }});
    }};
    cy.on("render", compare);
  }};
  requestAnimationFrame(step);
}})"""


@pytest.mark.alone
def test_events_are_on_the_screen_within_a_tenth_of_a_second(
    page: Page, served: tuple[Lake, str], figures: Callable[[str], None]
) -> None:
    """60 events, one mount, the user's zoom kept; tells the figures."""
    lake, base = served
    run = Run(lake, "latency")
    show(page, base, "latency")
    page.evaluate(f"{GRAPH}.view.zoomBy(0.8)")
    page.wait_for_function(f"!{GRAPH}.view.cy.animated()")
    zoom = page.evaluate(f"{GRAPH}.view.cy.zoom()")
    page.evaluate(MEASURE)
    for index in range(60):
        run.tell("tool_call", f"t{index}", status="running", tool_name=f"tool {index}")
        run.tell("tool_call", f"t{index}", status="ok")
        time.sleep(0.1)  # the pace of the program, not a wait
    page.wait_for_function("window.latencies.length >= 60")
    took = sorted(page.evaluate("window.latencies"))
    assert page.evaluate(MOUNTS) == 1
    assert page.evaluate(f"{GRAPH}.view.cy.zoom()") == zoom
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    figures(f"event to pixel: p50 {p50:.0f} ms, p95 {p95:.0f} ms, worst {took[-1]:.0f} ms")


@pytest.mark.alone
def test_two_thousand_nodes_are_painted_and_can_be_panned(
    page: Page, served: tuple[Lake, str], figures: Callable[[str], None]
) -> None:
    """A large trace opens in seconds and follows the pointer; tells the figures."""
    lake, base = served
    run = Run(lake, "large")
    for index in range(10):
        run.tell("agent_start", f"a{index}", "root", f"agent {index}", role="agent")
    for call in range(66):
        for index in range(10):
            at = {"parent": f"a{index}", "agent": f"agent {index}"}
            run.call(f"c{index}-{call}", **at)
            run.tell("tool_call", f"t{index}-{call}", status="ok", tool_name="grep", **at)
    began = time.monotonic()
    show(page, base, "large", 1991)
    opened_s = time.monotonic() - began
    painted = page.wait_for_function(PAINTED).json_value()
    assert painted["ink"] > 10_000, "nothing is drawn"
    assert 0 < painted["took"] < PAINT_LIMIT_MS
    frames = sorted(page.evaluate(PAN))
    expect(page.locator(".tl-map")).to_be_visible()
    median, p95 = statistics.median(frames), frames[int(len(frames) * 0.95)]
    figures(
        f"1,991 nodes: {opened_s:.1f} s from navigation, painted {painted['took'] / 1000:.2f} s "
        f"after their snapshot; frame {median:.1f} ms, p95 {p95:.1f} ms"
    )


def test_a_click_shows_the_prompt_and_the_address_follows(
    page: Page, served: tuple[Lake, str]
) -> None:
    """Keys walk through the nodes; the panel, the row and the URL follow; a reload restores it."""
    lake, base = served
    run = Run(lake, "clicks")
    messages = [{"role": "user", "content": "Where is the bug?"}]
    run.call("one", messages=messages, system="Be brief.")
    run.call("two", status="error", error="overloaded", response=None)
    show(page, base, "clicks", 5)
    page.keyboard.press("j")
    page.keyboard.press("j")
    panel = page.locator(".tl-detail")
    expect(panel).to_contain_text("Where is the bug?")
    expect(panel).to_contain_text("answer one")
    expect(page.locator(".tl-row.on")).to_contain_text("claude-sonnet-4-6")
    page.wait_for_url("**span=one*")
    page.keyboard.press("e")
    expect(panel).to_contain_text("overloaded")
    page.wait_for_url("**span=two*")
    page.reload()
    expect(page.locator(".tl-detail")).to_contain_text("overloaded")
    page.keyboard.press("Escape")
    expect(page.locator(".tl-detail")).to_be_hidden()


def test_texts_of_a_trace_are_never_markup(page: Page, served: tuple[Lake, str]) -> None:
    """Markup in names, prompts, answers, results and errors is shown as it was written."""
    lake, base = served
    run = Run(lake, "hostile")
    messages = [{"role": "user", "content": f"{HOSTILE} ![x](http://evil.example/x.png)"}]
    run.call("c", model=HOSTILE, messages=messages, response=HOSTILE, system=HOSTILE)
    run.tell("tool_call", "t", status="error", tool_name=HOSTILE, result=HOSTILE, error=HOSTILE)
    foreign: list[str] = []
    page.on("request", lambda sent: foreign.append(sent.url))
    show(page, base, "hostile", 4)
    for _ in range(3):
        page.keyboard.press("j")
        expect(page.locator(".tl-detail h3")).to_be_visible()
    page.keyboard.press("k")
    expect(page.locator(".tl-detail")).to_contain_text("<script>")
    page.evaluate(f"() => {{ {GRAPH}.view.cy.nodes().forEach((n) => n.emit('mouseover')); }}")
    assert page.locator(".tl-graph img, .tl-graph script").count() == 0
    assert page.title() != "owned"
    assert not [url for url in foreign if not url.startswith((base, "data:", "blob:", "ws:"))]


def test_the_layout_switches_and_nothing_is_lost(page: Page, served: tuple[Lake, str]) -> None:
    """The hierarchy moves every node, the lanes bring each back to where it was."""
    lake, base = served
    run = Run(lake, "layouts")
    for index in range(4):
        run.call(f"c{index}")
    places = f"() => {GRAPH}.view.cy.nodes().map((n) => [n.id(), n.position().x, n.position().y])"
    show(page, base, "layouts", 9)
    before = page.evaluate(places)
    page.get_by_role("button", name="Hierarchy").click()
    page.wait_for_function(f"(before) => String(({places})()) !== String(before)", arg=before)
    page.get_by_role("button", name="Lanes").click()
    page.wait_for_function(f"(before) => String(({places})()) === String(before)", arg=before)


def test_time_goes_on_and_can_be_wound_back(page: Page, served: tuple[Lake, str]) -> None:
    """The axis grows while a run waits; a press on it shows the past, Escape what is now."""
    lake, base = served
    Run(lake, "time").tell("llm_call", "c", status="running", model="m")
    show(page, base, "time", 2)
    end = page.evaluate(f"{GRAPH}.timeline.extent[1]")
    page.wait_for_function(f"(end) => {GRAPH}.timeline.extent[1] > end", arg=end)
    axis = page.locator(".tl-ticks")
    expect(axis.locator("span").first).to_have_text("0")
    axis.click(position={"x": 200, "y": 8})
    back = page.get_by_role("button", name="Back to now")
    expect(back).to_be_visible()
    page.keyboard.press("Escape")
    expect(back).to_be_hidden()


def test_without_a_socket_the_page_polls_and_says_so(page: Page, served: tuple[Lake, str]) -> None:
    """Where no WebSocket can be had the graph still grows and clicks still open spans."""
    lake, base = served
    run = Run(lake, "polling")
    page.route_web_socket("**/ws/traces/**", lambda socket: socket.close())
    page.goto(f"{base}/live?trace=polling")
    expect(page.locator(".tl-chip")).to_have_text("polling")
    run.call("c", messages=[{"role": "user", "content": "polled prompt"}])
    page.wait_for_function(f"({COUNT_NODES})() >= 3")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".tl-detail")).to_contain_text("polled prompt")
    assert page.evaluate(MOUNTS) == 1


def test_eight_tabs_are_live_at_once(page: Page, served: tuple[Lake, str]) -> None:
    """A browser may watch many runs in many tabs; all of them get the news."""
    lake, base = served
    run = Run(lake, "tabs")
    page.context.set_default_timeout(2 * PATIENCE_MS)  # eight pages open at once
    tabs = [page, *(page.context.new_page() for _ in range(7))]
    for tab in tabs:
        show(tab, base, "tabs")
    run.call("c")
    for tab in tabs:
        tab.wait_for_function(f"({COUNT_NODES})() === 3")


def test_two_runs_at_once_do_not_mix(page: Page, served: tuple[Lake, str]) -> None:
    """Two programs write at the same time; each page shows its own run, and so does a switch."""
    lake, base = served
    page.context.set_default_timeout(PATIENCE_MS)
    pages = {"left": page, "right": page.context.new_page()}
    runs = {name: Run(lake, name) for name in pages}
    for name, tab in pages.items():
        show(tab, base, name)
    for index in range(20):
        for name, run in runs.items():
            run.call(f"{name}-{index}", agent=f"agent {name}", model=f"model {name}")
    told = f"() => [...new Set({GRAPH}.view.cy.nodes().map((n) => n.data('span_id')))].sort()"
    expected = {
        name: sorted(["root", *(f"{name}-{index}" for index in range(20))]) for name in pages
    }
    for name, tab in pages.items():
        tab.wait_for_function(f"({COUNT_NODES})() === 41")
        assert tab.evaluate(told) == expected[name]
    page.get_by_role("combobox").first.click()
    page.get_by_role("option").filter(has_text="right").first.click()
    page.wait_for_url("**trace=right*")
    page.wait_for_function(
        f"(wanted) => String(({told})()) === wanted", arg=",".join(expected["right"])
    )
    assert page.evaluate(MOUNTS) == 1


def test_the_first_run_takes_the_place_of_the_empty_page(page: Page, tmp_path: Path) -> None:
    """Nobody has to reload a page that waited for something to show."""
    with Lake(tmp_path / "lake") as lake, serve(tmp_path / "lake") as base:
        page.goto(f"{base}/live")
        expect(page.get_by_text("Nothing recorded yet")).to_be_visible()
        Run(lake, "first").call("c")
        page.wait_for_function(f"({COUNT_NODES})() > 0")


def test_the_graph_comes_back_after_the_server_restarts(page: Page, tmp_path: Path) -> None:
    """A restarted server is found again without a reload; what was missed is there.

    What was chosen stays chosen, and nobody is taken elsewhere.
    """
    path = tmp_path / "lake"
    looked_at = f"""() => [{GRAPH}.view.viewport(), {GRAPH}.timeline.scroll.scrollTop,
        {GRAPH}.view.cy.$("node:selected").map((node) => node.id())]"""
    with Lake(path) as lake:
        run = Run(lake, "restart")
        for index in range(30):
            run.call(f"c{index}")
        with serve(path) as base:
            show(page, base, "restart", 61)
            page.keyboard.press("k")
            chosen = page.locator('.tl-row.on[data-id="c29"]')
            expect(chosen).to_be_in_viewport()
            page.wait_for_function(f"!{GRAPH}.view.cy.animated()")
            before = page.evaluate(looked_at)
        expect(page.locator(".tl-chip")).to_have_text("offline")
        run.call("c")
        with serve(path, port=int(base.rsplit(":", 1)[1])):
            page.wait_for_function(f"({COUNT_NODES})() === 63", timeout=60_000)
            eventually(lambda: page.evaluate(f"{GRAPH}.state") == "live")
            eventually(lambda: page.evaluate(looked_at) == before)
            assert before[2] == ["c29"]
            expect(chosen).to_be_in_viewport()
            page.goto("about:blank")


#: Wakes the drawing in the very frame in which its loop looked for the last time.
WOKEN_LATE = f"""() => new Promise((resolve) => {{
  const {{ cy, painter }} = {GRAPH}.view;
  clearTimeout(painter.dozing);
  requestAnimationFrame(() => setTimeout(() => {{
    requestAnimationFrame(() => painter.wake());
    painter.woken = -Infinity;
    painter.doze();
    setTimeout(() => {{
      cy.one("render", () => resolve("drawn"));
      cy.panBy({{ x: 1, y: 1 }});
      let frames = 120;
      const look = () => (frames-- ? requestAnimationFrame(look) : resolve("frozen"));
      look();
    }}, 300);
  }}));
}})"""


def test_drawing_goes_on_whenever_it_is_woken(page: Page, served: tuple[Lake, str]) -> None:
    """Falling asleep, the drawing is woken by what comes in that moment."""
    _, base = served
    show(page, base, "first")
    for _ in range(3):
        assert page.evaluate(WOKEN_LATE) == "drawn"


def test_what_moves_while_panning_is_what_is_drawn_at_rest(
    page: Page, served: tuple[Lake, str]
) -> None:
    """A slow picture is moved, not blurred or cut, and is drawn anew once the view rests."""
    lake, base = served
    run = Run(lake, "panned")
    for index in range(150):
        run.call(f"c{index}")
    show(page, base, "panned", 301)
    # frames slower than a view has to rest, or a change of the graph meanwhile, have it drawn anew
    found = eventually(lambda: (look := page.evaluate(MOVED))["wasMoved"] and look)
    assert found["ink"] > 10_000
    assert found["other"] < found["ink"] / 100, found
