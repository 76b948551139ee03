"""The forks of one trace as a tree, to choose one or start another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import forks, state
from app.components.replay_setup import FORK

if TYPE_CHECKING:
    from tracelake.replay.record import RunRecord

_NEW = "new"
_LOOK_S = 2.0
_MARK = {
    "ok": "●",
    "error": "▲",
    "cancelled": "■",
    "refused": "▲",
    "stopped": "▲",
    "failed": "▲",
    "running": "◌",
}
_EDITS = {
    "response_text": "answer",
    "response_body": "answer",
    "request_body": "request",
    "result_text": "tool result",
}


def render_tree(trace_id: str) -> str | None:
    """The forks of a trace; gives the chosen one, None for a new fork."""
    family = forks.family(trace_id)
    wanted = state.param(FORK)
    known = [record.run_id for record in family]
    if wanted and wanted not in known:
        known.append(wanted)
    if not known:
        return None
    labels = {
        record.run_id: _label(number, record, family) for number, record in enumerate(family, 1)
    }
    chosen = st.pills(
        "Forks",
        [_NEW, *known],
        default=wanted or _NEW,
        required=True,
        format_func=lambda one: "New fork" if one == _NEW else labels.get(one) or _unlisted(one),
        key=f"replay-fork-{trace_id}-{wanted}",
    )
    fork_id = None if chosen == _NEW else chosen
    if fork_id != wanted:
        state.set_params(fork=fork_id)
        st.rerun()
    statuses = _statuses(family)
    if "running" in statuses:
        st.fragment(_follow, run_every=_LOOK_S)(trace_id, statuses)
    return fork_id


def _follow(trace_id: str, drawn: list[str]) -> None:
    """Have forks that run beside the chosen one told when they are over."""
    if _statuses(forks.family(trace_id)) != drawn:
        st.rerun()


def _statuses(family: list[RunRecord]) -> list[str]:
    return [str((record.fork or {}).get("status")) for record in family]


def _unlisted(fork_id: str) -> str:
    """A fork that is not recorded yet, or never will be."""
    known = forks.state_of(fork_id)
    return "▲ did not start" if known is None or known.is_over else f"◌ {known.status}"


def _label(number: int, record: RunRecord, family: list[RunRecord]) -> str:
    """Status, number, which fork it was forked from, what was edited, when."""
    fork = record.fork or {}
    parents = [one.run_id for one in family]
    of = f" of {parents.index(fork['trace_id']) + 1}" if fork.get("trace_id") in parents else ""
    mark = _MARK.get(str(fork.get("status")), "?")
    edit = fork.get("edit") or {}
    edited = next((word for key, word in _EDITS.items() if edit.get(key) is not None), "as it was")
    kind = "conversation, " if fork.get("kind") == "conversation" else ""
    return f"{mark} {number}{of} · {kind}{edited} · {record.start_time:%H:%M:%S} UTC"
