"""Edits of the Playground that outlive their session: kept as they are made, named in the URL.

Invariants:
- What the URL names is what the page shows; a call that is shown with edits has them in the URL.
- Edits that cannot be kept hold nobody up: the page goes on and says so.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app import service, state
from tracelake.errors import TraceLakeError
from tracelake.model import utc_now
from tracelake.playground import drafts
from tracelake.redaction import patterns_of
from tracelake.storage.drafts import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from app.workbench import Workbench
    from tracelake.playground.draft import Draft
    from tracelake.playground.drafts import Call, Kept


@dataclass(frozen=True, slots=True)
class Refused:
    """Id in a URL whose edits cannot be shown, and why they cannot."""

    id: str
    reason: str


@dataclass(slots=True)
class Keeping:
    """What a session knows of the kept edits of one call.

    Attributes:
        kept: Where the edits are on the disk, None where they are not.
        problem: Why the last of them are not kept, empty when they are.
        refused: What the URL names in vain.
    """

    kept: Kept | None = None
    problem: str = ""
    refused: Refused | None = None
    _seen: Draft | None = None
    _values: dict[str, str] = field(default_factory=dict[str, str])

    def is_news(self, bench: Workbench) -> bool:
        """Whether anything was edited since this was asked last."""
        is_known = self._seen is bench.draft and self._values == bench.values
        self._seen, self._values = bench.draft, dict(bench.values)
        return not is_known


def of(bench: Workbench) -> Keeping:
    """What this session knows of the kept edits of a call."""
    return state.remember(f"_keeping {_call(bench)}", Keeping)


def follow_url(bench: Workbench) -> bool:
    """Show the edits that the URL names, and name those that are shown there.

    Returns:
        Whether other edits were taken than were shown.
    """
    known, wanted = of(bench), state.param(state.Param.DRAFT)
    shown = known.kept.id if known.kept else None
    if wanted is None:
        known.refused = None
    if wanted == shown or (known.refused and known.refused.id == wanted):
        return False
    if wanted is None:
        # the page was left and is here again
        state.set_params(draft=shown)
        return False
    try:
        kept, edits = drafts.read(_folder(), _call(bench), wanted)
        bench.restore(edits)
    except (TraceLakeError, OSError) as error:
        known.refused = Refused(wanted, _said(error))
        return False
    known.kept, known.problem, known.refused = kept, "", None
    known.is_news(bench)
    return True


def keep(bench: Workbench) -> None:
    """Keep what was edited since the last time; quick where nothing was."""
    known = of(bench)
    if not known.is_news(bench):
        return
    try:
        if bench.is_edited:
            patterns = patterns_of(service.location())
            kept = drafts.keep(_folder(), _call(bench), bench.kept, known.kept, patterns=patterns)
        else:
            kept = None
            if known.kept is not None:
                drafts.discard(_folder(), _call(bench), known.kept)
    except (TraceLakeError, OSError) as error:
        known.problem = _said(error)
        return
    if kept or known.kept:
        state.set_params(draft=kept.id if kept else None)
    known.kept, known.problem, known.refused = kept, "", None if kept else known.refused


def offered(bench: Workbench) -> Kept | None:
    """Edits of the call that were kept before, while it is shown without any."""
    known = of(bench)
    if bench.is_edited or known.kept is not None:
        return None
    try:
        _sweep(_folder())
        return drafts.latest(_folder(), _call(bench))
    except OSError as error:
        known.problem = _said(error)
        return None


@functools.cache
def _sweep(folder: Path) -> None:
    """Take old drafts away, once a process."""
    drafts.sweep(folder, utc_now())


def _folder() -> Path:
    return service.location().hot / FOLDER


def _call(bench: Workbench) -> Call:
    return (bench.span["trace_id"], bench.span["span_id"]) if bench.span else None


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
