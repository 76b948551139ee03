"""What the user does not want written, in the spans that a program writes itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import tracelake
from tracelake import Lake, Tracer
from tracelake.config import SETTINGS_FILE, Location
from tracelake.errors import ConfigError
from tracelake.redaction import VARIABLE, parse_patterns, patterns_of

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter7"


@dataclass
class Login:
    """A value that JSON has no word for."""

    password: str


def written(lake: Lake) -> str:
    """Everything that stands in the lake's hot folder."""
    return "".join(path.read_text() for path in lake.hot.glob("*.jsonl"))


def settings(lake: Lake, text: str) -> None:
    """Write the settings of a lake."""
    lake.hot.mkdir(parents=True, exist_ok=True)
    (lake.hot / SETTINGS_FILE).write_text(text)


def test_the_tracer_never_writes_what_a_pattern_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, prompts, arguments, results, objects, keys and errors, at the start and at the end."""
    monkeypatch.setenv(VARIABLE, "hunter[0-9]\n4111[0-9]{12}")
    lake = Lake(tmp_path / "lake")

    def fail() -> None:
        with Tracer(lake) as tracer, tracer.agent(f"agent {SECRET}", task=SECRET):
            with tracer.llm(model="m", messages=[{"role": "user", "content": SECRET}]) as call:
                call.finish(response=f"it is {SECRET}", tokens_input=3)
            with tracer.tool("login", parameters={SECRET: Login(SECRET), "n": 4111222233334444}):
                raise RuntimeError(f"refused: {SECRET}")

    with pytest.raises(RuntimeError):
        fail()
    text = written(lake)
    assert SECRET not in text
    assert "4111222233334444" not in text
    assert "it is [redacted]" in text
    rows = lake.spans().collect().to_dicts()
    assert {row["status"] for row in rows} == {"ok", "error"}
    assert {row["tokens_input"] for row in rows} == {3, None}


def test_the_patterns_of_a_lakes_settings_hold_for_its_tracers(tmp_path: Path) -> None:
    """What the *Settings* page says holds without any variable."""
    lake = Lake(tmp_path / "lake")
    settings(lake, json.dumps({"redact": ["hunter[0-9]"]}))
    with Tracer(lake) as tracer, tracer.tool("t") as tool:
        tool.finish(result=SECRET)
    assert SECRET not in written(lake)
    assert "[redacted]" in written(lake)


def test_instrumented_calls_are_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model call recorded in process is written without what a pattern matches."""
    monkeypatch.setenv(VARIABLE, "hunter[0-9]")
    lake = Lake(tmp_path / "lake")
    answer = {"choices": [{"message": {"role": "assistant", "content": f"no {SECRET}"}}]}

    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answer)

    with tracelake.instrument(lake), httpx.Client(transport=httpx.MockTransport(serve)) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}
        told = client.post("http://provider.test/v1/chat/completions", json=body)
    assert SECRET in told.text
    assert SECRET not in written(lake)
    assert "no [redacted]" in written(lake)


@pytest.mark.parametrize("text", ["{", '{"redact": ["("]}', "[]"])
def test_nothing_is_written_while_the_patterns_cannot_be_read(tmp_path: Path, text: str) -> None:
    """Better no span than one with a secret in it; the program goes on, and it is counted."""
    lake = Lake(tmp_path / "lake")
    settings(lake, text)
    with Tracer(lake) as tracer, tracer.tool("t"):
        pass
    assert tracer.dropped
    assert isinstance(tracer.last_error, ConfigError)
    assert not written(lake)


def test_a_match_across_the_texts_of_a_column() -> None:
    """A pattern written for the JSON of a body takes hold of a column, too."""
    patterns = parse_patterns('"password": ?"[^"]*"')
    event: dict[str, Any] = {"data": {"parameters": {"user": "me", "password": "x"}, "n": 1}}
    data = patterns.event(event)["data"]
    assert data == {"parameters": '{"user":"me",[redacted]}', "n": 1}


def test_patterns_of_environment_and_lake_are_one_set(tmp_path: Path) -> None:
    """Both are searched for; without either there are none."""
    location = Location(str(tmp_path), tmp_path / "hot")
    assert not patterns_of(location, {})
    settings(Lake(location), json.dumps({"redact": ["b"]}))
    assert patterns_of(location, {VARIABLE: "a"}).sub(b"abc") == b"[redacted][redacted]c"
