"""What a user set for a lake: kept whole, checked before it is kept, and never half read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tracelake.config import SETTINGS_FILE, locate
from tracelake.errors import ConfigError
from tracelake.ingest.settings import (
    Settings,
    parse_upstreams,
    read_settings,
    write_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 13, 30, tzinfo=UTC)


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Every field survives, in a file that only its owner reads."""
    location = locate(tmp_path)
    assert read_settings(location) == Settings()
    wanted = Settings(
        anthropic_backend="https://gateway.example/anthropic",
        upstreams={"ollama": "http://127.0.0.1:11434/v1"},
        redact=("customer-[0-9]+", "ä"),
        port=8011,
        keep_days=30,
    )
    write_settings(location, wanted)
    assert read_settings(location) == wanted
    assert (location.hot / SETTINGS_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "wrong",
    [
        Settings(anthropic_backend="gateway"),
        Settings(openai_backend="https://user:secret@host/v1"),
        Settings(upstreams={"a b": "http://host"}),
        Settings(redact=("fine", "(")),
        Settings(keep_days=0),
        Settings(port=0),
        Settings(port=65_536),
    ],
)
def test_what_a_collector_cannot_use_is_not_kept(tmp_path: Path, wrong: Settings) -> None:
    """The error says what is wrong and the settings that were there stay."""
    location = locate(tmp_path)
    write_settings(location, Settings(keep_days=7))
    with pytest.raises(ConfigError):
        write_settings(location, wrong)
    assert read_settings(location) == Settings(keep_days=7)


@pytest.mark.parametrize("content", ["", "[]", '{"keep_days": 3}', '{"upstreams": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    """Nobody records with settings that are half there."""
    location = locate(tmp_path)
    location.hot.mkdir(parents=True)
    (location.hot / SETTINGS_FILE).write_text(content)
    with pytest.raises(ConfigError, match=SETTINGS_FILE):
        read_settings(location)


def test_whole_days_are_kept() -> None:
    """Today and the wanted number of whole days before it stay."""
    assert Settings().delete_before(NOW) is None
    assert Settings(keep_days=1).delete_before(NOW) == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("lines", ["ollama", "=http://x", "a=http://x\na=http://y", "a=ftp://x"])
def test_upstreams_that_cannot_be_meant_are_refused(lines: str) -> None:
    """A line is NAME=URL of a web address, each name once."""
    with pytest.raises(ConfigError):
        parse_upstreams(lines)
    assert parse_upstreams(" a = http://x/v1 \n\n") == {"a": "http://x/v1"}
