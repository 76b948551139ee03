"""What can be done with a test's answer: answer its tool calls and go on, or use it in a rerun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import data, navigation
from app.components import press, replay_edit, text
from app.components.replay_edit import ANSWER
from tracelake.playground.continuation import (
    Call,
    calls_of,
    continued,
    counterparts,
    recorded_results,
    shown_arguments,
)

if TYPE_CHECKING:
    from app.workbench import Workbench


def render_follow_up(bench: Workbench, test: dict[str, Any]) -> None:
    """Draw what goes on from a whole answer; nothing while any streams or when it failed.

    Args:
        bench: Of the call that was tested.
        test: Columns of the test's LLM span.
    """
    if test["status"] != "ok" or bench.is_running:
        return
    calls = calls_of(test["attributes"]["api"], test["response_blocks"])
    if calls:
        _render_calls(bench, test, calls)
    span = bench.span
    if span is None or not test["response"] or calls or not navigation.is_listed("replay"):
        return
    if press.button(
        "Use this answer",
        icon=":material/fork_right:",
        help="Opens Replay at this step, with this answer in the place of the recorded one.",
        key=f"use-{test['span_id']}",
    ):
        replay_edit.fill_in(str(span["span_id"]), {ANSWER: test["response"]}, is_whole=True)
        navigation.go("replay", trace=span["trace_id"], span=span["span_id"])


def _render_calls(bench: Workbench, test: dict[str, Any], calls: tuple[Call, ...]) -> None:
    known = _recorded(bench)
    others = _counterparts(bench, calls)
    results: dict[str, str] = {}
    with st.expander("Answer the tool calls and go on", icon=":material/build:"):
        for number, call in enumerate(calls, start=1):
            result, origin = known.get((call.name, call.arguments)), "recorded result"
            if result is None and (other := others.get(call.id)):
                result = known.get((other.name, other.arguments))
                origin = "result of the recorded call, which had other arguments"
            if result is None:
                origin = "no recorded result: write one"
            st.markdown(f"**{text.plain(call.name)}** :gray[{origin}]")
            st.code(shown_arguments(call), language="json", wrap_lines=True)
            results[call.id] = st.text_area(
                f"Result of call {number}",
                result or "",
                key=f"result-{test['span_id']}-{call.id}",
                label_visibility="collapsed",
                placeholder="What the tool answers",
            )
        if press.button(
            "Go on with these results",
            icon=":material/play_arrow:",
            key=f"continue-{test['span_id']}",
        ):
            # a test made in another format goes on in that one
            bench.switch(test["attributes"]["api"])
            asked = bench.draft.edited(
                messages=test["messages"], system=test["system"] or "", tools=test["tools"]
            )
            bench.replace(continued(asked, test["response_blocks"], results))
            bench.submit()
            st.rerun(scope="app")


def _counterparts(bench: Workbench, calls: tuple[Call, ...]) -> dict[str, Call]:
    if bench.span is None:
        return {}
    return counterparts(calls, calls_of(bench.original.api, bench.span["response_blocks"]))


def _recorded(bench: Workbench) -> dict[tuple[str, str], str]:
    if bench.span is None:
        return {}
    # the messages of later calls are what the tools were heard to say
    return recorded_results(
        span for span in data.read_whole_spans(bench.span["trace_id"]) if span["kind"] == "llm"
    )
