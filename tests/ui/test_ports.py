"""The port of the relay: taken by another program, chosen anew, and free again."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from app import service
from tracelake.ingest import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamlit.testing.v1 import AppTest

    from tracelake.lake import Lake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def taken(lake: Lake) -> Iterator[socket.socket]:
    """Another program that has the port at which the collector was to listen, which runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        chosen = settings.Settings(port=other.getsockname()[1])
        settings.write_settings(service.location(), chosen)
        service.running_collector()
        yield other


def _port() -> int:
    addresses = service.addresses()
    assert addresses is not None
    return int(addresses["relay"].rsplit(":", 1)[1])


@pytest.mark.parametrize("name", ["live", "connect", "settings"])
def test_a_taken_port_is_told_with_the_way_out(
    open_page: Callable[..., AppTest], taken: socket.socket, name: str
) -> None:
    """Programs that were told the usual port reach somebody else: a page says so by itself."""
    wanted = taken.getsockname()[1]
    page = open_page(name)
    (said,) = (one.value for one in page.warning)
    assert f"Another program has port {wanted}" in said
    assert f"records at port {_port()}" in said
    assert "choose another port in Settings" in said


def test_the_port_is_taken_back_once_it_is_free(
    open_page: Callable[..., AppTest], taken: socket.socket
) -> None:
    """Without a restart of the app."""
    wanted = taken.getsockname()[1]
    taken.close()
    page = open_page("connect")
    assert not page.warning
    (button,) = (one for one in page.button if one.label == f"Record at port {wanted}")
    button.click().run()
    assert not page.exception
    assert not page.error
    assert _port() == wanted
    assert not page.info
    assert f"http://127.0.0.1:{wanted}" in "".join(code.value for code in page.code)


def test_another_port_is_chosen_in_the_settings(
    open_page: Callable[..., AppTest], taken: socket.socket
) -> None:
    """Saved and restarted, the collector listens there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        other = probe.getsockname()[1]
    page = open_page("settings")
    _one(page.number_input, "Port").set_value(other)
    _one(page.button, "Save").click().run()
    _one(page.button, "Restart the collector").click().run()
    assert not page.exception
    assert not page.error
    assert _port() == other
    assert not page.warning


def test_a_collector_that_is_gone_is_started_again(open_page: Callable[..., AppTest]) -> None:
    """Whoever ran it: the button of Connect starts one, and is no dead end."""
    gone = service.running_collector()
    gone.stop()
    page = open_page("connect")
    _one(page.button, "Start the collector").click().run()
    assert not page.exception
    assert service.addresses() is not None
    assert not page.error


def _one(found: Any, label: str) -> Any:
    (one,) = (element for element in found if element.label == label)
    return one
