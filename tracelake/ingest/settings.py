"""What a user set for the collector of a lake: port, providers, redaction, retention.

They live in `hot/settings.json`, beside the collector's state, and hold for every collector of the
lake; what the command line or the environment says goes first. A collector reads them when it
starts, how long traces are kept also while it runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND, RELAY_PORT, SETTINGS_FILE
from tracelake.errors import ConfigError
from tracelake.redaction import parse_patterns
from tracelake.relay.routing import parse_backend
from tracelake.storage.files import atomic_write, read_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.config import Location

LONGEST_KEEP_DAYS: Final = 36_500
LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a lake's collector.

    Attributes:
        anthropic_backend: Base URL of Anthropic, as the SDK would be given it.
        openai_backend: Base URL of OpenAI, as the SDK would be given it (with `/v1`).
        upstreams: Further upstreams by name, reached under `/u/<name>/`.
        redact: Regular expressions of what is removed from recorded bodies before disk.
        port: Of the relay.
        keep_days: Whole UTC days that traces are kept besides today; None keeps them for good.
    """

    anthropic_backend: str = ANTHROPIC_BACKEND
    openai_backend: str = OPENAI_BACKEND
    upstreams: Mapping[str, str] = field(default_factory=dict[str, str])
    redact: tuple[str, ...] = ()
    port: int = RELAY_PORT
    keep_days: int | None = None

    def check(self) -> None:
        """Do nothing if a collector can work with them.

        Raises:
            ConfigError: The first value that it cannot use, and why.
        """
        parse_backend("anthropic", self.anthropic_backend)
        parse_backend("openai", self.openai_backend)
        for name, url in self.upstreams.items():
            parse_backend(name, url)
        parse_patterns("\n".join(self.redact))
        if not 1 <= self.port <= LARGEST_PORT:
            raise ConfigError(f"a port is a number from 1 to {LARGEST_PORT}")
        if self.keep_days is not None and not 1 <= self.keep_days <= LONGEST_KEEP_DAYS:
            raise ConfigError(f"traces can be kept for 1 to {LONGEST_KEEP_DAYS} days")

    def delete_before(self, now: datetime) -> datetime | None:
        """The UTC midnight before which traces are to go, or None."""
        if self.keep_days is None:
            return None
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=self.keep_days)


def read_settings(location: Location) -> Settings:
    """The settings of a lake; the usual ones where none were written.

    Raises:
        ConfigError: The file is damaged or holds what a collector cannot use.
    """
    path = location.hot / SETTINGS_FILE
    data = read_or_none(path)
    if data is None:
        return Settings()
    try:
        found: Any = json.loads(data)
        settings = Settings(
            anthropic_backend=str(found["anthropic_backend"]),
            openai_backend=str(found["openai_backend"]),
            upstreams={
                str(name): str(url)
                for name, url in cast("dict[str, Any]", found["upstreams"]).items()
            },
            redact=tuple(str(line) for line in found["redact"]),
            port=int(found.get("port", RELAY_PORT)),  # not in files of earlier versions
            keep_days=None if found["keep_days"] is None else int(found["keep_days"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged ({error!r}): mend or delete it") from error
    settings.check()
    return settings


def write_settings(location: Location, settings: Settings) -> None:
    """Keep the settings of a lake.

    Raises:
        ConfigError: A collector could not use them; what was there stays.
        OSError: They could not be written.
    """
    settings.check()
    location.hot.mkdir(parents=True, exist_ok=True)
    data = json.dumps(asdict(settings), indent=2).encode()
    atomic_write(location.hot / SETTINGS_FILE, data, mode=0o600)


def parse_upstreams(lines: str) -> dict[str, str]:
    """Upstreams written as `NAME=URL`, one a line.

    Raises:
        ConfigError: A line is written otherwise, or a name stands twice.
    """
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        name, equals, url = (part.strip() for part in line.partition("="))
        if not equals or not name or "://" not in url:
            raise ConfigError(f"upstream {line!r}: write it as NAME=URL")
        if name in found:
            raise ConfigError(f"upstream {name!r} stands twice")
        parse_backend(name, url)
        found[name] = url
    return found
