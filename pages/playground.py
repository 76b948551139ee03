"""Edit a recorded prompt, test it, and see exactly what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, drafts, navigation, state, workbench
from app.components import answers, draft_note, editor, text
from app.components.diff import render_diff
from app.components.follow_up import render_follow_up
from app.components.send_panel import name_format, render_send, scratch_format
from app.components.text_editor import after_edits
from tracelake.errors import NotInLake, QueryError
from tracelake.playground.draft import draft_of
from tracelake.playground.record import as_span
from tracelake.playground.snippets import as_curl, as_python

if TYPE_CHECKING:
    from tracelake.playground.draft import Draft

POLL_S = 0.3
#: So many of the latest tests can be picked above the answer; the list of tests has all.
_PILLS = 6
#: So many tests stand side by side.
_COLUMNS = 4
_HIGHLIGHTED_MAX = 20_000
#: Edits named one by one above the page.
_EDITS = 5
_TABS = ("Answer", "Prompt changes", "Tests", "Code")


def main() -> None:
    """Draw the page."""
    bench = find_bench()
    if bench is None:
        return
    bench.drawn = None
    heading = st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="playground-heading"
    )
    with heading:
        title = st.container(
            horizontal=True, vertical_alignment="center", gap="small", width="content"
        )
        # before the editors: they say there what became of their edits
        draft_note.reserve_note()
    if is_wide():
        right = st.container()
    else:
        left, right = st.columns([1, 1.1], gap="medium")
        with left:
            render_editors(bench)
    # beside the editors it stays in sight, however far down they go
    with right, st.container(key="playground-answers"):
        if render_send(bench):
            bench.first_shown = len(all_tests(bench)) - bench.round_size + 1
            st.rerun()
        # drawn last: the settings above may have been edited
        draft_note.keep(bench)
        with title:
            render_title(bench)
            render_edits(bench)
            draft_note.render_offer(bench)
        with heading:
            render_ways(bench)
        st.fragment(render_results, run_every=POLL_S if bench.is_running else None)(bench)
    bench.drawn = bench.shown_elsewhere


def render_editors(bench: workbench.Workbench) -> None:
    """The editors of the call, each taking in by itself what is typed into it."""
    editor.reserve_places(bench)
    editor.render_system(bench)
    editor.render_messages(bench)
    editor.render_tools(bench)
    editor.render_parameters(bench)


def is_wide() -> bool:
    """Whether the answers have the whole width."""
    return state.get("layout") == "Compare"


def find_bench() -> workbench.Workbench | None:
    """The workbench that the URL names; None after saying why there is none."""
    trace_id, span_id = state.param(state.Param.TRACE), state.param(state.Param.SPAN)
    if trace_id and span_id:
        try:
            bench = workbench.of_span(trace_id, span_id)
        except (NotInLake, QueryError) as error:
            st.warning(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            navigation.render_link("playground", "Start from scratch", icon=":material/add:")
            return None
        drafts.follow_url(bench)
        return bench
    if span_id:
        st.warning("This link names a span and no trace, so there is nothing to open.")
    bench = workbench.of_scratch(scratch_format())
    if drafts.follow_url(bench):
        name_format(bench)
    return bench


def render_title(bench: workbench.Workbench) -> None:
    """What is under edit."""
    span = bench.span
    if span is None:
        st.markdown("**New prompt** :gray[without a trace]")
        return
    st.markdown(
        f":violet-badge[LLM call] **{text.plain(span['agent_name'] or 'call')}** "
        f":gray[{text.plain(span['model'] or '')} · {text.moment(span['start_time'])}]"
    )


def render_ways(bench: workbench.Workbench) -> None:
    """The way back, and how the page is laid out."""
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"
    ):
        if bench.span is not None:
            navigation.render_link(
                "live",
                "Show in Live",
                icon=":material/account_tree:",
                trace=bench.span["trace_id"],
                span=bench.span["span_id"],
            )
        st.segmented_control(
            "Layout",
            ["Edit", "Compare"],
            default="Edit",
            required=True,
            key="layout",
            label_visibility="collapsed",
        )


def render_edits(bench: workbench.Workbench) -> None:
    """Each edit with the way to take it back."""
    edits = bench.edits
    if edits:
        st.markdown(":orange-badge[edited]")
    for name in edits[:_EDITS]:
        is_part = name in {"system", "messages", "tools"}
        st.button(
            text.plain(name),
            icon=":material/undo:",
            type="tertiary",
            help=f"Take the edit of {text.plain(name)} back",
            key=f"undo-{name}",
            on_click=after_edits(bench.reset_part if is_part else bench.reset_parameter),
            args=(name,),
        )
    if len(edits) > _EDITS:
        st.markdown(f":gray[and {len(edits) - _EDITS} more]")
    if bench.is_edited:
        st.button(
            "Reset all",
            icon=":material/restart_alt:",
            type="tertiary",
            help="Take every edit back, the format too, and keep none",
            on_click=after_edits(bench.reset),
            key="reset-all",
        )


def render_results(bench: workbench.Workbench) -> None:
    """Answers, the prompt's differences, and every test so far."""
    drafts.keep(bench)
    if bench.is_outdated:
        # of an editor and a tab used at once, Streamlit draws the tab's part alone
        st.rerun(scope="app")
    tests = all_tests(bench)
    if not bench.is_running and state.get("_was_running"):
        state.put("_was_running", value=False)
        st.rerun()
    state.put("_was_running", value=bench.is_running)
    # only the open one is drawn: a long prompt in a hidden one would hold up every key
    answer, prompt, listed, code = st.tabs(_TABS, key="results", on_change="rerun")
    bench.is_code_shown = code.open is True
    if answer.open:
        with answer:
            render_answers(bench, tests)
    if prompt.open:
        with prompt:
            render_prompt_changes(bench)
    if listed.open:
        with listed:
            render_tests(bench, tests)
    if code.open:
        with code:
            render_code(bench)


@st.fragment
def render_prompt_changes(bench: workbench.Workbench) -> None:
    """The call as it was recorded beside the call as it would be sent."""
    title = "Recorded" if bench.span is not None else "At first"
    if bench.trail:
        title = f"{title}, converted"
    render_diff(
        answers.prompt_text(_as_span(bench.base)),
        answers.prompt_text(_as_span(bench.draft)),
        titles=(title, "Edited"),
        key="prompt-changes",
        is_followed=True,
    )


def render_code(bench: workbench.Workbench) -> None:
    """The call to paste elsewhere."""
    for title, source, language in (
        ("Python", as_python(bench.draft), "python"),
        ("cURL", as_curl(bench.draft), "bash"),
    ):
        st.caption(title)
        # highlighting a long text would hold up the whole page
        st.code(source, language=language if len(source) < _HIGHLIGHTED_MAX else None)


def render_answers(bench: workbench.Workbench, tests: list[dict[str, Any]]) -> None:
    """The chosen test beside the recorded answer."""
    original = bench.span
    if not tests:
        if original is None:
            st.caption("Write a prompt and press Test Prompt; the answer streams in here.")
        else:
            st.caption("Edit anything at the left and press Test Prompt to compare.")
            answers.render_answer(original, title="Recorded answer")
        return
    numbers = list(range(1, len(tests) + 1))[-_PILLS:]
    shown = bench.first_shown if bench.first_shown in numbers else numbers[-1]
    if len(tests) > 1:
        picker, columns = st.columns([3.2, 1], vertical_alignment="center")
        shown = picker.pills(
            "Test",
            numbers,
            format_func=lambda number: answers.label(tests[number - 1], number),
            default=shown,
            required=True,
            # a key of its own for each round of tests, so that the new ones are shown first
            key=f"shown-test-{bench.first_shown}",
            label_visibility="collapsed",
        )
        if columns.toggle("Side by side", key="side-by-side"):
            render_columns(bench, tests)
            return
    test = tests[shown - 1]
    if original is None:
        answers.render_answer(test)
    else:
        answers.render_comparison(original, test, key="shown")
    render_follow_up(bench, test)


def render_columns(bench: workbench.Workbench, tests: list[dict[str, Any]]) -> None:
    """The recorded answer and the latest round of tests, or the latest tests, one a column."""
    first = max((bench.first_shown or 1) - 1, len(tests) - _COLUMNS)
    # a round of one has nothing beside it
    first = min(first, len(tests) - 2)
    shown = [(f"Test {number}", test) for number, test in enumerate(tests, start=1)][first:]
    if bench.span is not None:
        shown = [("Recorded answer", bench.span), *shown]
    for column, (title, test) in zip(st.columns(len(shown)), shown, strict=True):
        with column, st.container(key=f"column-{title}"):
            answers.render_answer(test, title=title, against=bench.span)


def render_tests(bench: workbench.Workbench, tests: list[dict[str, Any]]) -> None:
    """Every test of this call, of this and of earlier sessions, and what was tried in each."""
    if not tests:
        st.caption("No test of this call yet. Each one is kept as a trace of its own.")
        return
    table = st.dataframe(
        answers.summary_rows(tests, bench.recorded_as),
        hide_index=True,
        key="tests",
        on_select="rerun",
        selection_mode="single-row",
    )
    navigation.render_link(
        "history", "All playground tests in History", icon=":material/history:", source="playground"
    )
    picked = table.selection.rows
    number = min(picked[0], len(tests) - 1) if picked else len(tests) - 1
    test = tests[number]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Test {number + 1}**", width="content")
        st.button(
            "Edit its prompt",
            icon=":material/edit:",
            type="tertiary",
            help="Put the prompt of this test into the editors",
            on_click=after_edits(bench.take),
            args=(draft_of(test),),
            key=f"take-{test['span_id']}",
        )
    original = bench.recorded_as(test["attributes"]["api"])
    if original is None:
        answers.render_answer(test)
        return
    render_diff(
        answers.prompt_text(_as_span(original)),
        answers.prompt_text(test),
        titles=("Recorded prompt", "Prompt of the test"),
        key="test-prompt",
    )
    answers.render_comparison(bench.span or {}, test, key="listed")


def all_tests(bench: workbench.Workbench) -> list[dict[str, Any]]:
    """Tests read from the lake, then those of this session that it does not show yet."""
    found: dict[str, dict[str, Any]] = {}
    if bench.span is not None:
        recorded = data.experiments(bench.span["trace_id"], bench.span["span_id"])
        found = {test["span_id"]: test for test in recorded}
    for trial in bench.trials:
        found[trial.span_id] = as_span(trial, trial.outcome())
    return list(found.values())


def _as_span(draft: Draft) -> dict[str, Any]:
    return {
        "system": draft.system,
        "messages": draft.messages,
        "tools": draft.tools,
        "request": draft.parameters,
    }


main()
