"""A test of a draft against a real HTTP server."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import eventually
from tracelake.demo.launch import RunningProvider, running_provider
from tracelake.lake import Lake
from tracelake.playground.draft import scratch
from tracelake.playground.provider import Target, headers_to_repeat
from tracelake.playground.record import Origin
from tracelake.playground.snippets import as_curl, as_python
from tracelake.playground.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracelake.playground.draft import Draft

MODELS = {"messages": "claude-sonnet-4-5", "chat": "gpt-4o", "responses": "gpt-4o"}
SECRET = "sk-very-secret"


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    """The offline provider, answering at once."""
    with running_provider(pace=0) as running:
        yield running


def _draft(api: Any, model: str | None = None) -> Draft:
    messages = [{"role": "user", "content": "Say hello."}]
    return scratch(api, model=model or MODELS[api]).edited(system="Be kind.", messages=messages)


def _target(provider: RunningProvider, api: str) -> Target:
    url = provider.address if api == "messages" else provider.openai_base_url
    return Target("offline", url, SECRET)


@pytest.mark.parametrize("api", MODELS)
def test_a_test_is_answered_priced_and_kept_as_a_trace(
    api: str, provider: RunningProvider, tmp_path: Path
) -> None:
    """A test streams its answer and leaves a trace linked to the call it varies; no key in it."""
    with Lake(tmp_path) as lake:
        origin = Origin("old-trace", "old-span", "coder")
        trial = Trial(_draft(api), _target(provider, api), origin=origin, append=lake.append)
        outcome = trial.start().wait(30)
        assert outcome.status == "ok"
        assert outcome.response.text
        assert outcome.response.cost_usd
        assert outcome.ttft_ms is not None
        trace = lake.traces().collect().row(0, named=True)
        assert trace["trace_id"] == trial.trace_id
        assert trace["forked_from_trace_id"] == "old-trace"
        assert (trace["status"], trace["llm_calls"]) == ("ok", 1)
        span = lake.spans().filter(kind="llm").collect().row(0, named=True)
        assert span["source"] == "playground"
        assert span["original_span_id"] == "old-span"
        assert span["response"] == outcome.response.text
        assert span["system"] == "Be kind."
        assert span["cost_usd"] == outcome.response.cost_usd
        assert json.loads(span["attributes"])["api"] == api
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in written


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize(
    ("model", "status", "said"),
    [
        ("error-401", 401, "error-401"),
        ("error-404", 404, "error-404"),
        ("error-429", 429, "error-429"),
        ("error-event", 200, "overloaded"),
        ("error-cut", 200, "closed the connection"),
    ],
)
def test_an_error_is_shown_as_the_provider_gave_it(
    api: str, model: str, status: int, said: str, provider: RunningProvider
) -> None:
    """Wrong key, unknown model, rate limit, error in mid stream, cut stream: one message each."""
    outcome = Trial(_draft(api, model), _target(provider, api)).start().wait(30)
    assert outcome.status == "error"
    assert outcome.http_status == status
    assert said in (outcome.response.error or "")


@pytest.mark.parametrize(
    ("base_url", "key", "said"),
    [
        ("http://127.0.0.1:9", "k", "does not answer"),
        ("nonsense", "k", "http"),
        ("http://127.0.0.1:9", "kéy", "key holds characters"),
    ],
)
def test_what_cannot_be_reached_says_so(base_url: str, key: str, said: str, tmp_path: Path) -> None:
    """A refused connection, a bad address or a bad key end the test with a reason, recorded."""
    with Lake(tmp_path) as lake:
        trial = Trial(_draft("chat"), Target("x", base_url, key), append=lake.append)
        outcome = trial.start().wait(30)
        assert outcome.status == "error"
        assert said in (outcome.response.error or "")
        span = lake.spans().filter(kind="llm").collect().row(0, named=True)
        assert (span["status"], span["system"]) == ("error", "Be kind.")


def test_cancelling_ends_a_test_that_hangs(provider: RunningProvider) -> None:
    """A cancelled test is over at once and keeps what had come."""
    trial = Trial(_draft("messages", "error-hang"), _target(provider, "messages")).start()
    eventually(lambda: trial.outcome().response.text)
    trial.cancel()
    outcome = trial.wait(1)
    assert outcome.status == "cancelled"
    assert outcome.response.text
    assert outcome.response.error is None


def test_a_failing_recorder_does_not_cost_the_answer(provider: RunningProvider) -> None:
    """The answer is shown even when it cannot be recorded."""

    def full(_event: object) -> None:
        raise OSError("disk full")

    trial = Trial(_draft("chat"), _target(provider, "chat"), append=full)
    assert trial.start().wait(30).status == "ok"


def test_a_key_is_in_no_repr() -> None:
    """A target can be logged without giving its key away."""
    assert SECRET not in repr(Target("x", "http://x", SECRET))


@pytest.mark.parametrize("api", MODELS)
def test_copied_code_makes_the_same_call(api: str, provider: RunningProvider) -> None:
    """The Python copied from a call runs, and names the key instead of holding it."""
    import subprocess
    import sys

    draft = _draft(api).with_parameter("stream", None).with_parameter("stream_options", None)
    code = as_python(draft, base_url=_target(provider, api).base_url)
    name = "ANTHROPIC_API_KEY" if api == "messages" else "OPENAI_API_KEY"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, name: SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "scripted answer" in done.stdout
    shell = as_curl(draft, base_url="http://x/v1")
    assert f"${name}" in shell
    assert SECRET not in code + shell


def test_recorded_headers_are_sent_again_and_kept_with_the_variables(tmp_path: Path) -> None:
    """A beta flag changes what a body means, so it goes along; credentials never do."""
    received: list[dict[str, str]] = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(418)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Nothing: the test says what went wrong."""

    recorded = [
        ("Anthropic-Beta", "one"),
        ("anthropic-beta", "two"),
        ("anthropic-version", "2023-01-01"),
        ("x-api-key", "redacted"),
        ("user-agent", "recorded"),
    ]
    headers = headers_to_repeat(recorded)
    assert headers == {"anthropic-beta": "one,two", "anthropic-version": "2023-01-01"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        target = Target("own", f"http://127.0.0.1:{server.server_port}", SECRET, headers)
        with Lake(tmp_path) as lake:
            values = {"customer": "Ann"}
            trial = Trial(_draft("messages"), target, append=lake.append, variables=values)
            trial.start().wait(30)
            attributes = lake.spans().filter(kind="llm").collect()["attributes"][0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert {name: received[0][name] for name in headers} == headers
    assert "redacted" not in received[0].values()
    assert received[0]["user-agent"] != "recorded"
    kept = json.loads(attributes)
    assert (kept["headers"], kept["variables"]) == (headers, values)
