"""Rerun from here, in a real browser: edit a sub-agent's answer, watch, compare, cancel."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import free_port, open_browser, running_app
from tests.e2e.replay_support import Stage, staged
from tests.support import eventually
from tracelake.demo.launch import copy_repository
from tracelake.replay.fork import forks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "tracelake.demo.program", "--workdir", ".")
EDIT = "### Cause\n\nThe cause is somewhere else entirely.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole module."""
    return tmp_path_factory.mktemp("replay-page")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    """One stage for the whole module; the app adopts its collector."""
    with staged(folder) as ready:
        yield ready


@pytest.fixture(scope="module")
def app(stage: Stage, folder: Path) -> Iterator[str]:
    """The app over the stage's lake; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app", "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    lake = Path(stage.lake.path)
    with running_app(command, port=port, lake=lake, cwd=ROOT, log=folder / "app.log") as url:
        yield url


def test_an_edited_answer_is_followed_to_the_changed_output(
    stage: Stage, app: str, folder: Path
) -> None:
    """The plan names the tools, counts rise, and the change stands on the graph and as text."""
    trace_id = stage.record(copy_repository(folder / "demo"), *DEMO)
    coder = stage.spans(trace_id, kind="agent", agent_name="coder")[0]["span_id"]
    asked = len(stage.calls())
    with open_browser() as page:
        page.goto(f"{app}/replay?trace={trace_id}&span={coder}")
        expect(page.get_by_text("Tools that really run again")).to_be_visible()
        expect(page.get_by_text("run_tests (1x)")).to_be_visible()
        start = page.get_by_role("button", name="Rerun from here")
        expect(start).to_be_disabled()
        answer = page.get_by_role("textbox", name="Answer of this step")
        expect(answer).to_have_value(re.compile("delivery_cents"))
        answer.fill(EDIT)
        answer.press("Control+Enter")
        expect(start).to_be_enabled()
        start.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("run_tests")
        dialog.get_by_role("button", name="Start").click()
        expect(page.get_by_text(re.compile(r"^edited 1$")).first).to_be_visible()
        expect(page.get_by_text(re.compile("^done$")).first).to_be_visible(timeout=90_000)
        added = page.locator(".tl-diff ins").filter(has_text="somewhere else entirely")
        expect(added.first).to_be_visible()
        page.get_by_role("tab", name="Graph").click()
        changed = page.locator(".tl-merged .node.changed")
        expect(changed.first).to_be_visible()
        assert page.locator(".tl-merged .node.same").count() > changed.count()
        changed.filter(has_text="gpt-4o").first.click()
        expect(page.get_by_text("What it answered")).to_be_visible()
        page.get_by_role("tab", name=re.compile("^Files")).click()
        expect(page.get_by_text("changed · README.md")).to_be_visible()
        assert "fork=" in page.url
        expect(page.get_by_text("New fork")).to_be_visible()
    fork = forks_of(stage.lake, trace_id)[-1].fork or {}
    assert len(stage.calls()) - asked == fork["counts"]["live"]


def test_the_page_says_why_a_trace_cannot_be_run_again(stage: Stage, app: str) -> None:
    """A trace without a recorded command opens, and tells what to do."""
    stage.lake.append(
        {
            "event_type": "llm_call",
            "trace_id": "no-command",
            "span_id": "lonely",
            "timestamp": "2026-11-22T00:00:00Z",
            "agent_name": "solo",
            "data": {"response": "hello", "model": "gpt-4o", "duration_ms": 1.0},
        }
    )
    eventually(lambda: stage.spans("no-command"))
    with open_browser() as page:
        page.goto(f"{app}/replay?trace=no-command")
        expect(page.get_by_text(re.compile("no recorded exchanges"))).to_be_visible()
