"""The pages of the app and the links between them.

A page is listed here once it works; its file name is its URL.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A message is at the browser after this time.
_ARRIVES_S = 0.15
_FOLDER = Path(__file__).resolve().parent.parent / "pages"


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its file under `pages/` (and its URL), its title and what it is for."""

    name: str
    title: str
    help: str

    @property
    def path(self) -> Path:
        """The script of the page."""
        return _FOLDER / f"{self.name}.py"


ENTRIES: tuple[Entry, ...] = (
    Entry("live", "Live", "Watch a program's agents, model calls and tools as they run."),
    Entry("history", "History", "Find past traces, compare their cost, export them."),
    Entry("playground", "Playground", "Edit a recorded prompt, test it and see what changed."),
    Entry("replay", "Replay", "Run a recorded program again from any step and compare."),
    Entry("connect", "Connect", "Point a client at Trace Lake, or run the demo."),
    Entry("settings", "Settings", "The lake, its size and health, and how the app looks."),
)


def pages() -> list[st.Page]:
    """Every page that is installed, in the order of the navigation."""
    return [
        st.Page(entry.path, title=entry.title, help=entry.help)
        for entry in ENTRIES
        if is_listed(entry.name)
    ]


def is_listed(name: str) -> bool:
    """Whether there is a page of that name to link to."""
    return any(entry.name == name and entry.path.is_file() for entry in ENTRIES)


def path_of(name: str) -> str:
    """The script of the page with that name, as `st.switch_page` and `st.page_link` want it."""
    return str(_FOLDER / f"{name}.py")


def go(name: str, **params: str) -> None:
    """Leave for another page with these URL parameters; does not return."""
    _rest()
    st.switch_page(path_of(name), query_params=params)


def _rest() -> None:
    """Have the browser ask for no part of this page again.

    A part that it asks for while the next page is drawn already is answered in the name of this
    page, and the browser takes the next one for another page then and clears it.
    """
    context = get_script_run_ctx(suppress_warning=True)
    parts = getattr(context.fragment_storage, "_fragments", {}) if context is not None else {}
    if context is None or not parts:
        return
    message = ForwardMsg()
    message.stop_auto_rerun.fragment_ids.extend(parts)
    context.enqueue(message)
    time.sleep(_ARRIVES_S)  # and what was asked for before comes in


def render_link(name: str, label: str, *, icon: str | None = None, **params: str) -> None:
    """A link to a page with these URL parameters; nothing where there is no such page."""
    if is_listed(name):
        st.page_link(path_of(name), label=label, icon=icon, query_params=params)


def url_of(name: str, params: Mapping[str, str]) -> str:
    """A relative link to a page with URL parameters, for cells of tables and copied links."""
    from urllib.parse import urlencode

    return f"{name}?{urlencode(params)}" if params else name
