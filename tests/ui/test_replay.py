"""The Replay page."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from app import forks
from app.components import replay_tree
from app.components.replay_edit import Opened
from tests.ui.conftest import add_trace
from tracelake.model import Exchange
from tracelake.replay.fork import ForkState
from tracelake.storage.xlog import ExchangeLog, ended_record, opened_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _button(page: AppTest, label: str) -> Any:
    (one,) = (button for button in page.button if button.label == label)
    return one


def test_an_empty_lake_offers_the_demo(open_page: Callable[..., AppTest]) -> None:
    """Without a trace there is nothing to rerun, and the page says how to get one."""
    page = open_page("replay")
    assert "Nothing recorded yet" in page.markdown[0].value
    assert [button.label for button in page.button] == ["Run the demo", "Connect a program"]


def test_the_run_of_the_url_is_chosen_and_named_with_its_zone(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A link opens its run; the page says what a rerun is before anything is started."""
    page = open_page("replay", trace="good")
    run = page.selectbox[0]
    assert run.value == "good"
    assert "Task good · 20 Nov 10:00:00 UTC · good" in run.options
    assert any("Each rerun is a new trace" in caption.value for caption in page.caption)


def test_without_a_choice_the_latest_run_is_there_and_not_its_fork(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """Who reran a run wants to rerun it again, not the rerun."""
    filled.append({"event_type": "llm_call", "trace_id": "again", "span_id": "call",
                   "timestamp": "2026-11-23T10:00:00.000000Z", "agent_name": "coder",
                   "data": {"model": "m", "forked_from_trace_id": "live"}})  # fmt: skip
    page = open_page("replay")
    assert page.selectbox[0].value == "live"


def test_a_run_without_a_command_can_only_be_talked_through_after_an_edit(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """What cannot be done is said, with the way to make it possible; the edit frees the button."""
    page = open_page("replay", trace="good", span="call")
    assert "`tracelake run -- CMD`" in page.info[0].value
    _button(page, "Replay the conversation").click().run()
    assert "Change the answer first" in page.warning[0].value
    answer = next(area for area in page.text_area if area.label == "Answer of this step")
    answer.set_value("Did something else.").run()
    assert not page.exception
    assert not page.warning


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_edited_text_keeps_the_calls_unless_the_answer_was_brought_whole(
    open_page: Callable[..., AppTest], filled: Lake, *, is_whole: bool
) -> None:
    """A test's answer without calls replaces all of the recorded one, a text only its text."""
    block = {"type": "tool_use", "id": "t1", "name": "grep", "input": {}}
    said = {"type": "text", "text": "I look."}
    answer = {"type": "message", "role": "assistant", "content": [said, block]}
    recorded = Exchange(
        span_id="call", trace_id="good", start_time=datetime(2026, 11, 20, 10, tzinfo=UTC),
        end_time=datetime(2026, 11, 20, 10, 1, tzinfo=UTC), method="POST", path="/v1/messages",
        upstream="anthropic", request_headers=(), status=200, outcome="ok",
        request_body=b'{"model": "m", "max_tokens": 9, "messages": []}',
        response_body=json.dumps(answer).encode(),
    )  # fmt: skip
    log = ExchangeLog(filled.hot)
    log.write([opened_record(recorded), ended_record(recorded)])
    log.done("call", "good", None)
    log.close()
    page = open_page("replay", trace="good", span="call")
    if is_whole:
        page.session_state["_replay_opened call"] = Opened("Answer", is_whole, "brought")
        page.run()
    assert not page.exception
    (keeps,) = (toggle for toggle in page.toggle if "grep" in toggle.label)
    assert keeps.value is not is_whole
    # without its calls another answer already, with them only once its text differs
    assert page.session_state["_replay_edit call"] == (
        ("Answer", "Did good.") if is_whole else None
    )
    page.text_area[0].set_value("I wait.").run()
    what, typed = page.session_state["_replay_edit call"]
    assert what == ("Answer" if is_whole else "Answer as JSON")
    assert "I wait." in typed
    assert ("grep" in typed) is not is_whole


def test_what_is_brought_to_a_step_shows_whatever_was_chosen_there_before(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A checkpoint opens with its own kind of edit, also twice, and "Nothing" is no edit."""
    page = open_page("replay", trace="good", span="call")
    page.text_area[0].set_value("Did something else.").run()
    _one(page.text_input, "Name of a new checkpoint here").set_value("else").run()
    _button(page, "Set checkpoint").click().run()
    for _ in range(2):
        _one(page.segmented_control, "Edit").set_value("Nothing").run()
        assert page.session_state["_replay_edit call"] is None
        assert not page.text_area
        _button(page, "else").click().run()
        assert not page.exception
        assert _one(page.segmented_control, "Edit").value == "Answer"
        assert page.text_area[0].value == "Did something else."


def test_a_run_without_a_model_call_says_so(open_page: Callable[..., AppTest], lake: Lake) -> None:
    """A trace of tools alone has no step that could be run again."""
    lake.append({"event_type": "tool_call", "trace_id": "tools", "span_id": "one",
                 "timestamp": "2026-11-22T10:00:00.000000Z", "agent_name": "coder",
                 "data": {"tool_name": "grep", "result": "3 hits"}})  # fmt: skip
    page = open_page("replay", trace="tools")
    assert "no model call" in page.info[0].value


def test_a_link_to_a_fork_that_is_gone_opens_the_form(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A stale link is no error: the newest run can be forked, and the URL names it."""
    page = open_page("replay", fork="nope")
    assert not page.error
    assert page.query_params["trace"] == "live"
    assert "fork" not in page.query_params


def test_the_calls_of_a_fork_name_what_they_repeat(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """By agent and model, as everywhere; ids tell a reader nothing."""
    call = {"outcome": "exact", "original_span_id": "call", "similarity": None, "detail": []}
    fork = {"trace_id": "good", "span_id": "call", "status": "ok", "calls": [call]}
    begun = datetime(2026, 11, 23, tzinfo=UTC)
    filled.write("runs", [{"run_id": "again", "start_time": begun, "command": [], "fork": fork}])
    add_trace(filled, "again", agent="coder", model="claude-sonnet-4-5", day=23)
    page = open_page("replay", fork="again")
    tables = [table.value for table in page.dataframe]
    (calls,) = [table for table in tables if "repeats" in table.columns]
    assert calls["repeats"].to_list() == ["coder · claude-sonnet-4-5"]


def test_a_fork_that_runs_is_not_said_to_be_starting(
    open_page: Callable[..., AppTest], filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pill of a fork tells its status, also while its record is not written yet."""
    running = ForkState("again", status="running")
    monkeypatch.setattr(forks, "state_of", {"again": running}.get)
    monkeypatch.setattr(forks, "origin_of", {"again": "good"}.get)
    page = open_page("replay", trace="good", fork="again")
    (pills,) = page.button_group
    assert pills.options == ["New fork", "◌ running"]


def test_a_fork_beside_the_chosen_one_is_followed_too(
    open_page: Callable[..., AppTest], filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page looks again as long as one runs, whichever is shown."""
    common = {"trace_id": "good", "span_id": "call", "calls": [], "runner_pid": os.getpid()}
    for day, name, status in ((23, "first", "running"), (24, "second", "cancelled")):
        begun = datetime(2026, 11, day, tzinfo=UTC)
        fork = common | {"status": status}
        row = {"run_id": name, "start_time": begun, "command": [], "fork": fork}
        filled.write("runs", [row])
    looked: list[str] = []

    def follow(trace_id: str, _drawn: list[str]) -> None:
        looked.append(trace_id)

    monkeypatch.setattr(replay_tree, "_follow", follow)
    page = open_page("replay", trace="good", fork="second")
    assert [one[:3] for one in page.button_group[0].options] == ["New", "◌ 1", "■ 2"]
    assert looked == ["good"]


def test_a_call_that_failed_is_not_said_to_call_tools(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The step to rerun is told by what became of it."""
    steps = open_page("replay", trace="bad").selectbox[1]
    assert steps.options[0] == "1 · tester · gpt-4o · failed: rate limited <b>hard</b>"


def test_a_fork_whose_program_failed_says_what_failed(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The reason is on the screen, not only in what the program printed."""
    fork = {"trace_id": "good", "span_id": "call", "status": "error", "calls": []}
    begun = datetime(2026, 11, 23, tzinfo=UTC)
    row = {"run_id": "again", "start_time": begun, "end_time": begun, "command": [], "fork": fork}
    filled.write("runs", [row])
    add_trace(filled, "again", agent="coder", model="gpt-4o", day=23, error="no such host.")
    page = open_page("replay", fork="again")
    assert "coder · gpt\\-4o\\: no such host\\." in page.error[0].value


def test_what_was_typed_and_chosen_is_there_again(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A look at a rerun, at another edit or another page loses no edit and no choice."""
    page = open_page("replay", trace="good", span="call")
    page.text_area[0].set_value("Did something else.").run()
    _one(page.text_input, "Tools that may run").set_value("my.tools").run()
    page.switch_page("../pages/settings.py").run()
    page.switch_page("../pages/replay.py")
    page.query_params.update({"trace": "good", "span": "call"})
    page.run()
    assert page.text_area[0].value == "Did something else."
    assert _one(page.text_input, "Tools that may run").value == "my.tools"
    assert not any("Change the answer first" in caption.value for caption in page.caption)
    page.text_area[0].set_value("Did good.").run()
    assert any("Change the answer first" in caption.value for caption in page.caption)


def _one(found: Any, label: str) -> Any:
    (one,) = (element for element in found if element.label == label)
    return one
