"""Two texts side by side with what was removed and added marked.

In a browser a component draws them: differences are counted and walked through, long stretches
without one are folded. Where it cannot be had the same is plain HTML; all text is escaped.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import streamlit as st
from streamlit.components.v2 import component

import tracelake
from app import state
from tracelake.playground.compare import Chunk, word_diff
from tracelake.playground.rows import Piece, Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Mode = Literal["whole", "partial", "followed"]
_BUNDLE = Path(tracelake.__file__).parent / "_ui" / "frontend" / "diff.js"
#: Of a longer piece only the ends are shown until it is asked for: nobody reads it, and laying it
#: out stops the page.
_PIECE_MAX, _PIECE_ENDS = 20_000, 1_000
_TURNING = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_LONG_LINE = re.compile(rf"([^\n]{{{_PIECE_MAX + 1},}})")


def render_diff(
    before: str,
    after: str,
    *,
    titles: tuple[str, str],
    key: str,
    is_partial: bool = False,
    is_followed: bool = False,
) -> None:
    """Draw two texts side by side.

    Args:
        before: At the left; what is only here is marked as removed.
        after: At the right; what is only here is marked as added.
        titles: Above the panes.
        key: Of the view, which keeps its place while the texts change.
        is_partial: More of `after` may come, so what it lacks at the end is not marked yet.
        is_followed: The view asks for the fragment that it stands in to be drawn again after each
            edit of a text of the page.
    """
    chunks = list(_compared(before, after))
    waiting = chunks.pop().text if is_partial and chunks and chunks[-1].op == "removed" else ""
    mode: Mode = "partial" if is_partial else "followed" if is_followed else "whole"
    render_chunks(chunks, titles=titles, key=key, waiting=waiting, mode=mode)


def render_chunks(
    chunks: Sequence[Chunk],
    *,
    titles: tuple[str, str],
    key: str,
    waiting: str = "",
    mode: Mode = "whole",
) -> None:
    """Draw a difference that was computed already.

    Args:
        chunks: As `word_diff` gives them.
        titles: Above the panes.
        key: Of the view.
        waiting: Ends the left pane, unmarked.
        mode: `partial` while it is too early to say that there is no difference; `followed` where
            the view asks for another drawing after each edit.
    """
    if not (_BUNDLE.is_file() and st.context.url):
        st.html(_as_html(chunks, titles=titles, waiting=waiting))
        return
    opened = frozenset[str](_state_of(key).get("opened") or ())
    rows = json.dumps([told(row, opened) for row in rows_of(chunks, waiting=waiting)])
    # all of it text: anything else Streamlit would take for a data frame, and load pandas to see
    data = {"left": titles[0], "right": titles[1], "rows": rows, "state": mode}
    _component()(
        key=key,
        data=data,
        default={"opened": []},
        on_opened_change=_noted,
        on_edited_change=_noted,
    )


def _as_html(chunks: Sequence[Chunk], *, titles: tuple[str, str], waiting: str) -> str:
    """The two panes as HTML; every chunk escaped; `waiting` ends the left one, unmarked."""
    left = "".join(_marked(chunk, "removed", "del") for chunk in chunks if chunk.op != "added")
    left += _escaped(waiting)
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


def told(row: Row, opened: Collection[str]) -> list[Any]:
    """A row as the component takes it.

    Equal text goes once; what is folded, and the middle of a very long piece, goes when it was
    asked for: a long prompt does not travel whenever a word of it changes.

    Args:
        row: Of a difference.
        opened: Names of what was asked for.
    """
    if row.kind == "changed":
        sides = (_without_last_break(side) for side in (row.left, row.right))
        return ["changed", *([_cut(*piece, opened) for piece in side] for side in sides)]
    text = row.left[0].text.removesuffix("\n")
    if row.kind == "folded":
        name = _name(text)
        return ["folded", name, row.lines, *([text] if name in opened else [])]
    parts = _LONG_LINE.split(text)
    if len(parts) == 1:
        return ["same", text]
    pieces = [_cut(part, 0, opened) for part in parts if part]
    return ["changed", pieces, pieces]


def _cut(text: str, number: int, opened: Collection[str]) -> list[Any]:
    """A piece as text and number, or as start, number, name, length of the middle and end."""
    name = _name(text) if len(text) > _PIECE_MAX else ""
    if not name or name in opened:
        return [text, number]
    hidden = len(text) - 2 * _PIECE_ENDS
    return [text[:_PIECE_ENDS], number, name, hidden, text[-_PIECE_ENDS:]]


def _name(text: str) -> str:
    """Names a text that may be asked for, the same as long as it stays the same."""
    return f"{len(text)}-{crc32(text.encode(errors='surrogatepass')):x}"


def _without_last_break(side: Sequence[Piece]) -> list[tuple[str, int]]:
    """Pieces as text and number; the break that ends a row is no text, unless it differs."""
    pieces = [(piece.text, piece.difference or 0) for piece in side]
    if pieces and pieces[-1][0] != "\n":
        pieces[-1] = (pieces[-1][0].removesuffix("\n"), pieces[-1][1])
    elif pieces and not pieces[-1][1]:
        pieces.pop()
    return pieces


def _state_of(key: str) -> dict[str, Any]:
    """What the view told: names of what it was asked to show."""
    return state.get(key) or {}


def _noted() -> None:
    """A callback makes Streamlit keep a value; the value itself is read where it is drawn."""


@lru_cache(maxsize=32)
def _compared(before: str, after: str) -> tuple[Chunk, ...]:
    """The difference, remembered: a page that polls asks for the same one again and again."""
    return tuple(word_diff(before, after))


def _marked(chunk: Chunk, op: str, tag: str) -> str:
    text = _escaped(chunk.text)
    return f"<{tag}>{text}</{tag}>" if chunk.op == op else text


def _escaped(text: str) -> str:
    """Text as HTML; what would turn the order of its characters turns none beside itself."""
    return _TURNING.sub(r'<bdi class="tl-unseen">\g<0></bdi>', escape(text))


def _pane(title: str, body: str) -> str:
    empty = '<span class="tl-none">nothing</span>'
    return (
        f'<section><div class="tl-caption">{escape(title)}</div>'
        f'<div class="tl-pane">{body or empty}</div></section>'
    )
