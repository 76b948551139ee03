"""Edit a recorded prompt, test it, and see exactly what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, navigation, state, targets, workbench
from app.components import answers, editor, text
from app.components.diff import render_diff
from app.components.follow_up import render_follow_up
from tracelake.errors import NotInLake, QueryError, TraceLakeError
from tracelake.playground.record import as_span
from tracelake.playground.snippets import as_curl, as_python

if TYPE_CHECKING:
    from tracelake.playground.draft import DraftApi

POLL_S = 0.3
#: So many of the latest tests can be picked above the answer; the list of tests has all.
_PILLS = 10
#: So many tests stand side by side.
_COLUMNS = 4
_HIGHLIGHTED_MAX = 20_000
#: What stands in the control and in the URL, for each wire format.
_FORMATS: dict[str, DraftApi] = {"Messages": "messages", "Chat": "chat", "Responses": "responses"}


def main() -> None:
    """Draw the page."""
    bench = find_bench()
    if bench is None:
        return
    heading = st.container()
    wide = state.get("layout") == "Compare"
    left, right = (None, st.container()) if wide else st.columns([1, 1.1], gap="medium")
    if left is not None:
        with left:
            editor.render_system(bench)
            editor.render_messages(bench)
            editor.render_tools(bench)
            editor.render_parameters(bench)
    with right:
        render_send(bench)
        with heading:
            # drawn last: the editors below say what was edited
            render_heading(bench)
        st.fragment(render_results, run_every=POLL_S if bench.is_running else None)(bench)


def find_bench() -> workbench.Workbench | None:
    """The workbench that the URL names; None after saying why there is none."""
    trace_id, span_id = state.param(state.Param.TRACE), state.param(state.Param.SPAN)
    if trace_id and span_id:
        try:
            return workbench.of_span(trace_id, span_id)
        except (NotInLake, QueryError) as error:
            st.warning(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            navigation.render_link("playground", "Start from scratch", icon=":material/add:")
            return None
    chosen = st.segmented_control(
        "Format",
        list(_FORMATS),
        default="Messages",
        required=True,
        key="format",
        bind="query-params",
        label_visibility="collapsed",
    )
    return workbench.of_scratch(_FORMATS[chosen])


def render_heading(bench: workbench.Workbench) -> None:
    """What is under edit, what was edited, and the way back."""
    span = bench.span
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if span is None:
            st.markdown("**New prompt** :gray[opens without a trace]")
        else:
            st.markdown(
                f":violet-badge[LLM call] **{_plain(span['agent_name'] or 'call')}** "
                f":gray[{_plain(span['model'] or '')} · {text.moment(span['start_time'])}]"
            )
        if bench.edits:
            st.markdown(" ".join(f":orange-badge[{_plain(name)}]" for name in bench.edits[:6]))
            st.button(
                "Reset all",
                icon=":material/undo:",
                type="tertiary",
                on_click=bench.reset,
                key="reset-all",
            )
        st.space("stretch")
        if span is not None:
            navigation.render_link(
                "live",
                "Show in Live",
                icon=":material/account_tree:",
                trace=span["trace_id"],
                span=span["span_id"],
            )
        st.segmented_control(
            "Layout",
            ["Edit", "Compare"],
            default="Edit",
            required=True,
            key="layout",
            label_visibility="collapsed",
        )


def render_send(bench: workbench.Workbench) -> None:
    """Model and parameters, where to send, and the button."""
    with st.container(border=True, key="send", gap="small"):
        editor.render_settings(bench)
        editor.render_variables(bench)
        options = targets.choices(bench.draft.api, bench.span)
        where, count, go = st.columns([2, 0.75, 1.75], vertical_alignment="bottom")
        names = [option.name for option in options]
        chosen = where.selectbox(
            "Send to",
            names,
            format_func=lambda name: options[names.index(name)].label,
            key=f"target-{bench.draft.api}-{bool(bench.span)}",
        )
        choice = options[names.index(chosen)]
        variants = count.number_input(
            "Variants", min_value=1, max_value=workbench.VARIANTS_MAX, value=1, key="variants"
        )
        base_url, api_key = render_access(bench, choice)
        for name, value in bench.headers_to_send.items():
            st.caption(f"Sent again as recorded: {_plain(f'{name}: {value}')}")
        submitted, bench.is_submitted = bench.is_submitted, False
        if bench.is_running:
            go.button(
                "Cancel",
                icon=":material/stop_circle:",
                on_click=bench.cancel,
                width="stretch",
                key="cancel",
            )
            return
        pressed = go.button(
            "Test Prompt",
            type="primary",
            icon=":material/play_arrow:",
            shortcut="Mod+Enter",
            width="stretch",
            key="test",
        )
        if pressed or submitted:
            send(bench, choice, base_url=base_url, api_key=api_key, variants=variants)


def render_access(bench: workbench.Workbench, choice: targets.Choice) -> tuple[str, str]:
    """Base URL and key where the choice needs them; both stay in this session's memory."""
    base_url = api_key = ""
    if choice.name == targets.OTHER:
        base_url = st.text_input(
            "Base URL, as the SDK wants it", key="base-url", placeholder="http://localhost:11434/v1"
        )
    if choice.needs_key:
        api_key = st.text_input(
            "API key, for this session only",
            type="password",
            key=f"key-{choice.name}",
            placeholder=targets.key_hint(choice, bench.draft.api),
            autocomplete="off",
        )
    return base_url, api_key


def send(
    bench: workbench.Workbench,
    choice: targets.Choice,
    *,
    base_url: str,
    api_key: str,
    variants: int,
) -> None:
    """Start the tests."""
    try:
        target = targets.target(choice, bench.draft.api, base_url=base_url, api_key=api_key)
    except TraceLakeError as error:
        st.error(str(error))
        return
    if not target.base_url:
        st.error("Say which base URL to send to.")
        return
    bench.first_shown = len(all_tests(bench)) + 1
    bench.test(target, variants)
    st.rerun()


def render_results(bench: workbench.Workbench) -> None:
    """Answers, the prompt's differences, and every test so far."""
    tests = all_tests(bench)
    if not bench.is_running and state.get("_was_running"):
        state.put("_was_running", value=False)
        st.rerun()
    state.put("_was_running", value=bench.is_running)
    labels = ["Answer", "Prompt changes", f"Tests ({len(tests)})", "Code"]
    answer, prompt, listed, code = st.tabs(labels, key="results")
    with answer:
        render_answers(bench, tests)
    with prompt:
        now = {**(bench.span or {}), **_draft_span(bench)}
        before = answers.prompt_text(_draft_span(bench, original=True))
        render_diff(before, answers.prompt_text(now), titles=("Recorded", "Edited"))
    with listed:
        render_tests(tests)
    with code:
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
        shown = st.pills(
            "Test",
            numbers,
            format_func=lambda number: answers.label(tests[number - 1], number),
            default=shown,
            required=True,
            # a key of its own for each round of tests, so that the new ones are shown first
            key=f"shown-test-{bench.first_shown}",
            label_visibility="collapsed",
        )
        if st.toggle("Side by side", help="The latest tests in columns.", key="side-by-side"):
            render_columns(bench, tests)
            return
    test = tests[shown - 1]
    if original is None:
        answers.render_answer(test)
    else:
        answers.render_comparison(original, test)
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
        with column:
            answers.render_answer(test, title=title)


def render_tests(tests: list[dict[str, Any]]) -> None:
    """Every test of this call, of this and of earlier sessions."""
    if not tests:
        st.caption("No test of this call yet. Each one is kept as a trace of its own.")
        return
    st.dataframe(answers.summary_rows(tests), hide_index=True, key="tests")
    navigation.render_link(
        "history", "All playground tests in History", icon=":material/history:", source="playground"
    )


def all_tests(bench: workbench.Workbench) -> list[dict[str, Any]]:
    """Tests read from the lake, then those of this session that it does not show yet."""
    found: dict[str, dict[str, Any]] = {}
    if bench.span is not None:
        recorded = data.experiments(bench.span["trace_id"], bench.span["span_id"])
        found = {test["span_id"]: test for test in recorded}
    for trial in bench.trials:
        found[trial.span_id] = as_span(trial, trial.outcome())
    return list(found.values())


def _draft_span(bench: workbench.Workbench, *, original: bool = False) -> dict[str, Any]:
    draft = bench.original if original else bench.draft
    return {
        "system": draft.system,
        "messages": draft.messages,
        "tools": draft.tools,
        "request": draft.parameters,
    }


def _plain(value: str) -> str:
    """Text that Markdown takes as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~:$<>" else c for c in value)


main()
