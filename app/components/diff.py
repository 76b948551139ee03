"""Two texts side by side with what was removed and added marked.

In a browser a component draws them: differences are counted and walked through, long stretches
without one are folded. Where it cannot be had the same is plain HTML; all text is escaped.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.components.v2 import component

import tracelake
from tracelake.playground.compare import Chunk, word_diff
from tracelake.playground.rows import Piece, Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUNDLE = Path(tracelake.__file__).parent / "_ui" / "frontend" / "diff.js"


def render_diff(
    before: str, after: str, *, titles: tuple[str, str], key: str, is_partial: bool = False
) -> None:
    """Draw two texts side by side.

    Args:
        before: At the left; what is only here is marked as removed.
        after: At the right; what is only here is marked as added.
        titles: Above the panes.
        key: Of the view, which keeps its place while the texts change.
        is_partial: More of `after` may come, so what it lacks at the end is not marked yet.
    """
    chunks = list(_compared(before, after))
    waiting = chunks.pop().text if is_partial and chunks and chunks[-1].op == "removed" else ""
    render_chunks(chunks, titles=titles, key=key, waiting=waiting, is_partial=is_partial)


def render_chunks(
    chunks: Sequence[Chunk],
    *,
    titles: tuple[str, str],
    key: str,
    waiting: str = "",
    is_partial: bool = False,
) -> None:
    """Draw a difference that was computed already.

    Args:
        chunks: As `word_diff` gives them.
        titles: Above the panes.
        key: Of the view.
        waiting: Ends the left pane, unmarked.
        is_partial: It is too early to say that there is no difference.
    """
    if not (_BUNDLE.is_file() and st.context.url):
        st.html(side_by_side(chunks, titles=titles, waiting=waiting))
        return
    rows = json.dumps([_told(row) for row in rows_of(chunks, waiting=waiting)])
    # all of it text: anything else Streamlit would take for a data frame, and load pandas to see
    state = "partial" if is_partial else "whole"
    data = {"left": titles[0], "right": titles[1], "rows": rows, "state": state}
    _component()(key=key, data=data)


def side_by_side(chunks: Sequence[Chunk], *, titles: tuple[str, str], waiting: str = "") -> str:
    """The two panes as HTML; every chunk escaped; `waiting` ends the left one, unmarked."""
    left = "".join(_marked(chunk, "removed", "del") for chunk in chunks if chunk.op != "added")
    left += escape(waiting)
    right = "".join(_marked(chunk, "added", "ins") for chunk in chunks if chunk.op != "removed")
    panes = zip(titles, (left, right), strict=True)
    return f'<div class="tl-diff">{"".join(_pane(title, body) for title, body in panes)}</div>'


def added_marked(before: str, after: str) -> str:
    """One text as HTML, what the other one has not marked in it; every chunk escaped."""
    kept = (chunk for chunk in _compared(before, after) if chunk.op != "removed")
    return "".join(_marked(chunk, "added", "ins") for chunk in kept)


@cache
def _component() -> Any:
    # the place is kept until the script is there, so that nothing below jumps
    html = '<div class="tl-difference" style="min-height: 5rem"></div>'
    return component("tracelake.diff", html=html, css="diff.css", js="diff.js")


def _told(row: Row) -> list[Any]:
    """A row as the component takes it: equal text goes once."""
    if row.kind == "same":
        return ["same", _text(row)]
    if row.kind == "folded":
        return ["folded", row.lines, _text(row)]
    sides = (_without_last_break(side) for side in (row.left, row.right))
    return ["changed", *sides]


def _text(row: Row) -> str:
    return row.left[0].text.removesuffix("\n")


def _without_last_break(side: Sequence[Piece]) -> list[list[Any]]:
    """Pieces as text and number; the break that ends a row is no text, unless it differs."""
    pieces: list[list[Any]] = [[piece.text, piece.difference or 0] for piece in side]
    if pieces and pieces[-1][0] != "\n":
        pieces[-1][0] = pieces[-1][0].removesuffix("\n")
    elif pieces and not pieces[-1][1]:
        pieces.pop()
    return pieces


@lru_cache(maxsize=32)
def _compared(before: str, after: str) -> tuple[Chunk, ...]:
    """The difference, remembered: a page that polls asks for the same one again and again."""
    return tuple(word_diff(before, after))


def _marked(chunk: Chunk, op: str, tag: str) -> str:
    text = escape(chunk.text)
    return f"<{tag}>{text}</{tag}>" if chunk.op == op else text


def _pane(title: str, body: str) -> str:
    empty = '<span class="tl-none">nothing</span>'
    return (
        f'<section><div class="tl-caption">{escape(title)}</div>'
        f'<div class="tl-pane">{body or empty}</div></section>'
    )
