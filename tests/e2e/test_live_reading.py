"""Reading a run in a real browser: what is folded, told and wound back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import COUNT_NODES
from tests.e2e.live_support import GRAPH, Run, show
from tracelake.model import utc_now

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tracelake.lake import Lake

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_agents_are_collapsed_and_picked_out(page: Page, served: tuple[Lake, str]) -> None:
    """A collapsed agent keeps its node, its calls hide until one is chosen; other agents dim."""
    lake, base = served
    run = Run(lake, "folded")
    run.call("plan")
    run.tell("agent_start", "helper", "plan", "helper", role="subagent")
    run.call("inner", parent="helper", agent="helper")
    show(page, base, "folded", nodes=6)
    visible = (
        f"""() => {GRAPH}.view.cy.nodes().filter((n) => n.visible()).map((n) => n.id()).sort()"""
    )
    before = page.evaluate(visible)
    page.get_by_role("button", name="Collapse helper").click()
    assert page.evaluate(visible) == [key for key in before if not key.startswith("inner")]
    expect(page.locator('.tl-row[data-id="inner"]')).to_have_count(0)
    expect(page.locator('.tl-row[data-id="helper"]')).to_contain_text("1 span collapsed")
    for _ in range(4):
        page.keyboard.press("j")
    assert page.evaluate(visible) == before
    expect(page.locator('.tl-row[data-id="inner"]')).to_be_visible()
    page.keyboard.press("a")
    page.get_by_role("checkbox", name="helper").check()
    page.wait_for_url("**agent=helper*")
    page.reload()
    page.wait_for_function(f"({COUNT_NODES})() >= 6")
    expect(page.get_by_role("button", name="1 of 2 agents")).to_be_visible()
    dimmed = f"() => {GRAPH}.view.cy.nodes('.dim').map((n) => n.data('agent'))"
    assert set(page.evaluate(dimmed)) == {"orchestrator"}
    clear = f"""(faded) => {GRAPH}.view.cy.edges().filter((edge) =>
        edge.target().hasClass(faded) && !edge.hasClass(faded)).map((edge) => edge.id())"""
    run.call("later")
    page.wait_for_function(f"({COUNT_NODES})() >= 8")
    assert page.evaluate(clear, "dim") == []
    page.evaluate(f"{GRAPH}.timeline.setMoment({GRAPH}.timeline.first)")
    page.wait_for_function(f"{GRAPH}.view.cy.nodes('.future').length > 3")
    run.call("latest")
    page.wait_for_function(f"({COUNT_NODES})() >= 10")
    assert page.evaluate(clear, "future") == []


def test_two_choices_in_one_moment_are_both_in_the_url(
    page: Page, served: tuple[Lake, str]
) -> None:
    """What is chosen before the browser has heard of the last change of the URL undoes none."""
    lake, base = served
    run = Run(lake, "quick")
    run.call("plan")
    run.tell("agent_start", "helper", "plan", "helper", role="subagent")
    for pause in (0, 20, 50, 100):
        show(page, base, "quick", nodes=4)
        page.evaluate(
            f"""async (pause) => {{
                {GRAPH}.pickAgents(["helper"]);
                await new Promise((done) => setTimeout(done, pause));
                {GRAPH}.tell("selected", "plan");
            }}""",
            pause,
        )
        page.wait_for_url("**span=plan*")
        page.wait_for_url("**agent=helper*")
        page.wait_for_timeout(500)
        assert "span=plan" in page.url
        assert "agent=helper" in page.url
    page.go_back()
    page.wait_for_url(lambda url: "span=plan" not in url or "agent=helper" not in url)
    gone_back = page.url
    page.wait_for_timeout(1_000)
    assert page.url == gone_back


def test_a_long_run_is_stacked_and_opens_where_something_is_looked_for(
    page: Page, served: tuple[Lake, str]
) -> None:
    """Calls past a threshold share nodes; a key, a search and a link open the right one."""
    lake, base = served
    run = Run(lake, "long")
    for index in range(200):
        failed = {"status": "error", "error": "refused"} if index == 190 else {}
        run.call(f"c{index}", model=f"model {index}", **failed)
    show(page, base, "long", 401)
    visible = f"""() => {GRAPH}.view.cy.nodes().filter((n) => n.visible()).map((n) => n.id())"""
    places = f"""() => {GRAPH}.view.cy.nodes().filter((n) => !n.data('stack'))
        .map((n) => [n.id(), n.position().x, n.position().y])"""
    assert len(page.evaluate(visible)) < 350
    before = page.evaluate(places)
    page.keyboard.press("e")
    page.wait_for_function(f"({visible})().includes('c190')")
    expect(page.locator(".tl-detail")).to_contain_text("refused")
    assert page.evaluate(places) == before
    page.get_by_role("button", name="Collapse orchestrator, 151").click()
    assert "c190" not in page.evaluate(visible)
    page.get_by_role("searchbox", name="Find in the graph").fill("model 170")
    page.wait_for_function(f"({visible})().includes('c170')")
    page.get_by_role("searchbox", name="Find in the graph").fill("151 to 250")
    expect(page.locator(".tl-hits")).to_have_text("0")  # what is found can be read
    page.goto(f"{base}/live?trace=long&span=c199")
    page.wait_for_function(f"({COUNT_NODES})() >= 401")
    page.wait_for_function(f"({visible})().includes('c199')")
    expect(page.locator('.tl-row[data-id="c199"]')).to_be_visible()


def test_what_happens_is_told_in_a_line_while_a_run_goes_on(
    page: Page, served: tuple[Lake, str]
) -> None:
    """The newest event stands first, a click leads to its span; a finished run tells nothing."""
    lake, base = served
    run = Run(lake, "told")
    show(page, base, "told")
    line = page.get_by_role("log", name="What happened last")
    run.tell("tool_call", "t1", status="running", tool_name="grep")
    expect(line.get_by_role("button").first).to_contain_text("grepbegan")
    run.tell("tool_call", "t1", status="error", error="no such file")
    expect(line.get_by_role("button").first).to_contain_text("no such file")
    run.call("c1")
    expect(line.get_by_role("button").first).to_contain_text("claude-sonnet-4-6took")
    line.get_by_role("button", name="grep").click()
    expect(page.locator(".tl-detail")).to_contain_text("no such file")
    run.tell("agent_end", "root", None, status="ok")
    expect(line).to_be_hidden()


def test_the_run_can_be_seen_as_it_was_at_a_moment(page: Page, served: tuple[Lake, str]) -> None:
    """Dragging on the time axis fades what had not begun yet; a key leads back to now."""
    lake, base = served
    began = utc_now() - timedelta(seconds=10)
    run = Run(lake, "moments", at=began)
    for index in range(5):
        asked = began + timedelta(seconds=1 + 2 * index)
        run.tell("llm_call", f"c{index}", at=asked, status="running", model="m")
        answered = asked + timedelta(seconds=0.5)
        run.tell("llm_call", f"c{index}", at=answered, status="ok", response="said")
    run.tell("agent_end", "root", None, at=began + timedelta(seconds=10), status="ok")
    show(page, base, "moments", 11)
    future = f"() => {GRAPH}.view.cy.nodes('.future').length"
    axis = page.locator(".tl-ticks")
    box = axis.bounding_box()
    assert box is not None
    axis.hover(position={"x": box["width"] * 0.1, "y": 8})
    page.mouse.down()
    axis.hover(position={"x": box["width"] * 0.5, "y": 8})
    page.mouse.up()
    page.wait_for_function(f"({future})() > 2 && ({future})() < 10")
    expect(page.locator(".tl-playhead")).to_contain_text("at ")
    page.get_by_role("button", name="Back to now").click()
    page.wait_for_function(f"({future})() === 0")
    axis.click(position={"x": 3, "y": 8})
    page.wait_for_function(f"({future})() >= 8")
    page.keyboard.press("Escape")
    page.wait_for_function(f"({future})() === 0")


def test_reading_goes_on_while_the_run_does(page: Page, served: tuple[Lake, str]) -> None:
    """News of a span leaves alone what was opened, marked and scrolled to in its panel."""
    lake, base = served
    run = Run(lake, "read")
    asked = [{"role": "user", "content": "line\n" * 400}]
    run.tell("llm_call", "c1", status="running", model="m", system="be brief", messages=asked)
    show(page, base, "read", 2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    panel = page.locator(".tl-detail")
    panel.get_by_text("be brief").first.click()
    seen = f"""() => {{
        const panel = {GRAPH}.parts.detail;
        return [panel.scrollTop, panel.querySelectorAll("details[open]").length,
            String(getSelection()).trim()];
    }}"""
    page.evaluate(f"""() => {{
        const panel = {GRAPH}.parts.detail;
        getSelection().selectAllChildren(panel.querySelector(".tl-turn-body"));
        panel.scrollTop = 300;
    }}""")
    assert page.evaluate(seen) == [300, 2, "be brief"]
    run.tell("llm_call", "c1", status="ok", response="said at last")
    expect(panel).to_contain_text("said at last")
    assert page.evaluate(seen) == [300, 3, "be brief"]
    page.keyboard.press("k")
    expect(panel.locator(".tl-facts")).to_contain_text("Calls1")
    long = {"id": 1234567890123456789, "large": 2**70}
    run.tell("tool_call", "t1", "c1", parameters=long, result=json.dumps(long), tool_name="post")
    run.call("c2")  # its agent's own span says nothing new
    expect(panel.locator(".tl-facts")).to_contain_text("Calls2")
    page.get_by_role("log").get_by_role("button", name="post").click()
    for number in long.values():  # more digits than the browser's own numbers have
        expect(panel.get_by_text(str(number))).to_have_count(2)


#: The page drops the graph and puts it back elsewhere, as it does when it is drawn anew.
PUT_BACK = f"""async () => {{
    const live = {GRAPH};
    const found = performance.getEntriesByType("resource").map(({{ name }}) => name);
    const of = (kind) => found.find((name) => name.endsWith(`graph.${{kind}}`));
    const {{ default: mount }} = await import(of("js"));
    const data = {{ trace: live.trace, selected: live.asked, actions: live.actions }};
    const told = {{ setStateValue: live.tell, setTriggerValue: live.trigger }};
    const before = live.root.getRootNode();
    mount({{ parentElement: before, data, ...told }})();
    live.root.remove();
    const host = document.createElement("div");
    before.host.replaceWith(host);
    const after = host.attachShadow({{ mode: "open" }});
    after.innerHTML = `<div class="tl-place"></div><link rel="stylesheet" href="${{of("css")}}">`;
    mount({{ parentElement: after, data, ...told }});
    return {GRAPH} === live && after.contains(live.root);
}}"""


def test_a_graph_that_is_put_back_is_looked_at_as_before(
    page: Page, served: tuple[Lake, str]
) -> None:
    """What left the page for a moment is scrolled as it was: the timeline and the panel."""
    lake, base = served
    run = Run(lake, "put-back")
    asked = [{"role": "user", "content": "line\n" * 400}]
    for index in range(40):
        run.call(f"c{index}", system="be brief", messages=asked)
    show(page, base, "put-back", 80)
    page.keyboard.press("k")
    expect(page.locator('.tl-row.on[data-id="c39"]')).to_be_in_viewport()
    panel = page.locator(".tl-detail")
    expect(panel).to_contain_text("answer c39")
    panel.get_by_text("be brief").first.click()
    panel.get_by_text("line").first.click()
    scrolled = f"""() => [{GRAPH}.timeline.scroll, {GRAPH}.parts.detail].map((e) => e.scrollTop)"""
    page.evaluate(f"() => {{ {GRAPH}.parts.detail.scrollTop = 200; }}")
    page.wait_for_function(f"({scrolled})().every((top) => top > 100)")
    before = page.evaluate(scrolled)
    assert page.evaluate(PUT_BACK)
    page.wait_for_function(f"(before) => String(({scrolled})()) === String(before)", arg=before)
    expect(page.locator('.tl-row.on[data-id="c39"]')).to_be_in_viewport()


def test_long_names_and_times_leave_room_for_the_rest(page: Page, served: tuple[Lake, str]) -> None:
    """Beside a long name its figures are read; signs are cut between, time is told in minutes."""
    lake, base = served
    run = Run(lake, "names")
    family, long = "👩‍👩‍👧‍👦" * 30, "agent of a very long name " * 4
    asked = [""]  # an empty question
    for index in range(2):
        run.tell("agent_start", f"a{index}", "root", f"{long}{index}", role="subagent")
        run.call(f"c{index}", f"a{index}", f"{long}{index}", response=family, messages=asked)
    lake.append({
        "event_type": "agent_end", "trace_id": "names", "span_id": "root", "parent_id": None,
        "timestamp": datetime.now(UTC) + timedelta(seconds=150), "agent_name": "orchestrator",
        "data": {"status": "ok"},
    })  # fmt: skip
    show(page, base, "names", 7)
    expect(page.locator(".tl-ticks")).to_contain_text("30 s1 m 00 s1 m 30 s")
    text = page.evaluate(f"{GRAPH}.view.cy.getElementById('c0:response').data('text')")
    assert set(text.replace("…", "").split("👩‍👩‍👧‍👦")) <= {"", "\n"}
    page.keyboard.press("a")
    calls = page.locator(".tl-menu em").nth(1)
    inside = page.locator(".tl-menu").bounding_box()
    count = calls.bounding_box()
    assert inside is not None
    assert count is not None
    assert count["x"] + count["width"] <= inside["x"] + inside["width"]
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.press("j")
    status = page.locator(".tl-detail .tl-status")
    expect(page.locator(".tl-detail h3")).to_have_text("claude-sonnet-4-6")
    expect(status).to_have_text("done")
    expect(page.locator(".tl-detail")).to_contain_text(family)
    wide, chip = page.locator(".tl-detail h3").bounding_box(), status.bounding_box()
    assert wide is not None
    assert wide["width"] > 100
    assert chip is not None
    assert chip["height"] < 26
    page.set_viewport_size({"width": 720, "height": 450})  # 200 %
    expect(page.get_by_role("button", name="Failed")).to_be_in_viewport(ratio=1)
