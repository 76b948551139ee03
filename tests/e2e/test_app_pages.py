"""History and Playground in a real browser, on the recorded demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.e2e.browser import free_port, open_browser, running_app
from tests.support import eventually
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A lake with the demo, recorded at full speed: its path and the trace id."""
    lake = tmp_path_factory.mktemp("app") / "lake"
    command = [sys.executable, "-m", "tracelake.cli", "demo", "--headless", "--once", "--pace", "0"]
    done = subprocess.run(
        [*command, "--lake", str(lake)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return lake, done.stdout.split()[-1]


@pytest.fixture(scope="module")
def url(demo: tuple[Path, str]) -> Iterator[str]:
    """The app on that lake."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app", "--server.headless", "true"]
    command += ["--server.port", str(port)]
    log = demo[0].with_suffix(".log")
    with running_app(command, port=port, lake=demo[0], cwd=ROOT, log=log) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of its own for each test."""
    with open_browser(viewport={"width": 1280, "height": 800}) as page:
        yield page


def test_the_bare_url_leads_to_what_was_recorded(page: Page, url: str) -> None:
    """A lake with a trace opens on Live, not on the first-run page."""
    page.goto(url)
    expect(page).to_have_url(re.compile("/live"))


def test_filters_stand_in_the_url_survive_a_reload_and_can_be_cleared(page: Page, url: str) -> None:
    """What is chosen is in the link; the link shows the same again; clearing shows everything."""
    page.goto(f"{url}/history?charts=false")
    page.get_by_role("combobox", name="Agent").click()
    page.get_by_role("option", name="coder").click()
    expect(page).to_have_url(re.compile("agent=coder"))
    page.keyboard.press("Escape")
    page.get_by_text("With errors", exact=True).first.click()
    expect(page).to_have_url(re.compile("errors=true"))
    page.reload()
    expect(page.get_by_text("1 trace", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("(?=.*agent=coder)(?=.*errors=true)"))
    search = page.get_by_label("Text")
    search.fill("no trace says this")
    search.press("Enter")
    expect(page.get_by_text("No trace matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text("1 trace", exact=True)).to_be_visible()
    expect(page).not_to_have_url(re.compile("agent=|errors=|q="))


def test_a_trace_clicked_is_previewed_and_leads_to_live(
    page: Page, url: str, demo: tuple[Path, str]
) -> None:
    """A click on a heading sorts; one on a row shows its spans beside the list, under a URL."""
    page.goto(f"{url}/history?charts=false&source=proxy")
    table = page.get_by_test_id("stDataFrame")
    expect(table.locator("canvas").first).to_be_visible()
    table.click(position={"x": 390, "y": 16})
    expect(page).to_have_url(re.compile("order=Oldest"))
    assert "trace=" not in page.url
    expect(page.locator('[data-test-script-state="running"]')).to_have_count(0)
    table = page.get_by_test_id("stDataFrame")
    expect(table.locator("canvas").first).to_be_visible()
    # the name in the first row: the table is painted, so a place is all there is to click
    table.click(position={"x": 220, "y": 50})
    expect(page).to_have_url(re.compile(f"trace={demo[1]}"))
    expect(page.locator(".tl-timeline").get_by_text("delegate").first).to_be_visible()
    page.get_by_role("link", name="Open in Live").click()
    expect(page).to_have_url(re.compile(rf"/live\?trace={demo[1]}"))


def test_a_prompt_is_tested_from_the_keyboard_and_its_text_is_never_run(
    page: Page, url: str, demo: tuple[Path, str]
) -> None:
    """Ctrl+Enter in the editor sends; old and new answer are marked; markup stays text."""
    path, trace_id = demo
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{url}/playground?trace={trace_id}&span={_last_answer(path, trace_id)}")
    system = page.get_by_role("textbox", name="System prompt")
    system.click()
    system.press("Control+End")
    page.keyboard.insert_text("\nAnswer in three bullet points. <script>alert(1)</script>")
    system.press("Control+Enter")
    answer = page.get_by_role("tabpanel", name="Answer")
    expect(answer.locator("ins").first).to_be_visible()
    expect(answer.locator("del").first).to_be_visible()
    expect(page.get_by_role("button", name="Test Prompt")).to_be_visible()
    page.get_by_role("tab", name="Prompt changes").click()
    added = page.get_by_role("tabpanel", name="Prompt changes").locator("ins")
    expect(added).to_contain_text("<script>alert(1)</script>")
    page.goto(f"{url}/history?source=playground")
    expect(page.get_by_text("1 trace", exact=True)).to_be_visible()
    assert dialogs == []
    with Lake(path) as lake:
        test = eventually(
            lambda: lake.spans().filter(source="playground", kind="llm").collect().rows(named=True)
        )[0]
    assert (test["forked_from_trace_id"], test["status"]) == (trace_id, "ok")


def test_a_tested_answer_is_taken_to_replay(page: Page, url: str, demo: tuple[Path, str]) -> None:
    """Use this answer opens Replay at the step, with the new answer to be given there."""
    path, trace_id = demo
    span_id = _last_answer(path, trace_id)
    page.goto(f"{url}/playground?trace={trace_id}&span={span_id}")
    system = page.get_by_role("textbox", name="System prompt")
    system.press("Control+End")
    page.keyboard.insert_text("\nAnswer in three bullet points.")
    with Lake(path) as lake:

        def tests() -> dict[str, dict[str, Any]]:
            of = {"source": "playground", "status": "ok", "original_span_id": span_id}
            return {
                test["span_id"]: test for test in lake.spans().filter(**of).collect().to_dicts()
            }

        before = tests()
        system.press("Control+Enter")
        (test,) = eventually(lambda: [tests()[new] for new in tests().keys() - before])
    # the answer of an earlier test may have such a button as well
    page.locator(f".st-key-use-{test['span_id']} button").first.click()
    expect(page).to_have_url(re.compile(rf"/replay\?.*span={span_id}"))
    answer = page.get_by_role("textbox", name="Answer of this step")
    expect(answer).to_have_value(test["response"])
    expect(page.get_by_role("button", name="Rerun from here")).to_be_visible()
    expect(page.get_by_text("Change the answer")).to_have_count(0)


def test_a_tool_call_is_answered_as_recorded_and_gone_on_from(
    page: Page, url: str, demo: tuple[Path, str]
) -> None:
    """A call in the answer comes with its recorded result; going on sends both."""
    path, trace_id = demo
    with Lake(path) as lake:
        called = pl.col("finish_reason") == "tool_use", pl.col("agent_name") == "tester"
        spans = lake.trace(trace_id).filter(pl.col("kind") == "llm", *called)
    page.goto(f"{url}/playground?trace={trace_id}&span={spans['span_id'][0]}")
    page.get_by_role("button", name="Test Prompt").click()
    page.get_by_text("Answer the tool calls and go on").click()
    expect(page.get_by_text("recorded result").first).to_be_visible()
    page.get_by_role("button", name="Go on with these results").click()

    def gone_on() -> bool:
        with Lake(path) as lake:
            tests = lake.spans().filter(
                source="playground", kind="llm", status="ok",
                original_span_id=spans["span_id"][0],
            ).sort("start_time").collect()  # fmt: skip
        return tests.height == 2 and "tool_result" in tests["messages"][1]

    eventually(gone_on)


def _last_answer(path: Path, trace_id: str) -> str:
    """The last model call of a trace that ended its turn."""
    with Lake(path) as lake:
        ended = pl.col("finish_reason") == "end_turn"
        return str(lake.trace(trace_id).filter(pl.col("kind") == "llm", ended)["span_id"][-1])
