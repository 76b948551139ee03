"""Choose a step, edit it, see what a fork will do, start it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, forks, state
from app.components import kept, press, replay_edit, text
from app.components.replay_checkpoints import render_checkpoints
from app.components.replay_edit import ANSWER, BODY, REQUEST, RESULT
from tracelake.errors import NotInLake, TraceLakeError
from tracelake.replay.plan import ForkRequest

if TYPE_CHECKING:
    from tracelake.replay.plan import ForkPlan
    from tracelake.replay.session import Edit

NOTHING = "Nothing"
PROGRAM, CONVERSATION = "The program", "The conversation"
_COPIES: dict[str, Any] = {
    "As recorded": None,
    "As the folder is now": "present",
    "In place": "in_place",
}
_EDIT_HEIGHT = 420
FORK = "fork"


def render_setup(trace_id: str) -> None:
    """The whole form for one trace."""
    listed = forks.steps(trace_id)
    if not listed:
        try:
            data.read_trace(trace_id)
        except NotInLake:
            st.warning("There is no such trace in this lake.")
            return
        st.info("This trace has no model call that could be run again.")
        return
    left, right = st.columns([1.4, 1], gap="medium")
    with left:
        span = _choose(trace_id, listed)
        edit, problem = _edit(trace_id, span)
    with right:
        if _how(trace_id) == PROGRAM:
            _plan(_options(trace_id, span, edit), problem)
        else:
            _converse(trace_id, span, edit, problem)


def _choose(trace_id: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    ids = [str(span["span_id"]) for span in listed]
    wanted = state.param(state.Param.SPAN)
    wanted = forks.resolve(trace_id, wanted) if wanted else None
    spans = dict(zip(ids, listed, strict=True))
    labels = {span_id: _label(number, spans[span_id]) for number, span_id in enumerate(ids, 1)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Step",
            ids,
            index=ids.index(wanted) if wanted in ids else len(ids) - 1,
            format_func=labels.__getitem__,
            # with other labels another widget: Streamlit keeps the chosen label, not the id
            key=f"replay-step-{trace_id}-{wanted}-{hash(tuple(labels.values()))}",
        )
        render_checkpoints(trace_id, chosen)
    # the step that is shown anyway needs no place in the URL, and none on the way back
    if chosen != wanted and (wanted or chosen != ids[-1]):
        state.set_params(span=chosen)
    return spans[chosen]


def _label(number: int, span: dict[str, Any]) -> str:
    agent = span["agent_name"] or "call"
    if span["kind"] == "tool":
        said = " ".join(str(span["result"]).split())[:70]
        return f"{number} · {agent} · tool {span['tool_name'] or span['name']} · {said}"
    said = " ".join(str(span["response"] or _said_nothing(span)).split())[:70]
    return f"{number} · {agent} · {span['model'] or 'model'} · {said}"


def _said_nothing(span: dict[str, Any]) -> str:
    if span["status"] == "error":
        return f"failed: {span['error'] or span['error_type'] or 'no reason was given'}"
    return "calls tools"


def _edit(trace_id: str, span: dict[str, Any]) -> tuple[Edit | None, str | None]:
    """The edit as typed, and what is wrong with it."""
    span_id = str(span["span_id"])
    recorded = forks.recorded(trace_id, span_id)
    if recorded is None:
        return None, "This call was recorded without its messages, so it cannot be replayed."
    texts = {ANSWER: recorded.text, BODY: recorded.answer, REQUEST: recorded.request}
    if span["kind"] == "tool":
        texts = {RESULT: recorded.text}
    options = [name for name, held in texts.items() if held or name in {ANSWER, RESULT}]
    opened = replay_edit.opened(span_id)
    key = f"replay-what-{span['kind']}-{len(options)}-{opened.name}"
    usual = opened.what if opened.what in options else options[0]
    what = st.segmented_control(
        "Edit",
        [*options, NOTHING],
        default=usual,
        required=True,
        key=kept.recall(key, among=[*options, NOTHING]),
        help="An edited answer or result is given instead of the recorded one; an edited request "
        "is sent.",
    )
    kept.note(key, what, usual=usual)
    if what == NOTHING:
        replay_edit.keep(span_id, None)
        st.caption("The run is repeated as it was; calls without a recording go live.")
        return None, None
    key = kept.recall(replay_edit.text_key(span_id, what))
    typed = st.text_area(
        f"{what} of this step",
        texts[what],
        height=_EDIT_HEIGHT,
        key=key,
        label_visibility="collapsed",
    )
    kept.note(key, typed, usual=texts[what])
    is_changed = typed != texts[what]
    edited = (what, typed)
    if what == ANSWER and recorded.calls:
        if _keeps_calls(recorded.calls, span_id):
            edited = (BODY, recorded.saying(typed))
        else:
            is_changed = True
    replay_edit.keep(span_id, edited if is_changed else None)
    problem = None if is_changed else f"Change the {what.lower()} first, or choose Nothing."
    try:
        return replay_edit.as_edit(*edited), problem
    except ValueError as error:
        return None, str(error)


def _keeps_calls(names: list[str], span_id: str) -> bool:
    """Whether an answer with another text still calls its tools; asked where it calls any."""
    opened = replay_edit.opened(span_id)
    called = ", ".join(f"{name} ({count}x)" for name, count in Counter(names).items())
    return _toggle(
        text.plain(f"Still calls {called}"),
        f"replay-keeps-calls-{span_id}-{opened.name}",
        usual=not opened.is_whole,
        help="Off: the answer is this text alone, and the agent ends its turn with it.",
    )


def _toggle(label: str, key: str, *, usual: bool, help: str) -> bool:  # noqa: A002 - Streamlit's word
    is_on = st.toggle(label, value=usual, key=kept.recall(key), help=help)
    kept.note(key, is_on, usual=usual)
    return is_on


def _how(trace_id: str) -> str:
    """Whether the program runs again, or only the model calls are issued again."""
    if not forks.has_command(trace_id):
        st.info(
            "No command is recorded with this trace, so its program cannot run again; the model "
            "calls alone can. Programs started with `tracelake run -- CMD` can run again."
        )
        return CONVERSATION
    how = st.segmented_control(
        "Run again",
        [PROGRAM, CONVERSATION],
        default=PROGRAM,
        required=True,
        key=kept.recall("replay-how"),
        help="The program runs in a copy of its folder. The conversation needs no program: "
        "only the model calls that follow the edit are issued again.",
    )
    kept.note("replay-how", how, usual=PROGRAM)
    return str(how)


def _options(trace_id: str, span: dict[str, Any], edit: Edit | None) -> ForkRequest:
    where = st.selectbox("Working directory", list(_COPIES), key=kept.recall("replay-copy"))
    kept.note("replay-copy", where, usual=next(iter(_COPIES)))
    with st.container(horizontal=True):
        live = _toggle(
            "Calls without a recording go live",
            "replay-live",
            usual=True,
            help="Off stops at the first such call and names the nearest recording.",
        )
        slow = _toggle(
            "At the recorded pace",
            "replay-pace",
            usual=False,
            help="Recorded answers come as slowly as they came then.",
        )
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
    again = ", ".join(f"{tool.name} ({tool.calls}x)" for tool in plan.tools_again) or "none"
    lines = {
        "Command": " ".join(plan.record.command),
        "Where": plan.copy.why,
        "Tools that really run again": again,
    }
    if plan.tools_kept:
        lines["Tools that give their recorded results"] = ", ".join(plan.tools_kept)
    lines["Model calls"] = _calls(plan)
    _what_will_happen(lines, list(plan.warnings))
    if _start_button("Rerun from here", problem):
        _confirm(plan)


def _calls(plan: ForkPlan) -> str:
    if not plan.request.allow_live or plan.request.edit is None:
        return f"{text.count(plan.calls_recorded)} can be answered from the recording"
    elsewhere = "the offline provider" if plan.is_offline else "the provider, at its price"
    same = text.plural(plan.calls_recorded - 1 - plan.calls_after, "answer")
    if not plan.calls_after:
        return f"{same} from the recording; whatever else is asked goes to {elsewhere}"
    after = text.plural(plan.calls_after, "call")
    return f"{same} from the recording; of {after} after this step, changed ones go to {elsewhere}"


def _what_will_happen(lines: dict[str, str], warnings: list[str]) -> None:
    """One line for each fact; what stands in it comes from the trace, so it is never markup."""
    with st.container(border=True, gap="small"):
        st.markdown("**What will happen**")
        for name, value in lines.items():
            with st.container(gap=None):
                st.caption(name)
                st.text(value)
        for warning in warnings:
            st.caption(f":material/info: {text.plain(warning)}")


def _start_button(label: str, problem: str | None) -> bool:
    # never disabled: a press right after the last key comes together with what was typed
    clicked = press.button(
        label, type="primary", icon=":material/fork_right:", width="stretch", key="replay-start"
    )
    if problem and clicked:
        st.warning(problem)
    elif problem:
        st.caption(problem)
    return clicked and not problem


def _converse(trace_id: str, span: dict[str, Any], edit: Edit | None, problem: str | None) -> None:
    path = st.text_input(
        "Tools that may run",
        placeholder="package.module or /path/to/tools.py",
        key=kept.recall("replay-tools"),
        help="Functions of this Python module are called under the names of the tools. Other "
        "tools give their recorded results where the arguments are the same.",
    )
    kept.note("replay-tools", path, usual="")
    lines = {
        "Model calls": "those that follow the edit are issued again, and cost what they cost",
        "Tools": "recorded results for the same arguments, functions of the module for others",
        "Stop": "at the first tool call for which there is neither",
    }
    _what_will_happen(lines, [])
    if problem is None and edit is None:
        problem = "A conversation starts with an edit: change the answer or the request."
    if _start_button("Replay the conversation", problem) and edit is not None:
        try:
            run_id = forks.converse(trace_id, str(span["span_id"]), edit, path.strip())
        except TraceLakeError as error:
            st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        state.set_params(fork=run_id)
        st.rerun()


@st.dialog("Rerun from here?")
def _confirm(plan: ForkPlan) -> None:
    """Name what is really executed again before anything is."""
    again = [tool.name for tool in plan.tools_again]
    if again:
        st.write("These tools run again for real:")
        st.text(", ".join(again))
        st.caption("Files are changed in the copy only; what reaches a network or database stays.")
    else:
        st.write("No tool of the recorded run is known to run again.")
    if plan.copy.kind == "in_place":
        st.warning("In place: the program changes the files of the recorded directory itself.")
    if press.button("Start", type="primary", key="replay-confirm", width="stretch"):
        try:
            fork = forks.start(plan)
        except TraceLakeError as error:
            st.error(str(error))
            return
        state.set_params(fork=fork.run_id)
        st.rerun()
