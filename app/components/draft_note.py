"""What became of the edits: kept, offered again, or not to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import drafts, state
from app.components import text
from tracelake.model import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from app.drafts import Keeping
    from app.workbench import Workbench

_PLACE = "_draft-note"


def reserve_note() -> None:
    """Where it is said when the edits were kept, or why they were not."""
    state.put(_PLACE, st.empty())


def render_offer(bench: Workbench) -> None:
    """Edits that were kept before, and a link to some that cannot be shown; often nothing."""
    known, offered = drafts.of(bench), drafts.offered(bench)
    if known.refused:
        shown = "shown as recorded" if bench.span else "this is a new prompt"
        said = f"{known.refused.reason}: {shown}."
        st.markdown(f":orange[{text.plain(said[:1].upper() + said[1:])}]", width="content")
    if offered:
        st.markdown(f":gray[Your edits of {_time(offered.at)} are kept.]", width="content")
        st.button(
            "Take them back",
            icon=":material/history:",
            type="tertiary",
            key=f"draft-{offered.id}",
            on_click=state.set_params,
            kwargs={state.Param.DRAFT: offered.id},
        )


def keep(bench: Workbench) -> None:
    """Keep what was edited, and say so.

    Whatever takes edits in by itself says it in each of its runs, also where nothing is new: what a
    part of the page draws elsewhere is taken away with its next run.
    """
    drafts.keep(bench)
    _fill(drafts.of(bench))


def _fill(known: Keeping) -> None:
    place, kept = state.get(_PLACE), known.kept
    if known.problem:
        since = f" since {_time(kept.at)}" if kept else ""
        place.markdown(
            f":orange[Edits{since} are not kept: {text.plain(known.problem)}.]", width="content"
        )
    elif kept:
        place.markdown(
            f":gray[Kept {_time(kept.at)}]",
            width="content",
            help="They are there after a reload, and in this link. Reset all discards them.",
        )
    else:
        place.empty()


def _time(at: datetime) -> str:
    """A time without its day where that is today."""
    return f"{at:%H:%M:%S} UTC" if at.date() == utc_now().date() else text.clock(at)
