"""A fork while it runs: calls by match level, what the program prints, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, forks, navigation
from app.components import text
from tracelake.errors import NotInLake

if TYPE_CHECKING:
    from tracelake.replay.fork import ForkState

#: Outcome to the colour of its badge and what it means.
LEVELS: dict[str, tuple[str, str]] = {
    "exact": ("green", "the same request, answered from the recording"),
    "semantic": ("green", "says the same; session metadata differs"),
    "volatile": ("blue", "the same but for ids, times and folders"),
    "fuzzy": ("orange", "nearly the same: look at the difference"),
    "edited": ("violet", "your edit"),
    "live": ("orange", "sent to the provider"),
    "refused": ("red", "no recording, and live calls are off"),
    "recorded": ("green", "a tool's recorded result"),
    "registered": ("blue", "a function of your module was called"),
    "rerun": ("blue", "an agent works again"),
    "stopped": ("orange", "STOP: neither a recorded result nor a function"),
    "probe": ("gray", "no model call"),
}
_STEP_CHARS = 300
_ROWS_SHOWN = 14
_STATUS = {
    "starting": ("blue", "starting"),
    "running": ("blue", "running"),
    "ok": ("green", "done"),
    "error": ("red", "the program failed"),
    "cancelled": ("gray", "cancelled"),
    "refused": ("orange", "stopped: a call has no recording"),
    "stopped": ("orange", "stopped: see the last step"),
    "failed": ("red", "failed"),
}

_CALL_COLUMNS: dict[str, Any] = {
    "call": st.column_config.NumberColumn("Call", width=60),
    "answered": st.column_config.TextColumn("Answered", width=90, help="How it was answered"),
    "repeats": st.column_config.TextColumn("Repeats", width=240, help="The recorded call"),
    "alike": st.column_config.TextColumn("Alike", width=70, alignment="right"),
    "difference": st.column_config.TextColumn("Difference", width="large"),
}


def render_progress(state: ForkState) -> None:
    """Status and counts, and a button to cancel while it runs."""
    colour, words = _STATUS.get(state.status, ("gray", state.status))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":{colour}-badge[{words}]")
        if state.counts:
            st.caption("Calls:", width="content")
        for level, (badge, meaning) in LEVELS.items():
            if count := state.counts.get(level):
                st.markdown(f":{badge}-badge[{level} {count}]", help=meaning)
        st.space("stretch")
        cancel = forks.cancellation(state.run_id)
        if cancel is not None and not state.is_over:
            st.button("Cancel", icon=":material/stop_circle:", on_click=cancel, key="replay-cancel")
        navigation.render_link(
            "live", "Show in Live", icon=":material/account_tree:", trace=state.run_id
        )
    recorded = forks.calls_recorded(state.run_id)
    if recorded and not state.is_over:
        made = sum(state.counts.values())
        st.progress(min(1.0, made / recorded), f"{made} calls, {recorded} in the recording")
    if state.error:
        st.error(f"{state.error[:1].upper()}{state.error[1:].rstrip('.')}.")
    elif state.status == "error" and (why := _last_failure(state.run_id)):
        st.error(f"{text.plain(why)} What the program printed is with its calls.")
    if refused := state.result.get("refused"):
        st.warning("A call has no recording, and live calls are off. The nearest recordings:")
        st.code("\n".join(refused["detail"]), language=None)


def _last_failure(run_id: str) -> str | None:
    """What the last model call that failed said, or the last tool; None where none did."""
    try:
        spans = data.read_spans(run_id)
    except NotInLake:
        return None
    failed = [span for span in spans if span["kind"] in {"llm", "tool"} and span["error"]]
    if not failed:
        return None
    span = next((one for one in reversed(failed) if one["kind"] == "llm"), failed[-1])
    said = text.first_line(span["error"], _STEP_CHARS).rstrip(".")
    return f"{span['agent_name'] or 'program'} · {span['tool_name'] or span['model']}: {said}."


def render_calls(state: ForkState) -> None:
    """Every call so far, with why it was not answered exactly; tools, and the program's output."""
    if "steps" in state.result:
        _render_steps(state.result["steps"])
        return
    if state.calls:
        st.dataframe(
            _lines(state),
            hide_index=True,
            height="content" if len(state.calls) <= _ROWS_SHOWN else 460,
            key="replay-calls",
            column_config=_CALL_COLUMNS,
        )
    else:
        st.caption("It made no model call." if state.is_over else "No call yet.")
    _render_tools(state)
    st.caption("What the program printed")
    if printed := forks.log_of(state.run_id):
        st.code(printed, language=None, height=260)
    else:
        st.text("Nothing." if state.is_over else "Nothing yet.")


def _render_tools(state: ForkState) -> None:
    """Which tools ran again, and which gave their recorded results."""
    ran: list[dict[str, Any]] = state.result.get("tools") or []
    if not ran and not state.tools_asked:
        return
    again = [f"{one['name']} ({one['calls']}x)" for one in ran if not one["is_delegation"]]
    if again:
        st.caption("Tools that really ran again")
        st.text(", ".join(again))
    if state.tools_asked:
        st.caption('Tools under `traced_tool(replay="recorded")`, and what they were told')
        st.text(", ".join(f"{key} ({count}x)" for key, count in state.tools_asked.items()))


def _render_steps(steps: list[dict[str, Any]]) -> None:
    """What a conversation replay did, one line a step, and where it stopped."""
    if not steps:
        st.caption("No step yet.")
    for step in steps:
        colour, _ = LEVELS.get(step["outcome"], ("gray", ""))
        word = "STOP" if step["outcome"] == "stopped" else step["outcome"]
        with st.container(horizontal=True, wrap=False, gap="small"):
            if step["depth"]:
                st.space(24 * int(step["depth"]))
            st.markdown(f":{colour}-badge[{word}]", width="content")
            said = " ".join(str(step["text"]).split())
            shown = said if len(said) <= _STEP_CHARS else said[: _STEP_CHARS - 1] + "…"
            st.text(f"{step['kind']} {step['name']}: {shown}" if shown else str(step["name"]))


def _lines(state: ForkState) -> list[dict[str, Any]]:
    origin = forks.origin_of(state.run_id)
    try:
        spans = data.read_spans(origin) if origin else []
    except NotInLake:  # deleted since: the calls still tell how they were answered
        spans = []
    names = {span["span_id"]: f"{span['agent_name']} · {span['model']}" for span in spans}
    return [_line(number, call, names) for number, call in enumerate(state.calls, 1)]


def _line(number: int, call: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    original = call["original_span_id"] or ""
    return {
        "call": number,
        "answered": call["outcome"],
        "repeats": names.get(original, original),
        "alike": "" if call["similarity"] is None else f"{call['similarity']:.0%}",
        "difference": "\n".join(call["detail"]),
    }
