"""Session state and URL parameters: every key in one place.

Invariants:
- Only this module touches `st.session_state`, and only `address` touches `st.query_params` (and
  keeps what it needs for that under a key of its own).
- A name in `Param` is public: it stands in shared URLs, so it is never renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import address
from app.routes import guard

if TYPE_CHECKING:
    from collections.abc import Sequence


class Param:
    """Names of URL parameters."""

    TRACE = "trace"
    SPAN = "span"
    FORMAT = "format"
    DRAFT = "draft"
    AGENT = "agent"  # may be repeated
    TOKEN = "token"  # noqa: S105 - a name


def param(name: str) -> str | None:
    """The value of a URL parameter, None when absent or empty."""
    values = address.read(name)
    return values[-1] or None if values else None


def params(name: str) -> list[str]:
    """All values of a URL parameter that may be repeated."""
    return address.read(name)


def set_list(name: str, values: Sequence[str]) -> None:
    """Set a URL parameter once for each value; none removes it."""
    address.write(name, values)


def set_params(**values: str | None) -> None:
    """Set URL parameters; None removes one."""
    for name, value in values.items():
        address.write(name, [] if value is None else [value])


def session_token() -> str:
    """The token with which this session's page may use the custom routes; the same all session."""
    return remember("_token", guard.issue_token)


def remember(key: str, make: Any) -> Any:
    """The session's value under `key`, made by `make()` the first time."""
    if key not in st.session_state:
        st.session_state[key] = make()
    return st.session_state[key]


def get(key: str, default: Any = None) -> Any:
    """The session's value under `key`."""
    return st.session_state.get(key, default)


def put(key: str, value: Any) -> None:
    """Keep a value for this session."""
    st.session_state[key] = value


def drop(*keys: str) -> None:
    """Forget values of this session."""
    for key in keys:
        st.session_state.pop(key, None)
