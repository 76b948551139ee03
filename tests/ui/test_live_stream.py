"""The WebSocket of a live trace: who may open it, what it says, how it resumes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import uvicorn
from starlette.applications import Starlette
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.routes import guard, live
from tests.support import eventually
from tests.ui.conftest import add_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.lake import Lake

PATIENCE_S = 60


@pytest.fixture
def base(filled: Lake) -> Iterator[str]:
    """Address of a server of the stream, the lake filled."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=live.routes), log_level="warning", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    eventually(lambda: server.started)
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the server did not stop"
    listener.close()


class Browser:
    """What a page's WebSocket sees."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def read(self) -> dict[str, Any]:
        """The next message."""
        return json.loads(self._connection.recv(timeout=PATIENCE_S))

    def say(self, message: object) -> None:
        """Send text as it is, anything else as JSON."""
        self._connection.send(message if isinstance(message, str) else json.dumps(message))


@contextlib.contextmanager
def opened(base: str, trace_id: str, origin: str | None = None, **query: Any) -> Iterator[Browser]:
    """The stream of a trace, opened as a page of this app with a good token would."""
    query = {"token": guard.issue_token(), **query}
    with connect(
        f"ws://{base}/ws/traces/{trace_id}?{urlencode(query)}",
        origin=origin or f"http://{base}",  # type: ignore[arg-type]
        open_timeout=PATIENCE_S,
    ) as connection:
        yield Browser(connection)


def test_a_snapshot_comes_first(base: str) -> None:
    """A browser gets the whole graph, its totals and its status at once."""
    with opened(base, "good") as page:
        message = page.read()
    assert message["type"] == "snapshot"
    assert {node["id"] for node in message["nodes"]} == {"root", "call", "call:response", "tool"}
    assert message["status"] == "ok"
    assert message["totals"]["calls"] == 1


def test_what_happens_next_comes_as_a_delta(base: str, lake: Lake) -> None:
    """An event appended by another process reaches the browser as an upsert in sequence."""
    with opened(base, "live") as page:
        first = page.read()
        lake.append({
            "event_type": "llm_call", "trace_id": "live", "span_id": "next", "parent_id": "root",
            "timestamp": "2026-11-22T10:00:09.000000Z", "agent_name": "coder",
            "data": {"status": "running", "model": "gpt-4o"},
        })  # fmt: skip
        delta = page.read()
    assert (delta["type"], delta["prev"]) == ("delta", first["seq"])
    assert [node["id"] for node in delta["nodes"]] == ["next"]


def test_a_browser_that_comes_back_gets_only_what_it_missed(base: str, lake: Lake) -> None:
    """With its epoch and number a reconnecting browser is spared the snapshot."""
    with opened(base, "live") as page:
        first = page.read()
    with opened(base, "live", epoch=first["epoch"], since=first["seq"]) as page:
        assert page.read().get("nodes", []) == []
    with opened(base, "live", epoch="another", since=first["seq"]) as page:
        assert page.read()["type"] == "snapshot"


def test_a_span_is_sent_when_asked_for(base: str) -> None:
    """Bodies travel on demand; of an unknown span nothing does."""
    with opened(base, "good") as page:
        page.read()
        page.say({"span": "call"})
        answer = page.read()
        page.say({"span": "nobody"})
        nothing = page.read()
    assert answer["type"] == "document"
    assert "Do good & <i>quickly</i>." in str(answer["document"]["turns"])
    assert nothing["document"] is None


def test_the_other_layout_is_sent_when_asked_for(base: str) -> None:
    """Python places the hierarchy too; nonsense is passed over."""
    with opened(base, "good") as page:
        page.read()
        page.say("no json")
        page.say(["layout"])
        page.say({"layout": "spiral", "span": "../etc"})
        page.say({"layout": "hierarchy"})
        places = page.read()["places"]
    assert places.keys() == {"root", "call", "call:response", "tool"}


@pytest.mark.parametrize(
    ("origin", "token"),
    [("http://evil.example", None), (None, "made-up"), (None, "")],
)
def test_strangers_are_refused(base: str, origin: str | None, token: str | None) -> None:
    """A foreign page and a missing or made-up token are refused before anything is said."""
    query = {} if token is None else {"token": token}
    with pytest.raises(InvalidStatus) as refusal, opened(base, "good", origin, **query):
        pass
    assert refusal.value.response.status_code == 403


def test_a_script_on_this_machine_needs_no_token(base: str) -> None:
    """Without an Origin it is no page, and loopback is trusted."""
    with connect(f"ws://{base}/ws/traces/good") as connection:
        assert Browser(connection).read()["type"] == "snapshot"


def test_two_traces_have_two_streams(base: str, lake: Lake) -> None:
    """News of one trace never reach the stream of another."""
    add_trace(lake, "other", agent="writer", model="gpt-4o", day=22, ended=False)
    with opened(base, "live") as one, opened(base, "other") as two:
        seen = [page.read()["nodes"] for page in (one, two)]
    labels = [{node["label"] for node in nodes} for nodes in seen]
    assert "coder" in labels[0]
    assert "writer" in labels[1]
    assert "writer" not in labels[0]


def test_an_open_stream_does_not_hold_up_the_server(base: str) -> None:
    """Stopping the server ends open streams at once; a closed tab leaves nothing behind."""
    with opened(base, "good") as page:
        page.read()
    # the fixture stops the server and fails if a handler outlived its browser
