"""Named checkpoints of a trace: open one, take one back, set one at the chosen step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from app import forks, state
from app.components import press, replay_edit, text
from app.components.replay_edit import ANSWER, BODY, REQUEST, RESULT
from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from tracelake.replay.checkpoints import Checkpoint
    from tracelake.replay.session import Edit


def render_checkpoints(trace_id: str, span_id: str) -> None:
    """A button that opens the checkpoints of a trace.

    Args:
        trace_id: The trace.
        span_id: The chosen step, at which a checkpoint would be set.
    """
    listed = forks.checkpoints(trace_id)
    label = f"Checkpoints ({len(listed)})" if listed else "Checkpoints"
    with st.popover(label, icon=":material/bookmark:", key="replay-checkpoints"):
        for one in listed:
            _render(one)
        if not listed:
            st.caption("Name this step, with your edit, to come back to it.")
        name = st.text_input(
            "Name of a new checkpoint here", max_chars=120, key=f"replay-name-{len(listed)}"
        )
        if press.button("Set checkpoint", key="replay-set"):
            _set(trace_id, span_id, name)


def _render(one: Checkpoint) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        # a callback, since it fills in what is drawn before this
        st.button(
            text.plain(one.name),
            icon=":material/fork_right:",
            help="Go to this step" + (", with its edit." if one.edit else "."),
            on_click=_open,
            args=(one,),
            width="stretch",
            key=f"replay-open-{one.checkpoint_id}",
        )
        st.button(
            "",
            icon=":material/delete:",
            type="tertiary",
            help="Take this checkpoint back.",
            on_click=forks.remove_checkpoint,
            args=(one,),
            key=f"replay-remove-{one.checkpoint_id}",
        )


def _open(one: Checkpoint) -> None:
    state.set_params(span=one.span_id)
    if one.edit is None:
        return
    texts = _texts(one.edit, is_tool=forks.is_tool(one.trace_id, one.span_id))
    replay_edit.fill_in(one.span_id, texts, is_whole=one.edit.response_text is not None)


def _texts(edit: Edit, *, is_tool: bool) -> dict[str, str]:
    """What the fields of the form are to hold for an edit."""
    found: dict[str, str] = {}
    if edit.response_text is not None:
        found[RESULT if is_tool else ANSWER] = edit.response_text
    for what, body in ((BODY, edit.response_body), (REQUEST, edit.request_body)):
        if body is not None:
            found[what] = json.dumps(body, indent=2, ensure_ascii=False)
    return found


def _set(trace_id: str, span_id: str, name: str) -> None:
    typed = replay_edit.kept(span_id)
    try:
        edit = replay_edit.as_edit(*typed) if typed else None
        forks.set_checkpoint(trace_id, span_id, name, edit)
    except TraceLakeError as error:
        st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    except ValueError as error:
        st.error(str(error))
    else:
        st.rerun()
