"""The Playground page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake


def _html(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def _badges(page: AppTest) -> str:
    return " ".join(element.value for element in page.markdown)


def _edits(page: AppTest) -> set[str]:
    """What the page says was edited."""
    return {str(b.key).removeprefix("undo-") for b in page.button if str(b.key).startswith("undo-")}


def _area(page: AppTest, label: str):  # noqa: ANN202 - a type private to Streamlit's testing
    return next(area for area in page.text_area if area.label == label)


def _press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception, page.exception[0].message
    return page


def test_a_prompt_can_be_written_from_scratch(open_page: Callable[..., AppTest]) -> None:
    """Without a trace, even in an empty lake, the page opens on a new call."""
    page = open_page("playground")
    assert "New prompt" in _badges(page)
    assert _area(page, "System prompt").value == ""
    assert not _edits(page)


@pytest.mark.parametrize(
    ("trace", "system"), [("good", "You are coder."), ("bad", "You are tester.")]
)
def test_a_recorded_call_opens_unedited(
    open_page: Callable[..., AppTest], filled: Lake, trace: str, system: str
) -> None:
    """A span in the URL opens with its prompt, and nothing counts as edited."""
    page = open_page("playground", trace=trace, span="call")
    assert _area(page, "System prompt").value == system
    assert f"Do {trace} & <i>quickly</i>." in [area.value for area in page.text_area]
    assert not _edits(page)


def test_what_cannot_be_edited_says_why(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """A tool call or a span that is gone gives a reason and a way on."""
    assert "not an LLM call" in open_page("playground", trace="good", span="tool").warning[0].value
    assert "nope" in open_page("playground", trace="good", span="nope").warning[0].value


def test_an_edit_shows_and_can_be_taken_back(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """An edited part is marked and its reset brings the recorded text back."""
    page = open_page("playground", trace="good", span="call")
    _area(page, "System prompt").set_value("You are a poet.").run()
    assert _edits(page) == {"system"}
    _press(page, "Reset")
    assert _area(page, "System prompt").value == "You are coder."
    assert not _edits(page)


def test_messages_can_be_added_and_removed(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """A message added is empty and at the end; removing it leaves the call as recorded."""
    page = _press(open_page("playground", trace="good", span="call"), "Add message")
    assert _edits(page) == {"messages"}
    removers = [button for button in page.button if button.help == "Remove this message"]
    assert len(removers) == 2
    removers[1].click().run()
    assert not _edits(page)


def test_broken_json_is_said_and_not_sent(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Tools that are no JSON are an error beside the editor; the call keeps its last good value."""
    page = open_page("playground", trace="good", span="call")
    _area(page, "Tools").set_value("[{oops").run()
    assert "not JSON" in page.error[0].value
    assert not _edits(page)


def test_a_test_shows_its_difference_and_is_found_again(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """An edited prompt, tested offline, shows old and new answer marked, and is a trace."""
    page = open_page("playground", trace="good", span="call")
    _area(page, "System prompt").set_value("Answer as a <script>poet</script>.").run()
    target = next(box for box in page.selectbox if box.label == "Send to")
    target.set_value("offline").run()
    _press(page, "Test Prompt")
    eventually(
        lambda: not filled.spans().filter(source="playground", kind="llm", status="ok")
        .collect().is_empty(),
        timeout_s=60,
    )  # fmt: skip
    page.run()
    html = _html(page)
    assert "<del>" in html
    assert "<ins>" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    test = filled.spans().filter(source="playground", kind="llm").collect().row(0, named=True)
    assert (test["forked_from_trace_id"], test["original_span_id"]) == ("good", "call")
    listed = open_page("history", source="playground").dataframe[0].value
    assert len(listed) == 1


def test_an_error_keeps_the_edit(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """What the provider refuses is shown in its words, and what was typed is still there."""
    page = open_page("playground", trace="good", span="call")
    next(box for box in page.selectbox if box.label == "Send to").set_value("offline").run()
    model = next(field for field in page.text_input if field.label == "Model")
    model.set_value("error-429").run()
    _press(page, "Test Prompt")
    eventually(
        lambda: not filled.spans().filter(source="playground", kind="llm", status="error")
        .collect().is_empty(),
        timeout_s=60,
    )  # fmt: skip
    page.run()
    assert "429" in _html(page)
    model = next(field for field in page.text_input if field.label == "Model")
    assert model.value == "error-429"
