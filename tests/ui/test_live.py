"""The Live page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ui.conftest import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_an_empty_lake_points_to_connect(open_page: Callable[..., AppTest]) -> None:
    """Without a trace the page says how to get one."""
    page = open_page("live")
    assert "Nothing recorded yet" in page.markdown[0].value
    assert [button.label for button in page.button] == ["Run the demo", "Connect a program"]


def test_the_newest_trace_is_shown_unasked(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Without a trace in the URL the newest one opens, and the URL says so."""
    page = open_page("live")
    assert page.query_params["trace"] == "live"
    assert page.get("bidi_component")


def test_a_run_that_is_named_is_waited_for_in_an_empty_lake(
    open_page: Callable[..., AppTest],
) -> None:
    """A link to a run that has only begun shows its graph as soon as there is some of it."""
    page = open_page("live", trace="soon")
    assert page.get("bidi_component")
    assert not page.exception


def test_a_playground_test_is_not_what_live_opens_on(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The newest program is, whatever was tried since."""
    data = {"source": "playground", "status": "ok", "model": "gpt-4o"}
    event = {"event_type": "llm_call", "trace_id": "tried", "span_id": "call", "data": data}
    filled.append({**event, "timestamp": "2026-11-23T10:00:00.000000Z"})
    assert open_page("live").query_params["trace"] == "live"


def test_the_trace_of_the_url_is_shown_with_its_counters(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A link opens its trace; the line above counts calls, tokens, cost and errors."""
    shown = figures(open_page("live", trace="bad"))
    assert (shown["LLM calls"], shown["Tool calls"], shown["Errors"]) == ("1", "1", "2")
    assert (shown["Tokens in"], shown["Cost"]) == ("100", "$0.250")


def test_the_run_can_be_exported(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """One button gives the run that is shown as a file for others."""
    (button,) = open_page("live", trace="bad").get("download_button")
    assert button.proto.help.startswith("Export this run as Parquet")
    assert button.proto.deferred_file_id  # made when it is asked for


def test_every_trace_can_be_chosen_and_says_how_it_does(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The selector lists traces with live, done or failed, newest first."""
    options = open_page("live", trace="good").selectbox[0].options
    words = [option.split(" · ")[0].split()[-1] for option in options]
    assert words == ["live", "failed", "done"]


def test_choosing_another_trace_changes_the_url(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The selector leads to a page that can be linked; the span of the old trace is dropped."""
    page = open_page("live", trace="good", span="call")
    page.selectbox[0].select_index(1).run()
    assert page.query_params["trace"] == "bad"
    assert "span" not in page.query_params


def test_an_unknown_trace_waits_for_its_first_span(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A link to a run that has not begun is no error."""
    page = open_page("live", trace="tomorrow")
    assert figures(page)["LLM calls"] == "0"
    assert page.selectbox[0].value == "tomorrow"
    assert page.selectbox[0].options[0] == "tomorrow · not in this lake yet"
