"""The Playground in a real browser: its editor, hostile text, and prompts of 200 KB."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import free_port, open_browser, running_app
from tests.support import eventually
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '<script>window.hacked = 1</script><img src="/x" onerror="window.hacked = 2"><b>bold</b>'
LARGE = "The quick brown fox jumps over the lazy dog number 12345, again.\n" * 3200
#: Pauses of somebody who types, milliseconds: a breath, and the moments in which the page takes the
#: text in, as the editor gives it up after 1.5 s without a key.
_BREATH_MS, _MEETINGS_MS = 350, (1550, 1650, 1750, 1850)
#: From a key going down until the next frame is ready to be drawn, in milliseconds.
WATCH_KEYS = """() => {
  window.keyTimes = [];
  document.addEventListener("keydown", () => {
    const start = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.keyTimes.push(performance.now() - start)));
  }, true);
}"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a call of hostile text and one with a system prompt of 200 KB."""
    path = tmp_path_factory.mktemp("playground") / "lake"
    with Lake(path) as lake:
        for trace_id, system in (("hostile", f"Old {HOSTILE}"), ("large", LARGE)):
            common = {"trace_id": trace_id, "timestamp": "2026-11-20T10:00:00.000000Z"}
            root = {"name": trace_id, "role": "orchestrator", "source": "proxy"}
            lake.append({"event_type": "agent_start", "span_id": "root", **common, "data": root})
            call = {
                "provider": "anthropic",
                "model": "claude-sonnet-4-5",
                "system": system,
                "messages": [{"role": "user", "content": f"Say it. {HOSTILE}"}],
                "request": {"model": "claude-sonnet-4-5", "max_tokens": 100, "stream": True},
                "response": f"Said {HOSTILE}",
                "response_blocks": [{"type": "text", "text": f"Said {HOSTILE}"}],
                "attributes": {"api": "messages", "offline": True},
                "source": "proxy",
            }
            event = {"event_type": "llm_call", "span_id": "call", "parent_id": "root", **common}
            lake.append({**event, "data": call})
            lake.append({"event_type": "agent_end", "span_id": "root", **common, "data": {}})
    return path


@pytest.fixture(scope="module")
def url(lake: Path) -> Iterator[str]:
    """The app on that lake."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app", "--server.headless", "true"]
    command += ["--server.port", str(port)]
    log = lake.with_suffix(".log")
    with running_app(command, port=port, lake=lake, cwd=ROOT, log=log) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of its own for each test."""
    with open_browser(viewport={"width": 1280, "height": 800}) as page:
        yield page


def test_hostile_text_stays_text(page: Page, url: str) -> None:
    """Markup in a prompt, an edit and an answer is drawn as text and never run."""
    page.goto(f"{url}/playground?trace=hostile&span=call")
    system = page.get_by_role("textbox", name="System prompt")
    expect(system).to_contain_text(HOSTILE)
    answer = page.get_by_role("tabpanel", name="Answer")
    expect(answer).to_contain_text(f"Said {HOSTILE}")
    system.press("Control+End")
    page.keyboard.insert_text(f"\n{HOSTILE} \u202eturned\u202c 😀")
    system.press("Control+Enter")
    expect(answer.locator("ins").first).to_be_visible()
    expect(answer.locator("del").first).to_be_visible()
    expect(answer.locator(".tl-rows")).to_contain_text(HOSTILE)
    page.get_by_role("tab", name="Prompt changes").click()
    changes = page.get_by_role("tabpanel", name="Prompt changes")
    expect(changes.locator("ins").filter(has_text="hacked").first).to_be_visible()
    # what turns the order of letters is seen and turns nothing
    expect(changes.locator("ins .tl-unseen")).to_have_count(2)
    expect(changes.locator("ins").filter(has_text="turned")).to_contain_text("😀")
    # the call as code is the one that would be sent now
    page.get_by_role("tab", name="Code").click()
    code = page.get_by_role("tabpanel", name="Code")
    for last in ("once", "twice"):
        system.press("Control+End")
        page.keyboard.insert_text(f" Edited {last}.")
        expect(code).to_contain_text(f"Edited {last}.")
    for markup in ("img", "script", "b"):
        assert page.locator(f".tl-rows {markup}").count() == 0
    assert page.evaluate("() => window.hacked") is None


def test_differences_are_counted_and_walked_through(page: Page, url: str) -> None:
    """Buttons and keys go from one difference to the next; equal lines are folded until asked."""
    page.goto(f"{url}/playground?trace=large&span=call")
    system = page.get_by_role("textbox", name="System prompt")
    expect(system).to_contain_text("The quick brown fox")
    system.press("Control+Home")
    page.keyboard.insert_text("First. ")
    system.press("Control+End")
    page.keyboard.insert_text("Last.")
    page.get_by_role("tab", name="Prompt changes").click()
    changes = page.get_by_role("tabpanel", name="Prompt changes")
    expect(changes.get_by_text("2 differences")).to_be_visible()
    changes.get_by_role("button", name="Next difference").click()
    expect(changes.get_by_text("1 of 2")).to_be_visible()
    expect(changes.locator("ins.on")).to_contain_text("First. ")
    page.keyboard.press("n")
    expect(changes.get_by_text("2 of 2")).to_be_visible()
    expect(changes.locator("ins.on")).to_be_in_viewport()
    page.keyboard.press("n")
    expect(changes.get_by_text("1 of 2")).to_be_visible()
    page.keyboard.press("p")
    expect(changes.get_by_text("2 of 2")).to_be_visible()
    assert changes.locator(".tl-rows").evaluate("rows => rows.textContent.length") < 10_000
    changes.get_by_role("button", name="unchanged lines").click()
    expect(changes.get_by_role("button", name="unchanged lines")).to_have_count(0)
    length = changes.locator(".tl-rows").evaluate("rows => rows.textContent.length")
    assert length > 2 * len(LARGE)
    system.press("Control+End")
    page.keyboard.type("n")
    expect(changes.locator("ins").filter(has_text="Last.n")).to_be_attached()


def test_focus_and_typing_survive_an_answer_that_streams(page: Page, url: str, lake: Path) -> None:
    """The editor keeps its focus and every key while the page is drawn again around it."""
    page.goto(f"{url}/playground?trace=hostile&span=call")
    system = page.get_by_role("textbox", name="System prompt")
    system.press("Control+End")
    page.keyboard.type(" first")
    system.press("Control+Enter")
    with Lake(lake) as reader:
        eventually(
            lambda: any(
                str(text).endswith(" first")
                for text in reader.spans().filter(source="playground", kind="llm")
                .collect()["system"]
            ),
            timeout_s=60,
        )  # fmt: skip
    page.keyboard.type(" second")
    expect(page.get_by_role("button", name="Test Prompt")).to_be_visible()
    page.keyboard.type(" third")
    expect(system).to_contain_text("first second third")
    page.get_by_role("button", name="Reset all").click()
    expect(system).not_to_contain_text("first")


def test_edits_outlive_the_page(page: Page, url: str) -> None:
    """Edits are there after a reload; discarded, the recorded prompt is, and Back leads away."""
    page.goto("about:blank")
    page.goto(f"{url}/playground?trace=hostile&span=call")
    system = page.get_by_role("textbox", name="System prompt")
    expect(system).to_contain_text("Old <script>")
    system.press("Control+End")
    page.keyboard.type(" kept")
    expect(page.get_by_text(re.compile("^Kept .* UTC"))).to_be_visible()
    expect(page).to_have_url(re.compile("draft=[0-9a-f]{16}"))
    page.reload()
    expect(system).to_contain_text("kept")
    page.get_by_role("button", name="Reset all").click()
    expect(system).not_to_contain_text("kept")
    expect(page).not_to_have_url(re.compile("draft="))
    page.reload()
    expect(system).to_contain_text("Old <script>")
    expect(system).not_to_contain_text("kept")
    for _ in range(page.evaluate("history.length") - 1):
        page.go_back()
    expect(page).to_have_url("about:blank")


@pytest.mark.alone
def test_a_prompt_of_200_kb_stays_quick(
    page: Page, url: str, figures: Callable[[str], None]
) -> None:
    """Keys show at once and the difference follows; tells the figures."""
    page.goto(f"{url}/playground?trace=large&span=call")
    system = page.get_by_role("textbox", name="System prompt")
    expect(system).to_contain_text("The quick brown fox")
    system.press("Control+End")
    page.evaluate(WATCH_KEYS)
    typed = ["An addition at the end, ", "typed by hand, ", "with pauses."]
    times = _type(page, system, typed, [_BREATH_MS] * 3)
    met = _type(page, system, [" Then more of it."] * 4, _MEETINGS_MS)
    start = time.perf_counter()
    page.get_by_role("tab", name="Prompt changes").click()
    changes = page.get_by_role("tabpanel", name="Prompt changes")
    expect(changes.locator("ins").filter(has_text="typed by hand").first).to_be_attached()
    opened_s = time.perf_counter() - start
    system.press("Control+End")
    page.keyboard.type(" Zebra")
    start = time.perf_counter()
    expect(changes.locator("ins").filter(has_text="Zebra").first).to_be_attached()
    followed_s = time.perf_counter() - start
    figures(
        f"{len(LARGE)} characters: key to frame {_spread(times)}; where keys go on while the page "
        f"takes the text in {_spread(met)}; "
        f"difference opened in {opened_s:.2f} s, followed a key in {followed_s:.2f} s"
    )
    assert len(times) + len(met) > 100


def _type(
    page: Page, editor: Locator, parts: Sequence[str], pauses_ms: Sequence[float]
) -> list[float]:
    """Type each part and then pause; gives how long each key took to its frame, sorted."""
    page.evaluate("window.keyTimes = []")
    for part, pause_ms in zip(parts, pauses_ms, strict=True):
        page.keyboard.type(part, delay=80)
        page.wait_for_timeout(pause_ms)
    expect(editor).to_contain_text(parts[-1])
    count = len("".join(parts))
    return sorted(eventually(lambda: page.evaluate(f"keyTimes.length >= {count} && keyTimes")))


def _spread(times: list[float]) -> str:
    median, high = times[len(times) // 2], times[int(len(times) * 0.95)]
    return f"{median:.1f} ms median, {high:.1f} ms p95, {times[-1]:.1f} ms worst of {len(times)}"
