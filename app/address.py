"""The parameters of the URL, kept against what the browser tells late.

Streamlit takes a run's parameters from the browser. What the browser asked for before it heard of
the last change would undo that change, for good: a click in the graph while another is answered.

Invariants:
- A value that was set stands although the browser tells an earlier one, unless the user went
  elsewhere: back or forward, to another page, or to a URL that differs in more than that.
- No value is held against the browser for longer than `_UNHEARD_S`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamlit.runtime.scriptrunner import ScriptRunContext

_KEY = "_address"
#: A browser that tells an earlier value after this time means it, however slow the machine is.
_UNHEARD_S = 20.0


@dataclass(slots=True)
class _Value:
    """What a parameter was set to, at a time in seconds, and what the browser may tell instead."""

    values: list[str]
    before: list[list[str]]
    at: float

    @property
    def is_heard(self) -> bool:
        return time.monotonic() - self.at > _UNHEARD_S


@dataclass(slots=True)
class _Address:
    """All that a session set on one page, by name, and what stood beside it."""

    page: str
    values: dict[str, _Value] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)


def read(name: str) -> list[str]:
    """The values of a parameter, an empty list where it is absent."""
    _settled()
    return st.query_params.get_all(name)


def write(name: str, values: Sequence[str]) -> None:
    """Set a parameter once for each value; none removes it."""
    address = _settled()
    new, old = list(values), st.query_params.get_all(name)
    if new == old:
        return
    _put(name, new)
    known = address.values.get(name)
    before = [*known.before, old] if known and not known.is_heard else [old]
    address.values[name] = _Value(new, before, time.monotonic())
    address.others = _others(address)


def _put(name: str, values: list[str]) -> None:
    if values:
        st.query_params[name] = values
    else:
        st.query_params.pop(name, None)


def _settled() -> _Address:
    """What was set on this page, after it was brought back where the browser did not know of it."""
    context = get_script_run_ctx(suppress_warning=True)
    page = context.page_script_hash if context else ""
    address = st.session_state.get(_KEY)
    if address is None or address.page != page or _is_elsewhere(address, context):
        address = st.session_state[_KEY] = _Address(page)
    for name, known in address.values.items():
        if st.query_params.get_all(name) != known.values:
            _put(name, known.values)
    return address


def _others(address: _Address) -> dict[str, list[str]]:
    names = set(st.query_params) - address.values.keys()
    return {name: st.query_params.get_all(name) for name in names}


def _is_elsewhere(address: _Address, context: ScriptRunContext | None) -> bool:
    """Whether the parameters are another URL's, not an earlier state of this one."""
    if address.values and _others(address) != address.others:
        return True
    told = ((st.query_params.get_all(name), known) for name, known in address.values.items())
    return any(
        values != known.values
        and (
            known.is_heard
            or values not in known.before
            or (context is not None and context.is_history_navigation)
        )
        for values, known in told
    )
