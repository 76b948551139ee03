"""A text under edit: highlighted where the browser component can be had, else a plain text area.

Invariants:
- What is being typed is never overwritten; another text is shown only with another revision.
- The browser is told a text once: while it is typed in, the same message goes there again, which
  Streamlit knows by its hash, however long the text is; and it tells what was edited, not the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
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
_LINE_PX = 16.4
_MIN_PX, _MAX_PX = 57, 420


def render_text_editor(
    label: str,
    value: str,
    *,
    key: str,
    revision: str,
    on_text: Callable[[str], object],
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
        on_text: Takes the text after an edit, before anything of that run is drawn, whichever part
            of the page is.
        on_submit: Called after Ctrl+Enter, before the run that has the text. A text area has no
            such key of its own: the page's shortcut does it.
        language: For highlighting.
        placeholder: Shown while it is empty.
    """
    if not is_available():
        typed = st.text_area(
            label,
            value,
            height=_height(value),
            key=f"{key}-{revision}",
            placeholder=placeholder,
            label_visibility="collapsed",
        )
        if typed != value:
            on_text(typed)
        return typed
    shown = _shown(key, revision, value)
    _editors()[key] = on_text
    _component()(
        key=key,
        data={
            "id": key,
            "value": shown.text,
            "revision": shown.revision,
            "language": language,
            "label": label,
            "placeholder": placeholder,
            "height": f"{_MAX_PX}px",
        },
        # not named `value`: Streamlit takes a lone state of that name apart, and calls nobody
        default={"edit": None},
        on_edit_change=partial(_take, key),
        on_submit_change=on_submit,
    )
    typed = _text(key)
    return value if typed is None else typed


def after_edits(action: Callable[..., object]) -> Callable[..., None]:
    """A callback that takes the last keys in and then acts.

    Of what a browser tells at once Streamlit calls back a pressed button first: what it does to a
    text must not be undone by keys from before it, nor lose them.
    """

    def act(*args: object) -> None:
        for key in _editors():
            _take(key)
        action(*args)

    return act


def edited(text: str, *, start: int, end: int, given: str) -> str:
    """A text with the stretch from `start` to `end` replaced, both in UTF-16 units."""
    if text.isascii():
        return f"{text[:start]}{given}{text[end:]}"
    units = text.encode("utf-16-le", "surrogatepass")
    parts = (units[: 2 * start], given.encode("utf-16-le", "surrogatepass"), units[2 * end :])
    return b"".join(parts).decode("utf-16-le", "surrogatepass")


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


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the browser was told last: the text that edits are counted from.

    Attributes:
        draft: The revision that the page named.
        number: Rises with each text of that revision; more than one where the editor was gone from
            the page in between, and what was typed into it with it.
        text: As it was told.
    """

    draft: str
    number: int
    text: str

    @property
    def revision(self) -> str:
        """The revision as the browser knows it."""
        return f"{self.draft} {self.number}"


def _shown(key: str, revision: str, value: str) -> _Shown:
    """The text to tell the browser: while something is typed there, the one it was told first."""
    kept: _Shown | None = state.get(f"_shown-{key}")
    number = 0
    if kept is not None and kept.draft == revision:
        if kept.text == value or _typed(key, kept) is not None:
            return kept
        number = kept.number + 1
    shown = _Shown(revision, number, value)
    state.put(f"_shown-{key}", value=shown)
    return shown


def _typed(key: str, shown: _Shown) -> dict[str, Any] | None:
    """The edit that the browser told of a text; None where there is none."""
    told: dict[str, Any] | None = (state.get(key) or {}).get("edit")
    return told if told and told["revision"] == shown.revision else None


def _text(key: str) -> str | None:
    """The text as it was edited; None where it was not."""
    shown: _Shown | None = state.get(f"_shown-{key}")
    told = _typed(key, shown) if shown else None
    if shown is None or told is None:
        return None
    return edited(shown.text, start=told["start"], end=told["end"], given=told["text"])


def _take(key: str) -> None:
    text = _text(key)
    if text is not None and key in _editors():
        _editors()[key](text)


def _editors() -> dict[str, Callable[[str], object]]:
    """What takes the text of each editor, by its key."""
    return state.remember("_editors", dict[str, Any])


def _height(value: str) -> int:
    lines = sum(1 + len(line) // _LINE_CHARS for line in value.split("\n"))
    return round(max(_MIN_PX, min(_MAX_PX, 12 + lines * _LINE_PX)))
