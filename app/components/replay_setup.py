"""Choose a step, edit it, see what a fork will do, start it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import forks, state
from app.components import text
from tracelake.errors import TraceLakeError
from tracelake.replay.fork import ForkRequest
from tracelake.replay.session import Edit

if TYPE_CHECKING:
    from tracelake.replay.fork import ForkPlan

ANSWER, BODY, REQUEST, NOTHING = "Answer", "Answer as JSON", "Request", "Nothing"
_COPIES: dict[str, Any] = {
    "As recorded": None,
    "As the folder is now": "present",
    "In place": "in_place",
}
FORK = "fork"


def render_setup(trace_id: str) -> None:
    """The whole form for one trace."""
    listed = forks.steps(trace_id)
    if not listed:
        st.info("This trace has no model call that could be run again.")
        return
    left, right = st.columns([1.4, 1], gap="medium")
    with left:
        span = _choose(trace_id, listed)
        edit, problem = _edit(trace_id, span)
    with right:
        request = _options(trace_id, span, edit)
        _plan(request, problem)


def _choose(trace_id: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    ids = [str(span["span_id"]) for span in listed]
    wanted = state.param(state.Param.SPAN)
    wanted = forks.resolve(trace_id, wanted) if wanted else None
    spans = dict(zip(ids, listed, strict=True))
    labels = {span_id: _label(number, spans[span_id]) for number, span_id in enumerate(ids, 1)}
    chosen = st.selectbox(
        "Step",
        ids,
        index=ids.index(wanted) if wanted in ids else len(ids) - 1,
        format_func=labels.__getitem__,
        # with other labels another widget: Streamlit keeps the chosen label, not the id
        key=f"replay-step-{trace_id}-{hash(tuple(labels.values()))}",
    )
    state.set_params(span=chosen)
    return spans[chosen]


def _label(number: int, span: dict[str, Any]) -> str:
    said = " ".join(str(span["response"] or "calls tools").split())[:70]
    return f"{number} · {span['agent_name'] or 'call'} · {span['model']} · {said}"


def _edit(trace_id: str, span: dict[str, Any]) -> tuple[Edit | None, str | None]:
    """The edit as typed, and what is wrong with it."""
    recorded = forks.recorded(trace_id, str(span["span_id"]))
    if recorded is None:
        return None, "This call did not come through the relay, so it cannot be replayed."
    what = st.segmented_control(
        "Edit",
        [ANSWER, BODY, REQUEST, NOTHING],
        default=ANSWER,
        required=True,
        key="replay-what",
        help="An edited answer is given instead of the recorded one; an edited request is sent.",
    )
    key = state.replay_edit_key(str(span["span_id"]), what)
    if what == NOTHING:
        st.caption("The run is repeated as it was; calls without a recording go live.")
        return None, None
    original = {ANSWER: recorded.text, BODY: recorded.answer, REQUEST: recorded.request}[what]
    typed = st.text_area(
        f"{what} of this step", original, height=380, key=key, label_visibility="collapsed"
    )
    if typed == original:
        return _as_edit(what, typed)[0], "Edit the text above first, or choose Nothing."
    return _as_edit(what, typed)


def _as_edit(what: str, typed: str) -> tuple[Edit | None, str | None]:
    if what == ANSWER:
        return Edit(response_text=typed), None
    try:
        body = json.loads(typed)
    except ValueError as error:
        return None, f"This is not JSON: {error}."
    if not isinstance(body, dict):
        return None, "The body must be a JSON object."
    return (Edit(response_body=body) if what == BODY else Edit(request_body=body)), None


def _options(trace_id: str, span: dict[str, Any], edit: Edit | None) -> ForkRequest:
    live = st.toggle(
        "Calls without a recording go live",
        value=True,
        key="replay-live",
        help="Off stops at the first such call and names the nearest recording.",
    )
    where = st.selectbox("Working directory", list(_COPIES), key="replay-copy")
    slow = st.toggle("As slowly as recorded", value=False, key="replay-pace")
    return ForkRequest(
        trace_id,
        str(span["span_id"]),
        edit,
        allow_live=live,
        copy=_COPIES[where],
        pace="recorded" if slow else "fastest",
    )


def _plan(request: ForkRequest, problem: str | None) -> None:
    try:
        plan = forks.plan(request)
    except TraceLakeError as error:
        st.warning(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return
    again = [tool for tool in plan.tools if not tool.is_delegation]
    with st.container(border=True):
        st.markdown("**What will happen**")
        st.text(f"$ {' '.join(plan.record.command)}")
        st.text(f"in {plan.copy.why}")
        names = ", ".join(f"{tool.name} ({tool.calls}x)" for tool in again) or "none"
        st.text(f"Tools that really run again: {names}")
        st.text(f"{text.count(plan.calls_recorded)} recorded model calls can be answered for free")
        for warning in plan.warnings:
            st.text(f"Note: {warning}")
    if problem:
        st.caption(problem)
    if st.button(
        "Rerun from here",
        type="primary",
        icon=":material/fork_right:",
        disabled=problem is not None,
        width="stretch",
        key="replay-start",
    ):
        _confirm(plan)


@st.dialog("Rerun from here?")
def _confirm(plan: ForkPlan) -> None:
    """Name what is really executed again before anything is."""
    again = [tool.name for tool in plan.tools if not tool.is_delegation]
    if again:
        st.write("These tools run again for real:")
        st.text(", ".join(again))
        st.caption("Files are changed in the copy only; what reaches a network or database stays.")
    else:
        st.write("No tool of the recorded run is known to run again.")
    if plan.copy.kind == "in_place":
        st.warning("In place: the program changes the files of the recorded directory itself.")
    if st.button("Start", type="primary", key="replay-confirm", width="stretch"):
        try:
            fork = forks.start(plan)
        except TraceLakeError as error:
            st.error(str(error))
            return
        state.set_params(fork=fork.run_id)
        st.rerun()
