"""Controls that are as they were left when they are drawn again in this session.

Streamlit forgets the value of a control as soon as a run does not draw it: another step is looked
at, a rerun is watched, another page is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import state

if TYPE_CHECKING:
    from collections.abc import Collection


def recall(key: str, *, among: Collection[Any] | None = None) -> str:
    """Before a control is drawn: give it back what it was left with.

    Args:
        key: Of the control.
        among: What it offers, where that may have changed.

    Returns:
        The key.
    """
    left = state.get(_name(key))
    if left is not None and state.get(key) is None and (among is None or left in among):
        state.put(key, left)
    return key


def note(key: str, value: Any, *, usual: Any) -> None:
    """After a control was drawn: note what it holds, unless that is what it holds anyway."""
    if value == usual:
        state.drop(_name(key))
    else:
        state.put(_name(key), value)


def _name(key: str) -> str:
    return f"_kept {key}"
