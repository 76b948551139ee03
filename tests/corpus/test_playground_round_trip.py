"""Opening a recorded call in the playground and sending it unedited repeats it to the letter."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.cassettes import CASSETTES, Cassette, needs_corpus
from tracelake.lake import Lake
from tracelake.model import to_iso
from tracelake.playground.draft import PROVIDER_OF, draft_of
from tracelake.playground.fields import as_list, fields_of, with_field
from tracelake.playground.provider import Target
from tracelake.playground.trial import Trial
from tracelake.wire import read_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_corpus


def _editable() -> list[Cassette]:
    found: list[Cassette] = []
    for cassette in CASSETTES:
        request = read_request(cassette.exchange())
        if request is not None and request.api in PROVIDER_OF and request.messages is not None:
            found.append(cassette)
    return found


CALLS = _editable()


@pytest.fixture(scope="module")
def received() -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps every body it gets: its address and the bodies."""
    bodies: list[Any] = []

    class Keeper(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(418)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Nothing: the test says what went wrong."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each call as a span read back from a lake, by the cassette's name."""
    path: Path = tmp_path_factory.mktemp("lake")
    with Lake(path) as lake:
        for number, cassette in enumerate(CALLS):
            exchange = cassette.exchange()
            request = read_request(exchange)
            assert request is not None
            data = {
                "provider": request.provider,
                "model": request.model,
                "request": request.parameters,
                "system": request.system,
                "messages": request.messages,
                "tools": request.tools,
                "attributes": {"api": request.api},
            }
            event = {
                "event_type": "llm_call",
                "trace_id": "corpus",
                "span_id": str(number),
                "timestamp": to_iso(exchange.start_time),
                "data": data,
            }
            lake.append(event)
        rows = lake.spans().filter(kind="llm").collect().iter_rows(named=True)
        return {CALLS[int(row["span_id"])].name: row for row in rows}


@pytest.mark.parametrize("cassette", CALLS, ids=lambda c: c.name)
def test_an_unedited_call_is_sent_as_it_was_recorded(
    cassette: Cassette,
    spans: dict[str, dict[str, Any]],
    received: tuple[str, list[Any]],
) -> None:
    """Through the lake and the SDK, the body on the wire equals the recorded one as JSON."""
    address, bodies = received
    bodies.clear()
    Trial(draft_of(spans[cassette.name]), Target("keeper", address, "k")).start().wait(30)
    assert bodies == [cassette.request_json]


@pytest.mark.parametrize("cassette", CALLS, ids=lambda c: c.name)
def test_showing_every_piece_changes_nothing(
    cassette: Cassette, spans: dict[str, dict[str, Any]]
) -> None:
    """Editors that show all of a call and give it back untouched leave the body as it was."""
    draft = draft_of(spans[cassette.name])
    if isinstance(draft.messages, list):
        messages = as_list(draft.api, draft.messages)
        for index, message in enumerate(messages):
            for piece in fields_of(message):
                messages[index] = with_field(messages[index], piece, piece.value)
        draft = draft.edited(messages=messages)
    assert draft.body() == cassette.request_json
