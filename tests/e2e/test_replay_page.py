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
from tracelake.replay.checkpoints import checkpoints_of
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


@pytest.fixture(scope="module")
def demo(stage: Stage, folder: Path) -> str:
    """A recorded run of the demo program; its trace id."""
    return stage.record(copy_repository(folder / "demo"), *DEMO)


def test_an_edited_answer_is_followed_to_the_changed_output(
    stage: Stage, app: str, demo: str
) -> None:
    """The plan names the tools, counts rise, and the change stands on the graph and as text."""
    trace_id = demo
    coder = stage.spans(trace_id, kind="agent", agent_name="coder")[0]["span_id"]
    asked = len(stage.calls())
    with open_browser() as page:
        page.goto(f"{app}/replay?trace={trace_id}&span={coder}")
        expect(page.get_by_text("Tools that really run again")).to_be_visible()
        expect(page.get_by_text("run_tests (1x)")).to_be_visible()
        start = page.get_by_role("button", name="Rerun from here")
        expect(page.get_by_text("Change the answer first")).to_be_visible()
        answer = page.get_by_role("textbox", name="Answer of this step")
        expect(answer).to_have_value(re.compile("delivery_cents"))
        answer.fill(EDIT)
        start.click()  # it takes what was typed along
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("run_tests")
        dialog.get_by_role("button", name="Start").click()
        expect(page.get_by_text(re.compile(r"^edited 1$")).first).to_be_visible(timeout=90_000)
        expect(page.get_by_text(re.compile("^done$")).first).to_be_visible(timeout=90_000)
        added = page.locator(".tl-rows ins").filter(has_text="somewhere else entirely")
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


def test_a_checkpoint_brings_its_edit_back_and_the_conversation_is_replayed_from_it(
    stage: Stage, app: str, demo: str
) -> None:
    """Set at a tool with another result; later opened; the calls after it are issued again."""
    tool = stage.spans(demo, kind="tool", tool_name="run_tests")[0]["span_id"]
    with open_browser() as page:
        page.goto(f"{app}/replay?trace={demo}&span={tool}")
        result = page.get_by_role("textbox", name="Result of this step")
        result.fill("All 8 tests passed, slowly.")
        result.press("Control+Enter")
        page.get_by_role("button", name="Checkpoints").click()
        page.get_by_role("textbox", name="Name of a new checkpoint here").fill("slow tests")
        page.get_by_role("button", name="Set checkpoint").click()
        expect(page.get_by_role("button", name="Checkpoints (1)")).to_be_visible()
        eventually(lambda: checkpoints_of(stage.lake, demo))
    with open_browser() as page:
        page.goto(f"{app}/replay?trace={demo}")
        page.get_by_role("button", name="Checkpoints (1)").click()
        page.get_by_role("button", name="slow tests").click()
        result = page.get_by_role("textbox", name="Result of this step")
        expect(result).to_have_value("All 8 tests passed, slowly.")
        page.get_by_text("The conversation", exact=True).click()
        page.get_by_role("button", name="Replay the conversation").click()
        expect(page.get_by_text(re.compile("^done$")).first).to_be_visible(timeout=90_000)
        expect(page.get_by_text(re.compile(r"^live \d+$")).first).to_be_visible()
        page.get_by_role("tab", name="Calls").click()
        expect(page.get_by_text(re.compile("^llm orchestrator:")).first).to_be_visible()
    record = forks_of(stage.lake, demo)[-1]
    assert (record.fork or {})["kind"] == "conversation"
    calls = stage.spans(record.run_id, kind="llm")
    assert "passed, slowly" in calls[0]["messages"]
    assert {call["forked_from_trace_id"] for call in calls} == {demo}


def test_a_trace_without_a_command_offers_its_conversation(stage: Stage, app: str) -> None:
    """What a Tracer wrote down can be edited and replayed, though no program can run again."""
    data = {
        "response": "hello",
        "model": "gpt-4o",
        "provider": "openai",
        "messages": [{"role": "user", "content": "Greet me."}],
        "duration_ms": 1.0,
    }
    event = {"event_type": "llm_call", "trace_id": "no-command", "span_id": "lonely"}
    moment = "2026-11-22T00:00:00Z"
    stage.lake.append({**event, "timestamp": moment, "agent_name": "solo", "data": data})
    eventually(lambda: stage.spans("no-command"))
    with open_browser() as page:
        page.goto(f"{app}/replay?trace=no-command")
        expect(page.get_by_text("No command is recorded with this trace")).to_be_visible()
        answer = page.get_by_role("textbox", name="Answer of this step")
        expect(answer).to_have_value("hello")
        start = page.get_by_role("button", name="Replay the conversation")
        expect(page.get_by_text("Change the answer first")).to_be_visible()
        answer.fill("good morning")
        answer.press("Control+Enter")
        start.click()
        expect(page.get_by_text(re.compile("^done$")).first).to_be_visible(timeout=60_000)
        expect(page.get_by_text(re.compile("good morning")).first).to_be_visible()
