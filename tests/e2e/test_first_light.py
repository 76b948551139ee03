"""What a stranger does first, in a real browser: run the demo, look, change a prompt, find it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.e2e.browser import (
    COUNT_NODES,
    MOUNTS,
    NODE_ON_SCREEN,
    free_port,
    open_browser,
    running_app,
)
from tests.support import command_lines, eventually
from tracelake import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the built wheel, away from the checkout; dependencies are this one's."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (built,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(built)], check=True, capture_output=True, timeout=120)
    ours = next(path for path in map(Path, sys.path) if (path / "streamlit").is_dir())
    # the wheel comes first on the path, and the editable install's hook is not followed
    (site / "dependencies.pth").write_text(f"{ours}\n")
    return folder / "venv" / "bin" / "python"


@pytest.mark.parametrize("source", ["checkout", "wheel"])
def test_first_light(source: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """From an empty lake to a diff of two answers and a Parquet file, without one reload."""
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true"]
    if source == "checkout":
        command = [sys.executable, "-m", "streamlit", "run", "app", *options]
        cwd = ROOT
    else:
        python = request.getfixturevalue("wheel")
        command = [str(python), "-m", "tracelake.cli", "ui", "--headless", "--port", str(port)]
        cwd = tmp_path
    lake = tmp_path / "lake"
    log = tmp_path / "app.log"
    with (
        running_app(command, port=port, lake=lake, cwd=cwd, log=log) as url,
        open_browser() as page,
    ):
        foreign: list[str] = []
        page.on("request", lambda sent: _note_foreign(sent.url, url, foreign))
        trace_id = _run_demo(page, url)
        _watch_it_grow(page, lake)
        _read_a_prompt(page)
        _test_an_edit(page, lake, trace_id)
        _find_and_export(page, url, lake, trace_id, tmp_path)
        assert foreign == []
    _nothing_left(lake)


def _note_foreign(sent: str, ours: str, foreign: list[str]) -> None:
    if not sent.startswith((ours, ours.replace("http", "ws"), "data:", "blob:")):
        foreign.append(sent)


def _run_demo(page: Page, url: str) -> str:
    """An empty lake leads to the demo; its button leads to the live graph."""
    page.goto(f"{url}/connect")
    page.get_by_role("button", name="Run the demo").click()
    page.wait_for_url(re.compile(r"/live\?.*trace="))
    found = re.search(r"trace=([0-9a-f]+)", page.url)
    assert found
    return found[1]


def _watch_it_grow(page: Page, lake: Path) -> None:
    """Nodes arrive while the program runs, in one and the same graph."""
    page.evaluate("() => { window.notReloaded = true }")
    first = eventually(lambda: page.evaluate(COUNT_NODES))
    seen = {first}
    reader = Lake(lake)

    def whole() -> bool:
        seen.add(page.evaluate(COUNT_NODES))
        return reader.traces().collect()["status"].to_list() == ["ok"]

    eventually(whole, timeout_s=150, every_s=0.2)
    spans = reader.spans().collect()
    answers = spans.filter(kind="llm").height
    eventually(lambda: page.evaluate(COUNT_NODES) == spans.height + answers)
    assert len(seen) >= 3, f"the graph did not grow, it jumped: {sorted(seen)}"
    assert page.evaluate("() => window.notReloaded") is True
    assert page.evaluate(MOUNTS) == 1


def _read_a_prompt(page: Page) -> None:
    """A click on a model call shows the whole prompt it was sent."""
    at = eventually(lambda: page.evaluate(NODE_ON_SCREEN, "llm"))
    page.mouse.click(at["x"], at["y"])
    panel = page.locator(".tl-detail")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("You are the orchestrator")
    assert page.evaluate(MOUNTS) == 1


def _test_an_edit(page: Page, lake: Path, trace_id: str) -> None:
    """The edited prompt is tested, and what changed in the answer is marked word by word."""
    page.get_by_role("button", name="Edit prompt").click()
    page.wait_for_url(re.compile(r"/playground\?"))
    system = page.get_by_role("textbox", name="System prompt")
    expect(system).to_contain_text("You are the orchestrator")
    system.press("Control+End")
    page.keyboard.insert_text("\nAnswer in French.")
    page.get_by_role("button", name="Test Prompt").click()
    expect(page.locator("ins").first).to_be_visible()
    expect(page.locator("del").first).to_be_visible()

    def recorded() -> bool:
        spans = Lake(lake).spans().filter(source="playground", kind="llm").collect()
        return spans["forked_from_trace_id"].to_list() == [trace_id]

    eventually(recorded)


def _find_and_export(page: Page, url: str, lake: Path, trace_id: str, folder: Path) -> None:
    """History finds the run by agent and by error, and its file holds the same rows."""
    page.goto(f"{url}/history?agent=tester&errors=true")
    button = page.get_by_role("button", name="Export 1 trace as Parquet")
    expect(button).to_be_visible()
    with page.expect_download() as download:
        button.click()
    target = folder / "export.parquet"
    download.value.save_as(target)
    expected = Lake(lake).trace(trace_id).sort("span_id")
    exported = pl.read_parquet(target).sort("span_id")
    assert exported["span_id"].to_list() == expected["span_id"].to_list()
    assert exported.select(expected.columns).equals(expected)


def _nothing_left(lake: Path) -> None:
    """The app takes its collector, provider and demo with it."""

    def idle() -> bool:
        return os.fspath(lake) not in command_lines()

    eventually(idle)
