"""The History page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl
import pytest

from app import data
from tests.ui.conftest import figures
from tracelake.query.traces import TraceFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _names(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["name"])


def _html(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def test_an_empty_lake_points_to_connect(open_page: Callable[..., AppTest]) -> None:
    """Without a trace the page says how to get one instead of showing an empty table."""
    page = open_page("history")
    assert "Nothing recorded yet" in page.markdown[0].value
    assert not page.dataframe
    assert [button.label for button in page.button] == ["Run the demo", "Connect a program"]


def test_traces_are_listed_newest_first_with_their_sums(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """Every trace is in the list, and the line above sums them."""
    page = open_page("history")
    assert _names(page) == ["Task live", "Task bad", "Task good"]
    shown = figures(page)
    assert (shown["Traces"], shown["With errors"], shown["Cost"]) == ("3", "1", "$0.750")


def test_what_reruns_did_not_cost_is_told_from_what_was_spent(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A rerun answered from the recording costs nothing, whatever its tokens are worth."""
    page = open_page("history")
    assert "Really spent" not in figures(page)
    at = "2026-11-23T10:00:00.000000Z"
    answer = {"model": "gpt-4o", "cost_usd": 0.5, "match": "exact", "source": "replay"}
    filled.append({"event_type": "llm_call", "trace_id": "again", "span_id": "call",
                   "timestamp": at, "agent_name": "coder", "data": answer})  # fmt: skip
    shown = figures(page.run())
    assert (shown["Cost"], shown["Really spent"]) == ("$1.25", "$0.750")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"agent": "coder"}, ["Task live", "Task good"]),
        ({"errors": "true"}, ["Task bad"]),
        ({"agent": "tester", "errors": "true"}, ["Task bad"]),
        ({"model": "claude-sonnet-4-5"}, ["Task good"]),
        ({"status": "running"}, ["Task live"]),
        ({"q": "do BAD"}, ["Task bad"]),
        ({"min_cost": "0.2"}, ["Task live", "Task bad", "Task good"]),
        ({"days": ["2026-11-20", "2026-11-21"]}, ["Task bad", "Task good"]),
        ({"days": ["2026-11-21"]}, ["Task bad"]),
        ({"order": "Oldest"}, ["Task good", "Task bad", "Task live"]),
    ],
)
def test_the_url_holds_the_filters(
    open_page: Callable[..., AppTest], filled: Lake, params: dict[str, str], names: list[str]
) -> None:
    """A shared link shows the same selection: every filter and the order are read from the URL."""
    assert _names(open_page("history", **params)) == names


def test_no_match_offers_the_way_back(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """A selection without a trace says so; clearing the filters shows all again."""
    page = open_page("history", q="nowhere to be found")
    assert any("No trace matches" in text.value for text in page.markdown)
    button = next(b for b in page.button if b.label == "Clear filters")
    button.click().run()
    assert not page.exception
    assert len(_names(page)) == 3


def test_a_trace_in_the_url_is_previewed_and_its_text_is_only_text(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The preview shows status, spans and errors; markup in a trace is escaped."""
    page = open_page("history", trace="bad")
    html = _html(page)
    assert "Task bad" in html
    assert '<span class="tl-chip tl-error">failed</span>' in html
    assert "Started (UTC)" in html
    assert not page.get("vega_lite_chart"), "the charts leave their place to what was opened"
    assert "rate limited &lt;b&gt;hard&lt;/b&gt;" in html
    assert "<b>hard</b>" not in html


def test_a_trace_that_is_gone_says_so(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """A link to a deleted trace opens the list and says that the trace is not there."""
    page = open_page("history", trace="nope")
    assert "nope" in page.warning[0].value
    assert len(_names(page)) == 3


def test_the_export_opens_in_polars_with_the_same_rows(lake: Lake, filled: Lake) -> None:
    """The Parquet file holds every span of the selection and nothing else."""
    wanted = TraceFilter(agents=("coder",))
    exported = pl.read_parquet(io.BytesIO(data.export_parquet(wanted)))
    expected = filled.spans().filter(pl.col("trace_id").is_in(["good", "live"])).collect()
    key = ["trace_id", "span_id"]
    assert exported.sort(key).equals(expected.sort(key))
    one = pl.read_parquet(io.BytesIO(data.export_parquet(TraceFilter(), ["bad"])))
    assert set(one["trace_id"]) == {"bad"}
