"""Edits that outlive their session, on the Playground page."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from app import service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

KEY = "sk-never-on-a-disk"


def _system(page: AppTest) -> str:
    return str(next(area for area in page.text_area if area.label == "System prompt").value)


def _edit(page: AppTest, system: str) -> str:
    """Edit the system prompt; gives the draft that the URL names then."""
    next(area for area in page.text_area if area.label == "System prompt").set_value(system).run()
    assert not page.exception, page.exception[0].message
    return str(page.query_params.get("draft", ""))


def _press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception, page.exception[0].message


def _choose(page: AppTest, label: str, value: str) -> None:
    next(box for box in page.selectbox if box.label == label).set_value(value).run()
    assert not page.exception, page.exception[0].message


def _said(page: AppTest) -> str:
    return " ".join(element.value for element in page.markdown)


def _folder() -> Path:
    return service.location().hot / "drafts"


def _files() -> list[Path]:
    return sorted(_folder().glob("*"))


def test_edits_come_back_in_another_session(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The URL names the draft; opened anew the edits are there, and going on writes no second."""
    page = open_page("playground", trace="good", span="call")
    assert "draft" not in page.query_params
    assert not _files()
    draft = _edit(page, "You are a poet.")
    assert "Kept " in _said(page)
    again = open_page("playground", trace="good", span="call", draft=draft)
    assert _system(again) == "You are a poet."
    assert "Kept " in _said(again)
    assert any(button.key == "undo-system" for button in again.button)
    assert _edit(again, "You are a bard.") == draft
    assert len(_files()) == 1
    latest = open_page("playground", trace="good", span="call", draft=draft)
    assert _system(latest) == "You are a bard."


def test_discarding_leaves_nothing(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Taking every edit back, at once or one by one, takes the draft off the disk and the URL."""
    page = open_page("playground", trace="good", span="call")
    for way in ("Reset all", "Reset"):
        assert _edit(page, "You are a poet.")
        _press(page, way)
        assert _system(page) == "You are coder."
        assert "draft" not in page.query_params
        assert "Kept " not in _said(page)
        assert not _files()
    assert "Take them back" not in [button.label for button in page.button]


def test_a_call_opens_as_recorded_and_offers_its_edits(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """Without a draft in the URL nothing is changed; one press brings the kept edits back."""
    draft = _edit(open_page("playground", trace="good", span="call"), "You are a poet.")
    page = open_page("playground", trace="good", span="call")
    assert _system(page) == "You are coder."
    assert "Your edits of " in _said(page)
    _press(page, "Take them back")
    assert _system(page) == "You are a poet."
    assert page.query_params["draft"] == draft
    other = open_page("playground", trace="bad", span="call")
    assert "Take them back" not in [button.label for button in other.button]


def test_formats_and_variables_come_back(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Another format with its way back, the edits before and after it, and variables' values."""
    page = open_page("playground", trace="good", span="call")
    _edit(page, "You serve {{customer}}.")
    _choose(page, "Format", "Chat")
    next(field for field in page.text_input if field.label == "Model").set_value("gpt-x").run()
    next(field for field in page.text_input if field.label == "{{customer}}").set_value("Ann").run()
    draft = page.query_params["draft"]
    again = open_page("playground", trace="good", span="call", draft=draft)
    fields = {field.label: field.value for field in again.text_input}
    assert (fields["Model"], fields["{{customer}}"]) == ("gpt-x", "Ann")
    _choose(again, "Format", "Messages")
    assert _system(again) == "You serve {{customer}}."
    model = next(field for field in again.text_input if field.label == "Model").value
    assert model == "claude-sonnet-4-5"


def test_a_prompt_from_scratch_comes_back(open_page: Callable[..., AppTest], lake: Lake) -> None:
    """By its link, and by the offer of a page without one, in the format that it had."""
    page = open_page("playground", format="Chat")
    draft = _edit(page, "Hi.")
    assert _system(open_page("playground", format="Chat", draft=draft)) == "Hi."
    offered = open_page("playground")
    assert _system(offered) == ""
    _press(offered, "Take them back")
    assert _system(offered) == "Hi."
    assert offered.query_params["format"] == "Chat"


@pytest.mark.parametrize("damage", ["gone", "damaged", "another call"])
def test_edits_that_cannot_be_shown_are_one_line(
    open_page: Callable[..., AppTest], filled: Lake, damage: str
) -> None:
    """The recorded prompt is shown, and editing it goes on under a new draft."""
    draft = _edit(open_page("playground", trace="good", span="call"), "You are a poet.")
    (file,) = _files()
    trace = "good"
    match damage:
        case "gone":
            file.unlink()
        case "damaged":
            file.write_bytes(file.read_bytes()[:99])
        case _:
            trace = "bad"
    page = open_page("playground", trace=trace, span="call", draft=draft)
    assert "shown as recorded" in _said(page)
    assert damage.replace("gone", "no longer kept") in _said(page)
    assert _system(page) == ("You are coder." if trace == "good" else "You are tester.")
    assert _edit(page, "You are a bard.") not in {"", draft}
    assert "shown as recorded" not in _said(page)


def test_a_disk_that_takes_no_drafts_holds_nobody_up(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The page works as ever and says that edits are not kept; and keeps them once it can."""
    _folder().write_text("a file where the folder should be")
    page = open_page("playground", trace="good", span="call")
    assert "not kept" not in _said(page)
    assert _edit(page, "You are a poet.") == ""
    assert _said(page).count("Edits are not kept") == 1
    assert _system(page) == "You are a poet."
    _folder().unlink()
    assert _edit(page, "You are a bard.")
    assert "not kept" not in _said(page)


def test_no_key_and_nothing_redacted_is_kept(
    open_page: Callable[..., AppTest], filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typed key is not in a draft; edits that a pattern matches are not written at all."""
    monkeypatch.setenv("TRACELAKE_REDACT", "hunter[0-9]")
    page = open_page("playground", trace="good", span="call")
    _choose(page, "Send to", "anthropic")
    key = next(field for field in page.text_input if field.label.startswith("API key"))
    key.set_value(KEY).run()
    assert _edit(page, "You are a poet.")
    assert not any(KEY.encode() in file.read_bytes() for file in _files())
    _edit(page, "The word is hunter2.")
    assert "are not kept" in _said(page)
    assert not any(b"hunter2" in file.read_bytes() for file in _files())


def test_edits_go_with_their_trace(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Deleting a trace deletes the edits of its calls, and only those."""
    for trace in ("good", "bad"):
        assert _edit(open_page("playground", trace=trace, span="call"), "You are a poet.")
    filled.delete("good")
    (file,) = _files()
    assert '"trace_id": "bad"' in file.read_text()
    filled.delete(day=date(2026, 11, 21))
    assert not _files()


def test_leaving_for_a_new_prompt_takes_no_edits_along(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """The link of the navigation, right after an edit, opens a new prompt, not the edit's draft."""
    page = open_page("playground", trace="good", span="call")
    assert _edit(page, "You are a poet.")
    page.query_params.clear()
    page.run()
    assert "New prompt" in _said(page)
    assert "draft" not in page.query_params
    assert "this is a new prompt" not in _said(page)
    page.query_params["trace"], page.query_params["span"] = "good", "call"
    page.run()
    assert _system(page) == "You are a poet."
    assert page.query_params["draft"]
