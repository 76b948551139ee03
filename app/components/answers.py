"""Answers of tests beside the recorded one: what was said, how it differs, what it cost."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components import text
from app.components.diff import added_marked, render_diff
from tracelake.playground.compare import deltas, tool_calls_text
from tracelake.playground.draft import changes, draft_of
from tracelake.wire import response_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracelake.playground.draft import Draft, DraftApi

_FORMATS = {
    "tokens_input": text.count,
    "tokens_output": text.count,
    "cost_usd": text.cost,
    "duration_ms": text.duration,
    "ttft_ms": text.duration,
}
_TITLES = {
    "running": "New answer, streaming…",
    "cancelled": "New answer, cancelled",
    "error": "New answer, as far as it came",
}
_LABELS = {
    "tokens_input": "Tokens in",
    "tokens_output": "Tokens out",
    "cost_usd": "Cost",
    "duration_ms": "Latency",
    "ttft_ms": "First token",
}


def render_comparison(original: dict[str, Any], test: dict[str, Any], *, key: str) -> None:
    """A recorded answer and a test's: numbers, then text, then tool calls.

    Args:
        original: Columns of the recorded LLM span.
        test: Columns of the test's LLM span, also while it runs.
        key: Of the views, one for each place of the page.
    """
    # of an answer that is not whole the numbers are no better or worse yet
    st.html(numbers(original if test["status"] == "ok" else None, test))
    if test["error"]:
        render_error(test)
    titles = ("Recorded answer", _running_title(test))
    # of an answer that is not whole, the missing end is no difference
    is_partial = test["status"] != "ok"
    render_diff(
        answer_text(original),
        answer_text(test),
        titles=titles,
        key=f"{key}-answer",
        is_partial=is_partial,
    )
    calls = [tool_calls_text(span["response_blocks"]) for span in (original, test)]
    if any(calls) and not (is_partial and not calls[1]):
        titles = ("Recorded tool calls", "New tool calls")
        render_diff(calls[0], calls[1], titles=titles, key=f"{key}-calls")


def render_answer(
    test: dict[str, Any], *, title: str | None = None, against: dict[str, Any] | None = None
) -> None:
    """One answer on its own.

    Args:
        test: Columns of its LLM span.
        title: Above it.
        against: Columns of the span to compare with: what that one has not is marked.
    """
    st.html(numbers(None, test))
    if test["error"]:
        render_error(test)
    said = answer_text(test)
    body = added_marked(answer_text(against) if against else said, said)
    st.html(
        f'<div class="tl-caption">{escape(title or _running_title(test))}</div>'
        f'<div class="tl-pane">{body or "…"}</div>'
    )
    calls = tool_calls_text(test["response_blocks"])
    if calls:
        before = tool_calls_text(against["response_blocks"]) if against else calls
        st.html(
            '<div class="tl-caption">Tool calls</div>'
            f'<div class="tl-pane">{added_marked(before, calls)}</div>'
        )


def render_error(test: dict[str, Any]) -> None:
    """What went wrong, as the provider said it; the edit is untouched."""
    status = (test.get("attributes") or {}).get("status_code")
    kind = " · ".join(str(part) for part in (status, test["error_type"]) if part)
    st.html(
        f'<div class="tl-errors" role="alert"><b>{escape(kind or "error")}</b> '
        f"{escape(str(test['error']))}</div>"
    )


def numbers(original: dict[str, Any] | None, test: dict[str, Any]) -> str:
    """Tokens, cost and latency of a test, with what changed, as HTML."""
    cells: list[str] = []
    for delta in deltas(original or {}, test):
        shown = _FORMATS[delta.name]
        cells.append(
            f"<div><b>{escape(shown(delta.after))}</b>{_change(delta.name, delta.change)}"
            f"<i>{_LABELS[delta.name]}</i></div>"
        )
    before, after = (original or {}).get("finish_reason"), test["finish_reason"]
    was = f"<em>was {escape(str(before))}</em>" if before and after and before != after else ""
    cells.append(f"<div><b>{escape(after or text.DASH)}</b>{was}<i>Finish</i></div>")
    return f'<div class="tl-facts tl-deltas">{"".join(cells)}</div>'


def answer_text(span: dict[str, Any]) -> str:
    """What an answer says, without its tool calls; text of blocks where there is no plain text."""
    if span["response"]:
        return str(span["response"])
    api = (span.get("attributes") or {}).get("api")
    blocks = span["response_blocks"]
    return response_turn(api, blocks).text if api and isinstance(blocks, list) else ""


def prompt_text(span: dict[str, Any]) -> str:
    """System prompt, messages, tools and parameters of a call as text to compare."""
    parts = [("System", span["system"] or "")]
    messages = span["messages"]
    if isinstance(messages, str):
        parts.append(("User", messages))
    else:
        parts += [
            (str(message.get("role") or message.get("type")).title(), _said(message))
            for message in messages or []
        ]
    for title, name in (("Tools", "tools"), ("Parameters", "request")):
        if span[name]:
            parts.append((title, _dump(span[name])))
    return "\n\n".join(f"# {title}\n{body}" for title, body in parts)


def label(test: dict[str, Any], number: int) -> str:
    """What a test is called in a list of tests."""
    mark = text.STATUS_MARK.get(test["status"], "")
    return f"{mark} Test {number}"


def summary_rows(
    tests: Sequence[dict[str, Any]], recorded_as: Callable[[DraftApi], Draft | None]
) -> list[dict[str, Any]]:
    """Tests as rows of a table, oldest first.

    Args:
        tests: Columns of their LLM spans.
        recorded_as: Gives the recorded call in a format, None when there is none.
    """
    return [
        {
            "test": number,
            "status": test["status"],
            "edited": ", ".join(edits_of(test, recorded_as)),
            "model": test["model"],
            "latency": text.duration(test["duration_ms"]),
            "tokens": f"{text.count(test['tokens_input'])} → {text.count(test['tokens_output'])}",
            "cost": text.cost(test["cost_usd"]),
            "answer": text.first_line(test["error"] or answer_text(test)),
        }
        for number, test in enumerate(tests, start=1)
    ]


def edits_of(
    test: dict[str, Any], recorded_as: Callable[[DraftApi], Draft | None]
) -> tuple[str, ...]:
    """Names of what a test changed of the recorded call."""
    tested = draft_of({**test, "kind": "llm"})
    recorded = recorded_as(tested.api)
    return () if recorded is None else changes(recorded, tested)


def _running_title(test: dict[str, Any]) -> str:
    return _TITLES.get(test["status"], "New answer")


def _change(name: str, change: float | None) -> str:
    if not change:
        return ""
    # for each of these numbers less is better
    better = "better" if change < 0 else "worse"
    sign = "-" if change < 0 else "+"
    return f'<em class="tl-{better}">{sign}{escape(_FORMATS[name](abs(change)))}</em>'


def _said(message: dict[str, Any]) -> str:
    content = message.get("content", message)
    rest = {k: v for k, v in message.items() if k not in {"role", "content", "type"}}
    shown = content if isinstance(content, str) else _blocks(content)
    return f"{shown}\n{_dump(rest)}" if rest and "content" in message else shown


def _blocks(content: Any) -> str:
    if not isinstance(content, list):
        return _dump(content)
    return "\n".join(
        block["text"] if isinstance(block, dict) and isinstance(block.get("text"), str)
        else _dump(block)
        for block in content
    )  # fmt: skip


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
