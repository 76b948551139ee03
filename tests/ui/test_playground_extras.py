"""What the Playground page asks for before it sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake


def test_variables_are_asked_for_and_filled_in(
    open_page: Callable[..., AppTest], filled: Lake
) -> None:
    """A variable gets a field; its value is sent and kept, the prompt under edit keeps its name."""
    page = open_page("playground", trace="good", span="call")
    system = next(area for area in page.text_area if area.label == "System prompt")
    system.set_value("You serve {{customer}}, not {{nobody}}.").run()
    next(field for field in page.text_input if field.label == "{{customer}}").set_value("Ann").run()
    next(box for box in page.selectbox if box.label == "Send to").set_value("offline").run()
    next(button for button in page.button if button.label == "Test Prompt").click().run()
    assert not page.exception
    rows = eventually(
        lambda: filled.spans().filter(source="playground", kind="llm", status="ok")
        .collect().rows(named=True),
        timeout_s=60,
    )  # fmt: skip
    assert rows[0]["system"] == "You serve Ann, not {{nobody}}."
    assert json.loads(rows[0]["attributes"])["variables"] == {"customer": "Ann"}
    shown = next(area for area in page.text_area if area.label == "System prompt")
    assert "{{customer}}" in shown.value


def test_variants_stand_in_columns(open_page: Callable[..., AppTest], filled: Lake) -> None:
    """Several variants of one prompt are shown beside each other and the recorded answer."""
    page = open_page("playground", trace="good", span="call")
    next(box for box in page.selectbox if box.label == "Send to").set_value("offline").run()
    next(field for field in page.number_input if field.label == "Variants").set_value(2).run()
    next(button for button in page.button if button.label == "Test Prompt").click().run()
    eventually(
        lambda: filled.spans().filter(source="playground", kind="llm", status="ok")
        .collect().height == 2,
        timeout_s=60,
    )  # fmt: skip
    page.run()
    next(toggle for toggle in page.toggle if toggle.label == "Side by side").set_value(True).run()
    assert not page.exception
    html = "".join(element.proto.body for element in page.get("html"))
    for title in ("Recorded answer", "Test 1", "Test 2"):
        assert f'<div class="tl-caption">{title}</div>' in html
