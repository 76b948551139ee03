"""Connect, Settings, the way in, and the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.testing.v1 import AppTest

from app import guide, navigation, service
from app.routes import guard
from tests.ui.conftest import ROOT, TIMEOUT_S, add_trace
from tracelake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    from tracelake.lake import Lake

ADDRESSES = {
    "relay": "http://127.0.0.1:4321",
    "anthropic_base_url": "http://127.0.0.1:4321",
    "openai_base_url": "http://127.0.0.1:4321/v1",
    "otlp": "http://127.0.0.1:4318",
}


def test_connect_names_the_real_addresses(
    open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be exported holds the ports that the collector really has."""
    monkeypatch.setattr(service, "addresses", lambda: ADDRESSES)
    page = open_page("connect")
    code = "\n".join(block.value for block in page.code)
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:4321" in code
    assert "export OPENAI_BASE_URL=http://127.0.0.1:4321/v1" in code
    assert any(button.label == "Run the demo" for button in page.button)


@pytest.mark.parametrize("client", guide.CLIENTS, ids=lambda client: client.name)
def test_every_client_has_whole_steps(client: guide.Client) -> None:
    """No step is left with a placeholder once the addresses are known."""
    for step in client.steps_for(ADDRESSES):
        assert "{anthropic}" not in step.code
        assert "{openai}" not in step.code
        assert "{otlp}" not in step.code


def test_connect_without_a_collector_offers_to_start_it(open_page: Callable[..., AppTest]) -> None:
    """When nothing records, the page says so instead of naming ports that do not answer."""
    page = open_page("connect")
    assert "not running" in page.error[0].value
    assert any(button.label == "Start the collector" for button in page.button)


def test_a_demo_that_does_not_start_says_why(
    open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page stays, with one line that tells what to do."""

    def fail() -> None:
        raise LakeError("no port is free")

    monkeypatch.setattr(service, "running_collector", fail)
    page = open_page("connect")
    _field(page.button, "Run the demo").click().run()
    assert not page.exception
    assert [error.value for error in page.error][-1] == "the demo did not start: no port is free"
    assert not _field(page.button, "Run the demo").click().run().exception  # it can be tried again


@pytest.mark.parametrize("is_filled", [False, True])
def test_settings_tell_of_the_lake(
    open_page: Callable[..., AppTest], lake: Lake, is_filled: bool, request: pytest.FixtureRequest
) -> None:
    """Path and sizes are shown, of an empty lake too."""
    if is_filled:
        request.getfixturevalue("filled")
    page = open_page("settings")
    assert lake.path in page.code[0].value
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Traces"] == ("3" if is_filled else "0")


def test_a_page_that_is_left_asks_for_nothing_more(
    open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks again by itself is stopped first: later it would clear the next page."""
    sent: list[ForwardMsg] = []
    enqueue = ScriptRunContext.enqueue

    def note(context: ScriptRunContext, message: ForwardMsg) -> None:
        sent.append(message)
        enqueue(context, message)

    monkeypatch.setattr(ScriptRunContext, "enqueue", note)
    page = open_page("history")
    looking = {one.auto_rerun.fragment_id for one in sent if one.HasField("auto_rerun")}
    _field(page.button, "Connect a program").click().run()
    stopped = {part for one in sent for part in one.stop_auto_rerun.fragment_ids}
    assert looking
    assert looking <= stopped


def test_only_pages_that_exist_are_listed() -> None:
    """The navigation has no dead end."""
    for entry in navigation.ENTRIES:
        assert navigation.is_listed(entry.name) == entry.path.is_file()


def test_an_app_open_to_others_asks_for_the_token(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an access token set, no page is drawn before it is given."""
    monkeypatch.setenv(guard.TOKEN_ENV, "open sesame")
    page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT_S)
    page.switch_page("../pages/settings.py").run()
    assert not page.metric
    page.text_input[0].set_value("wrong")
    page.button[0].click().run()
    assert page.error
    assert not page.metric
    page.text_input[0].set_value("open sesame")
    page.button[0].click().run()
    assert page.metric


def test_settings_are_saved_when_a_collector_can_use_them(
    open_page: Callable[..., AppTest], lake: Lake
) -> None:
    """Providers, patterns and retention are kept; the page says what will be deleted."""
    add_trace(lake, "old", agent="coder", model="gpt-4o", day=10)
    page = open_page("settings")
    _field(page.text_area, "Further providers").set_value("local=http://127.0.0.1:11434/v1")
    _field(page.text_area, "Remove from what is recorded").set_value("secret-[0-9]+")
    _field(page.number_input, "Keep traces for (days)").set_value(1)
    _field(page.button, "Save").click().run()
    assert not page.error
    saved = service.read_settings()
    assert saved.upstreams == {"local": "http://127.0.0.1:11434/v1"}
    assert saved.redact == ("secret-[0-9]+",)
    assert saved.keep_days == 1
    assert page.warning[0].value.startswith("1 trace from before ")
    assert "Saved" in page.success[0].value


def test_a_restarted_collector_works_with_what_was_saved_where_it_was(
    open_page: Callable[..., AppTest],
) -> None:
    """Programs that were told its addresses need not be told again."""
    service.running_collector()
    before = service.addresses()
    page = open_page("settings")
    _field(page.text_area, "Further providers").set_value("local=http://127.0.0.1:11434/v1")
    _field(page.button, "Save").click().run()
    health = service.collector_health()
    assert health is not None
    assert "local" not in health["upstreams"]
    _field(page.button, "Restart the collector").click().run()
    assert not page.error
    assert not page.exception
    health = service.collector_health()
    assert health is not None
    assert health["upstreams"]["local"]["url"] == "http://127.0.0.1:11434/v1"
    assert service.addresses() == before


def test_settings_that_no_collector_could_use_are_refused(
    open_page: Callable[..., AppTest],
) -> None:
    """One clear message; what was typed stays in the form, what was kept stays kept."""
    page = open_page("settings")
    _field(page.text_area, "Remove from what is recorded").set_value("(")
    _field(page.button, "Save").click().run()
    assert "(" in page.error[0].value
    assert _field(page.text_area, "Remove from what is recorded").value == "("
    assert service.read_settings().redact == ()


def _field(found: Any, label: str) -> Any:
    (one,) = (element for element in found if element.label == label)
    return one
