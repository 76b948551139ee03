"""A line of numbers under their names."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_BAD = ' class="bad"'


def render_figures(
    cells: Iterable[tuple[str, str]],
    *,
    bad: Collection[str] = (),
    hints: Mapping[str, str] | None = None,
) -> None:
    """Draw the numbers as one element, which is cheap to draw anew every second.

    Args:
        cells: Name and value, as text.
        bad: Names of those that tell of a failure.
        hints: What to say of some of them under the pointer, by name.
    """
    figures = "".join(
        f"<div{_BAD if name in bad else ''}{_title((hints or {}).get(name))}>"
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in cells
    )
    st.html(f'<dl class="tl-figures">{figures}</dl>')


def _title(hint: str | None) -> str:
    return f' title="{escape(hint)}"' if hint else ""
