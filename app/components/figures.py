"""A line of numbers under their names."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_BAD = ' class="bad"'


def render_figures(cells: Iterable[tuple[str, str]], *, bad: Collection[str] = ()) -> None:
    """Draw the numbers as one element, which is cheap to draw anew every second.

    Args:
        cells: Name and value, as text.
        bad: Names of those that tell of a failure.
    """
    figures = "".join(
        f"<div{_BAD if name in bad else ''}><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in cells
    )
    st.html(f'<dl class="tl-figures">{figures}</dl>')
