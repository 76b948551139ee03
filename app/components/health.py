"""Whether the collector serves and what it has taken in, in a small card."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app import data, service
from app.components import text
from tracelake.errors import LakeError

_NAMES = {"anthropic": "Anthropic", "openai": "OpenAI"}


def render_collector() -> None:
    """Draw the state of the relay and of recording."""
    with st.container(border=True, key="collector-card"):
        try:
            health = service.collector_health()
        except LakeError as error:
            st.html(_line("error", "Collector", str(error)))
            return
        if health is None:
            st.html(_line("lost", "Collector", "not running"))
            return
        st.html(
            _line("ok", "Relay", f"listening at {health['address']}")
            + _records(health)
            + "".join(_upstream(name, state) for name, state in health["upstreams"].items())
        )


def _records(health: dict[str, Any]) -> str:
    problem = health.get("spool_error")
    if problem or health.get("dropped"):
        return _line("error", "Recording", problem or f"{health['dropped']} calls not recorded")
    if waiting := service.ingest_problem():
        return _line("error", "Ingest", waiting)
    latest = data.latest_trace()
    if latest is None:
        return _line("running", "Recording", "waiting for the first call…")
    name = text.first_line(latest["name"] or latest["trace_id"], 48)
    return (
        _line("ok", "Recording", f"{text.plural(health['exchanges'], 'call')} since the relay "
              f"started, {health['in_flight']} in flight")
        + _line("other", "Latest trace", name)
    )  # fmt: skip


def _upstream(name: str, state: dict[str, Any]) -> str:
    failures = f", {state['failures']} failed" if state["failures"] else ""
    calls = text.plural(state["calls"], "call")
    return _line("other", _NAMES.get(name, name), f"to {state['url']} · {calls}{failures}")


def _line(status: str, name: str, value: str) -> str:
    return (
        f'<div class="tl-health"><span class="tl-dot tl-{status}"></span>'
        f"<b>{escape(name)}</b><span>{escape(value)}</span></div>"
    )
