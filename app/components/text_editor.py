"""A text under edit: highlighted where the browser component can be had, else a plain text area.

Invariants:
- What is being typed is never overwritten; another text is shown only with another revision.
- The browser is told a text once: while it is typed in, the same message goes there again, which
  Streamlit knows by its hash, however long the text is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st
from streamlit.components.v2 import component

import tracelake
from app import state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BUNDLE = Path(tracelake.__file__).parent / "_ui" / "frontend" / "editor.js"
_LINE_CHARS = 82
_LINE_PX = 17.2
_MIN_PX, _MAX_PX = 68, 420


def render_text_editor(
    label: str,
    value: str,
    *,
    key: str,
    revision: str,
    on_submit: Callable[[], object],
    language: Literal["markdown", "json"] = "markdown",
    placeholder: str = "",
) -> str:
    """Draw an editor and give the text as it stands in it.

    Args:
        label: Its name for assistive technology; not drawn.
        value: The text to show when it appears, or when the revision changes.
        key: Of the editor; the same for as long as it is to keep its focus.
        revision: Names the state of `value` that the editor shows.
        on_submit: Called after Ctrl+Enter, before the run that has the text. A text area has no
            such key of its own: the page's shortcut does it.
        language: For highlighting.
        placeholder: Shown while it is empty.
    """
    if not is_available():
        return st.text_area(
            label,
            value,
            height=_height(value),
            key=f"{key}-{revision}",
            placeholder=placeholder,
            label_visibility="collapsed",
        )
    result = _component()(
        key=key,
        data={
            "id": key,
            "value": _told_once(key, revision, value),
            "revision": revision,
            "language": language,
            "label": label,
            "placeholder": placeholder,
            "height": f"{_MAX_PX}px",
        },
        default={"value": None},
        on_value_change=_noted,
        on_submit_change=on_submit,
    )
    told: dict[str, Any] | None = result.value
    text = str(told["text"]) if told and told["revision"] == revision else value
    _taken()[key] = (revision, text)
    return text


def has_news() -> bool:
    """Whether an editor told a text that was not drawn since."""
    for key, (revision, text) in _taken().items():
        typed = (state.get(key) or {}).get("value")
        if typed and typed["revision"] == revision and typed["text"] != text:
            return True
    return False


def reserve_heights(texts: Mapping[str, str]) -> None:
    """Keep the place of editors until their script is there, so that nothing jumps then.

    Args:
        texts: What each editor shows, by its key.
    """
    if is_available():
        rules = (
            f".st-key-{key} {{ min-height: {_height(text)}px }}" for key, text in texts.items()
        )
        st.html(f"<style>{''.join(rules)}</style>")


def is_available() -> bool:
    """Whether the component is built and there is a browser to run it."""
    return _BUNDLE.is_file() and st.context.url is not None


@cache
def _component() -> Any:
    return component(
        "tracelake.editor", html='<div class="tl-editor"></div>', css="editor.css", js="editor.js"
    )


def _taken() -> dict[str, tuple[str, str]]:
    """Of each editor the revision and the text that the page has, by its key."""
    return state.remember("_editors", dict[str, tuple[str, str]])


def _told_once(key: str, revision: str, value: str) -> str:
    """The text to tell the browser: while something is typed there, the one it was told first."""
    typed = (state.get(key) or {}).get("value")
    kept = state.get(f"_told-{key}")
    if typed and kept and typed["revision"] == kept[0] == revision:
        return str(kept[1])
    state.put(f"_told-{key}", value=(revision, value))
    return value


def _noted() -> None:
    """A callback makes Streamlit keep the value; the value itself is read where it is drawn."""


def _height(value: str) -> int:
    lines = sum(1 + len(line) // _LINE_CHARS for line in value.split("\n"))
    return round(max(_MIN_PX, min(_MAX_PX, 26 + lines * _LINE_PX)))
