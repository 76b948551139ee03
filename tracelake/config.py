"""Settings read from the environment, each in one place.

Only the command line and the app read the environment, through the functions here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

RELAY_PORT = 8001
OTLP_PORT = 4318
#: In the hot folder: what a user set for the collector of a lake.
SETTINGS_FILE = "settings.json"
ANTHROPIC_BACKEND = "https://api.anthropic.com"
OPENAI_BACKEND = "https://api.openai.com/v1"


#: What deltalake takes for another character in a path, and polars for a column of the table.
_MISTAKEN = re.compile(r"%[0-9A-Fa-f]{2}|[\\=]")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a lake lives.

    Attributes:
        tables: Root of the tables: a local path or an `s3://` URI.
        hot: Local folder of the hot segments, the carry and the locks.
    """

    tables: str
    hot: Path

    @property
    def is_local(self) -> bool:
        """Whether the tables are on a local disk."""
        return "://" not in self.tables


def locate(
    lake: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> Location:
    """Find the lake: the argument, else `TRACELAKE_DIR`, else `~/.tracelake`.

    Args:
        lake: Path or `s3://` URI given by the caller.
        environ: Environment to read; the process's own by default.

    Raises:
        ConfigError: Object storage was named without `TRACELAKE_HOT_DIR`, the local hot folder; or
            its path is one that the libraries beneath the tables misread.
    """
    env = os.environ if environ is None else environ
    root = os.fspath(lake) if lake else env.get("TRACELAKE_DIR") or str(Path("~/.tracelake"))
    hot = env.get("TRACELAKE_HOT_DIR")
    if "://" in root:
        if not hot:
            raise ConfigError(
                f"{root} is object storage: set TRACELAKE_HOT_DIR to a local hot folder"
            )
        return Location(root.rstrip("/"), Path(hot).expanduser())
    path = Path(root).expanduser().absolute()
    if _MISTAKEN.search(str(path)):
        raise ConfigError(f"no lake can lie in {path}: choose a path without =, \\ and %41")
    return Location(str(path), Path(hot).expanduser() if hot else path / "hot")
