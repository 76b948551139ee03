"""A live run of thousands of spans leaves neither the app nor the tab growing; idle pages rest.

Takes 60 s; `TRACELAKE_SOAK_S=1800` makes it half an hour. The figures are printed (`pytest -s`).
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.browser import COUNT_NODES
from tests.e2e.live_support import Run, serve, show
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import CDPSession, Page

SOAK_S = float(os.environ.get("TRACELAKE_SOAK_S", "60"))
SPANS = 5000
GROW_S = 25.0
ROUND_S = 12.0
AGENTS = 8
IDLE_S = 12
MB = 1 << 20
#: What may come on top once all spans are there: caches fill, allocators keep what they freed.
APP_SLACK_MB, TAB_SLACK_MB = 80, 25
APP_LIMIT_MB, TAB_LIMIT_MB = 300, 150

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SOAK_S * 2 + 300)]


class Memory:
    """What the app's process and the tab's JavaScript hold."""

    def __init__(self, page: Page, figures: Callable[[str], None]) -> None:
        self._figures = figures
        self.began = time.monotonic()
        self._app = app_process()
        self._tab: CDPSession = page.context.new_cdp_session(page)
        self._tab.send("HeapProfiler.enable")

    def read(self, spans: int) -> tuple[float, float]:
        """Tell and give both, in MB; what the tab no longer needs is collected first.

        Of the app what is its own: how much of its libraries' files is mapped is the system's
        affair, and depends on what else runs.
        """
        self._tab.send("HeapProfiler.collectGarbage")
        memory = self._app.memory_info()
        app, files = (memory.rss - memory.shared) / MB, memory.shared / MB
        tab = self._tab.send("Runtime.getHeapUsage")["usedSize"] / MB
        at = time.monotonic() - self.began
        self._figures(
            f"{at:6.0f} s  {spans:5,} spans  app {app:4.0f} MB (and {files:3.0f} MB of libraries)"
            f"  tab {tab:4.0f} MB"
        )
        return app, tab


def app_process() -> psutil.Process:
    """The process of the app that this test started."""
    children = psutil.Process().children(recursive=True)
    return next(one for one in children if "streamlit" in one.cmdline())


def grow(run: Run) -> Iterator[int]:
    """Tell 5,000 spans at an even pace; gives how many were told so far, every half a second."""
    for index in range(AGENTS):
        run.tell("agent_start", f"a{index}", "root", f"agent {index}", role="agent")
    began = time.monotonic()
    told = 0
    for half in itertools.count(1):
        wanted = min(SPANS, round(SPANS * (time.monotonic() - began) / GROW_S))
        for told in range(told + 1, wanted + 1):  # noqa: B020 - goes on where it was
            agent = told % AGENTS
            place = {"parent": f"a{agent}", "agent": f"agent {agent}"}
            if told % 2:
                run.call(f"s{told}", **place, tokens={"input": 900, "output": 90})
            else:
                run.tell("tool_call", f"s{told}", status="ok", tool_name="grep", **place)
        yield told
        if told >= SPANS:
            return
        time.sleep(max(0, began + half / 2 - time.monotonic()))  # the pace of the program


def test_a_long_live_run_does_not_grow_without_bound(
    page: Page, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """With all spans told the run stays busy for the rest of the time, and memory stays."""
    with Lake(tmp_path / "lake") as lake:
        run = Run(lake, "soak")
        with serve(tmp_path / "lake") as base:
            show(page, base, "soak")
            memory = Memory(page, figures)
            for half, told in enumerate(grow(run)):
                if half % 10 == 0:
                    memory.read(told)
            page.wait_for_function(f"({COUNT_NODES})() > {SPANS}", timeout=180_000)
            busy(page, run, 8)
            app_before, tab_before = memory.read(SPANS)
            app, tab = app_before, tab_before
            rounds = max(2, round((SOAK_S - GROW_S) / ROUND_S))
            for _ in range(rounds):
                busy(page, run, ROUND_S)
                app, tab = memory.read(SPANS)
            assert app - app_before < APP_SLACK_MB
            assert tab - tab_before < TAB_SLACK_MB
            assert app < APP_LIMIT_MB
            assert tab < TAB_LIMIT_MB


def busy(page: Page, run: Run, seconds: float) -> None:
    """The run goes on: calls begin and end again and again, and the user walks through it."""
    until = time.monotonic() + seconds
    for index in itertools.count():
        if time.monotonic() > until:
            return
        run.tell("llm_call", f"again{index % 50}", status="running", model="gpt-5")
        run.tell("llm_call", f"again{index % 50}", status="ok", response=f"answer {index}")
        page.keyboard.press("j")
        time.sleep(0.1)  # the pace of the program


@pytest.mark.parametrize("is_over", [True, False])
def test_an_idle_page_rests(
    page: Page, tmp_path: Path, is_over: bool, figures: Callable[[str], None]
) -> None:
    """An open page without news costs next to nothing, whether the run is over or waits."""
    with Lake(tmp_path / "lake") as lake:
        run = Run(lake, "idle")
        for index in range(30):
            run.call(f"c{index}")
        if is_over:
            run.tell("agent_end", "root", None, status="ok")
        with serve(tmp_path / "lake") as base:
            show(page, base, "idle", 61)
            # what opening a page sets going has to end, and a run counts as busy for a while
            page.wait_for_timeout(3000 if is_over else 12_000)
            costs = {name: cpu(name) for name in ("app", "browser")}
            page.wait_for_timeout(IDLE_S * 1000)
            used = {name: (cpu(name) - before) / IDLE_S for name, before in costs.items()}
    state = "finished" if is_over else "running"
    figures(f"idle {state} run: app {used['app']:.1%}, browser {used['browser']:.1%} of one core")
    assert sum(used.values()) < 0.5, "an idle page works all the time"


def cpu(name: str) -> float:
    """Seconds of CPU that the app, or the browser with all its processes, has used."""
    if name == "app":
        found = [app_process()]
    else:
        children = psutil.Process().children(recursive=True)
        found = [one for one in children if "chrom" in one.name()]
    return sum(sum(one.cpu_times()[:2]) for one in found)
