"""Two texts side by side with what was removed and added marked; all text is escaped."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import streamlit as st

from tracelake.playground.compare import Chunk, word_diff


def render_diff(
    before: str, after: str, *, titles: tuple[str, str], is_partial: bool = False
) -> None:
    """Draw two texts side by side.

    Args:
        before: At the left; what is only here is marked as removed.
        after: At the right; what is only here is marked as added.
        titles: Above the panes.
        is_partial: More of `after` may come, so what it lacks at the end is not marked yet.
    """
    chunks = list(_compared(before, after))
    waiting = chunks.pop().text if is_partial and chunks and chunks[-1].op == "removed" else ""
    st.html(side_by_side(chunks, titles=titles, waiting=waiting))


def side_by_side(chunks: list[Chunk], *, titles: tuple[str, str], waiting: str = "") -> str:
    """The two panes as HTML; every chunk escaped; `waiting` ends the left one, unmarked."""
    left = "".join(_marked(chunk, "removed", "del") for chunk in chunks if chunk.op != "added")
    left += escape(waiting)
    right = "".join(_marked(chunk, "added", "ins") for chunk in chunks if chunk.op != "removed")
    panes = zip(titles, (left, right), strict=True)
    return f'<div class="tl-diff">{"".join(_pane(title, body) for title, body in panes)}</div>'


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
