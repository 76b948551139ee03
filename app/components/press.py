"""Buttons whose press is never lost.

Streamlit starts a run anew when something else asks for one, such as a part of the page that looks
again by itself; a press that the broken-off run had not come to is forgotten. Callbacks run first,
so a press is noted there and taken by the next run that draws the button.
"""

from __future__ import annotations

import time
from typing import Any, Final

import streamlit as st

from app import state

#: A press that was not taken within this time belongs to a button that was not drawn again.
_FORGET_S: Final = 10.0


def button(label: str, *, key: str, **options: Any) -> bool:
    """A button; whether it was pressed, told once.

    Args:
        label: Its text.
        key: Its own.
        options: Of `st.button`.
    """
    st.button(label, key=key, on_click=_note, args=(key,), **options)
    pressed_at = state.get(_name(key))
    state.drop(_name(key))
    return pressed_at is not None and time.monotonic() - pressed_at < _FORGET_S


def _note(key: str) -> None:
    state.put(_name(key), time.monotonic())


def _name(key: str) -> str:
    return f"_pressed {key}"
