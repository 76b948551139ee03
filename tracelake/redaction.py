"""The user's own patterns of what must not reach the disk, and how it is taken out.

    parse_patterns(text) -> Patterns            regular expressions, one a line
    patterns_of(location, environ) -> Patterns  those of `TRACELAKE_REDACT` and of a lake's settings
    Patterns.sub(data) / .event(event)          bytes, or an event, without what they match
    redacting(append, location) -> append       takes events, hands them on without what they match

Invariant: what a pattern matches in the JSON text of a column is not written, wherever it begins.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from tracelake.config import SETTINGS_FILE
from tracelake.errors import ConfigError
from tracelake.storage.codec import encode
from tracelake.storage.files import read_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracelake.config import Location

VARIABLE: Final = "TRACELAKE_REDACT"
REDACTED: Final = "[redacted]"
_REDACTED_BYTES = REDACTED.encode()
#: A pattern is searched in windows, so that a big body never holds up the event loop for long.
_WINDOW_BYTES = 1 << 20
_OVERLAP_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Patterns:
    """What is taken out; true where there are any."""

    compiled: tuple[re.Pattern[bytes], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.compiled)

    def sub(self, data: bytes) -> bytes:
        """The bytes with each match replaced."""
        for pattern in self.compiled:
            data = _substitute(pattern, data)
        return data

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """An event with each match in its data and its agent's name replaced.

        Ids and times stay, and numbers that are columns. A match that spans several texts of a
        column (`"password": "…"`) makes the column a text.
        """
        plain: dict[str, Any] = orjson.loads(encode(event))
        data = {key: self._column(value) for key, value in (plain.get("data") or {}).items()}
        return {**plain, "agent_name": self._plain(plain.get("agent_name")), "data": data}

    def _column(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        clean = self._plain(value)
        if isinstance(clean, str):
            return clean
        whole = orjson.dumps(clean)
        rest = self.sub(whole)
        return clean if rest == whole else rest.decode("utf-8", "replace")

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.sub(value.encode()).decode("utf-8", "replace")
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value).items()
            return {self._plain(key): self._plain(item) for key, item in items}
        if isinstance(value, list):
            return [self._plain(item) for item in cast("list[Any]", value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return REDACTED if self.sub(told := str(value).encode()) != told else value
        return value


def _substitute(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    """`pattern.sub` in windows; a match longer than the overlap of two windows may be missed."""
    if len(data) <= _WINDOW_BYTES:
        return pattern.sub(_REDACTED_BYTES, data)
    kept: list[bytes] = []
    start = position = 0
    while position < len(data):
        border = position + _WINDOW_BYTES
        match = pattern.search(data, position, border + _OVERLAP_BYTES)
        if match is None or match.start() >= border or match.end() == match.start():
            position = border
            continue
        kept += (data[start : match.start()], _REDACTED_BYTES)
        start = position = match.end()
    kept.append(data[start:])
    return b"".join(kept)


def parse_patterns(text: str | None) -> Patterns:
    """The patterns that a text holds: regular expressions, one a line.

    Raises:
        ConfigError: A line is not a regular expression.
    """
    compiled: list[re.Pattern[bytes]] = []
    for line in filter(None, map(str.strip, (text or "").splitlines())):
        try:
            compiled.append(re.compile(line.encode()))
        except re.error as error:
            raise ConfigError(f"{VARIABLE}: {line!r} is no pattern: {error}") from error
    return Patterns(tuple(compiled))


def patterns_of(location: Location, environ: Mapping[str, str] | None = None) -> Patterns:
    """The patterns of the environment and of a lake's settings.

    Args:
        location: The lake; nothing is made there.
        environ: Environment to read; the process's own by default.

    Raises:
        ConfigError: One is no regular expression, or the settings are damaged.
        OSError: The settings cannot be read.
    """
    path = location.hot / SETTINGS_FILE
    try:
        data = read_or_none(path)
        lines = [] if data is None else [str(line) for line in json.loads(data)["redact"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is damaged ({error!r}): mend or delete it") from error
    env = os.environ if environ is None else environ
    return parse_patterns("\n".join([env.get(VARIABLE, ""), *lines]))


def redacting(
    append: Callable[[dict[str, Any]], object], location: Location
) -> Callable[[dict[str, Any]], object]:
    """`append` for events that did not pass the relay: without what the user's patterns match.

    Raises:
        ConfigError: One is no regular expression, or the settings are damaged.
        OSError: The settings cannot be read.
    """
    patterns = patterns_of(location)
    return (lambda event: append(patterns.event(event))) if patterns else append
