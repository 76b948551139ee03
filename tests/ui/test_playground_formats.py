"""A recorded prompt for another provider's models, on the Playground page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

THINKING = {"type": "thinking", "thinking": "hm <b>", "signature": "s"}


@pytest.fixture
def recorded(lake: Lake) -> Lake:
    """A lake with a Messages call that holds what other formats cannot."""
    common = {"trace_id": "t", "timestamp": "2026-11-20T10:00:00.000000Z"}
    root = {"name": "t", "role": "orchestrator", "source": "proxy"}
    lake.append({"event_type": "agent_start", "span_id": "root", **common, "data": root})
    data = {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": [THINKING, {"type": "text", "text": "Hi."}]},
            {"role": "user", "content": "And now?"},
        ],
        "request": {"model": "claude-sonnet-4-5", "max_tokens": 100, "top_k": 3, "stream": True},
        "response": "Done.",
        "response_blocks": [{"type": "text", "text": "Done."}],
        "attributes": {"api": "messages", "offline": True},
        "source": "proxy",
    }
    event = {"event_type": "llm_call", "span_id": "call", "parent_id": "root", **common}
    lake.append({**event, "data": data})
    lake.append({"event_type": "agent_end", "span_id": "root", **common, "data": {}})
    return lake


def _choose(page: AppTest, label: str, value: str) -> AppTest:
    next(box for box in page.selectbox if box.label == label).set_value(value).run()
    assert not page.exception, page.exception[0].message
    return page


def _html(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def _model(page: AppTest) -> str:
    return str(next(field for field in page.text_input if field.label == "Model").value)


def test_a_prompt_is_tested_on_another_providers_model(
    open_page: Callable[..., AppTest], recorded: Lake
) -> None:
    """The same prompt goes to another format; what stayed behind is told; the answers compare."""
    page = _choose(open_page("playground", trace="t", span="call"), "Format", "Chat")
    told = _html(page)
    for what in ("Not carried over", "thinking and its signatures", "top_k"):
        assert what in told
    assert _model(page) == "gpt-5-mini"
    _choose(page, "Send to", "offline")
    next(button for button in page.button if button.label == "Test Prompt").click().run()
    rows: Any = eventually(
        lambda: recorded.spans().filter(source="playground", kind="llm", status="ok")
        .collect().rows(named=True),
        timeout_s=60,
    )  # fmt: skip
    assert json.loads(rows[0]["attributes"])["api"] == "chat"
    assert [message["role"] for message in json.loads(rows[0]["messages"])] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert rows[0]["original_span_id"] == "call"
    page.run()
    assert "<ins>" in _html(page)


def test_switching_back_loses_nothing(open_page: Callable[..., AppTest], recorded: Lake) -> None:
    """The recorded call is there again as it was, with the edit that was made in between."""
    page = _choose(open_page("playground", trace="t", span="call"), "Format", "Responses")
    area = next(area for area in page.text_area if area.label == "System prompt")
    area.set_value("Be long.").run()
    _choose(page, "Format", "Messages")
    assert _model(page) == "claude-sonnet-4-5"
    assert "Not carried over" not in _html(page)
    texts = [area.value for area in page.text_area]
    assert "Be long." in texts
    assert "hm <b>" in texts
    undo = {str(b.key) for b in page.button if str(b.key).startswith("undo-")}
    assert undo == {"undo-system"}


def test_every_edit_can_be_taken_back_on_its_own(
    open_page: Callable[..., AppTest], recorded: Lake
) -> None:
    """A parameter is reset without the others; a message without its neighbours."""
    page = open_page("playground", trace="t", span="call")
    next(field for field in page.text_input if field.label == "Model").set_value("other").run()
    area = next(area for area in page.text_area if area.value == "Hello.")
    area.set_value("Goodbye.").run()
    area = next(area for area in page.text_area if area.value == "And now?")
    area.set_value("And then?").run()
    next(button for button in page.button if button.key == "undo-model").click().run()
    assert _model(page) == "claude-sonnet-4-5"
    help_text = "Take the edits of this message back"
    undo = [button for button in page.button if button.help == help_text]
    assert len(undo) == 2
    undo[0].click().run()
    texts = [area.value for area in page.text_area]
    assert "Hello." in texts
    assert "And then?" in texts


def test_a_prompt_from_scratch_follows_its_format(
    open_page: Callable[..., AppTest], lake: Lake
) -> None:
    """What was written for one provider is there for the other; the URL names the format."""
    page = open_page("playground", format="Chat")
    next(area for area in page.text_area if area.label == "System prompt").set_value("Hi.").run()
    _choose(page, "Format", "Messages")
    area = next(area for area in page.text_area if area.label == "System prompt")
    assert area.value == "Hi."
    assert _model(page).startswith("claude")
