"""What ingest says of itself, in `hot/ingest.json`, and what is wrong with it.

read_state(hot) -> what it wrote last, None when it never did
problem_of(state, now) -> what somebody should do something about, None when all is well
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tracelake.model import from_iso
from tracelake.storage.files import read_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

STATE_NAME = "ingest.json"
#: What it means that a work of ingest fails, by the work.
_FAILS = {
    "compaction": "small files are not merged, everything stays readable",
    "retention": "old traces are not deleted",
    "sealing": "sealing fails, everything stays in the hot folder",
}
#: It writes every two seconds; a long merge or a busy machine may hold it up.
SILENT_AFTER = timedelta(seconds=30)
#: Sealing begins at 64 MB; with this much every first look at the lake takes a second or more.
UNSEALED_BYTES_MAX = 256 << 20


def read_state(hot: Path) -> dict[str, Any] | None:
    """The last state that an ingest process of this hot folder wrote."""
    try:
        found = json.loads(read_or_none(hot / STATE_NAME) or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def problem_of(state: Mapping[str, Any] | None, now: datetime) -> str | None:
    """What is wrong while a collector runs, as one line.

    Args:
        state: As `read_state` gives it.
        now: The current time.
    """
    if state is None:
        return None  # it has just been started
    if problems := state.get("problems"):
        return "; ".join(f"{_FAILS[work]}: {why}" for work, why in sorted(problems.items()))
    unsealed = state.get("unsealed_bytes") or 0
    if unsealed > UNSEALED_BYTES_MAX:
        return f"{unsealed >> 20} MB wait in the hot folder: sealing does not keep up"
    silent = now - from_iso(state["at"])
    if silent > SILENT_AFTER:
        return (
            f"ingest has been silent for {silent.total_seconds():.0f} s: "
            "calls are recorded, their spans wait; is the disk full?"
        )
    return None
