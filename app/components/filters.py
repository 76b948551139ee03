"""The filter bar of a list of traces; every control stands in the URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from app import state
from app.components import text as text_of
from tracelake.model import STATUSES
from tracelake.query.traces import TraceFilter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from streamlit.delta_generator import DeltaGenerator

    from app.data import Facets
    from tracelake.query.traces import Order

#: URL parameters of the filter bar and the value that filters nothing; names are public.
_OFF: dict[str, Any] = {
    "q": "",
    "days": [],
    "agent": [],
    "model": [],
    "tool": [],
    "errors": False,
    "status": [],
    "source": [],
    "min_cost": None,
    "min_seconds": None,
    "page": 1,
}
#: What stands in the list and in the URL, for each order.
_ORDERS: dict[str, Order] = {
    "Newest": "newest",
    "Oldest": "oldest",
    "Costliest": "costliest",
    "Slowest": "slowest",
    "Most errors": "most_errors",
}
#: What a click on the head of a column chooses: the first order, or the second where that is so.
_BY_COLUMN = {
    "started": ("Newest", "Oldest"),
    "cost": ("Costliest", "Newest"),
    "duration": ("Slowest", "Newest"),
    "errors": ("Most errors", "Newest"),
}


def render_filters(facets: Facets) -> TraceFilter:
    """Draw the bar; returns the filter that the URL and the controls say."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    text = bar.text_input(
        "Text",
        key="q",
        bind="query-params",
        placeholder="Search prompts, answers, results",
        icon=":material/search:",
        on_change=_to_first_page,
        label_visibility="collapsed",
        width="stretch",
    )
    days = cast(
        "tuple[date, ...]",
        bar.date_input(
            "Days (UTC)",
            value=[],
            key="days",
            bind="query-params",
            format="YYYY-MM-DD",
            on_change=_to_first_page,
            label_visibility="collapsed",
            width=228,
        ),
    )
    agents = _choice(bar, "agent", "Agent", facets.agents)
    models = _choice(bar, "model", "Model", facets.models)
    tools = _choice(bar, "tool", "Tool", facets.tools)
    errors = bar.toggle("With errors", key="errors", bind="query-params", on_change=_to_first_page)
    with bar.popover("More", icon=":material/tune:", width="content"):
        statuses = st.pills(
            "Status",
            sorted(STATUSES),
            format_func=text_of.STATUS_WORD.__getitem__,
            selection_mode="multi",
            key="status",
            bind="query-params",
            on_change=_to_first_page,
        )
        sources = st.pills(
            "Source",
            facets.sources,
            selection_mode="multi",
            key="source",
            bind="query-params",
            on_change=_to_first_page,
        )
        min_cost = _least("min_cost", "Cost at least (US dollars)", step=0.01)
        min_seconds = _least("min_seconds", "Duration at least (seconds)", step=1.0)
    wanted = TraceFilter(
        since=days[0] if days else None,
        until=days[-1] if days else None,  # a URL holds a day that begins and ends a range once
        agents=agents,
        models=models,
        tools=tools,
        statuses=tuple(statuses),
        sources=tuple(sources),
        with_errors=errors,
        min_cost_usd=min_cost,
        min_duration_s=min_seconds,
        text=text.strip() or None,
    )
    if not wanted.is_empty:
        bar.button("Clear all", icon=":material/close:", type="tertiary", on_click=clear)
    return wanted


def render_order() -> Order:
    """Draw the choice of the order; returns the one that the URL and the control say."""
    order = st.selectbox(
        "Order",
        list(_ORDERS),
        key="order",
        bind="query-params",
        on_change=_to_first_page,
        label_visibility="collapsed",
        width=132,
    )
    return _ORDERS[order]


def sort_by(column: str) -> None:
    """Choose the order of a column of the list; of other columns there is none."""
    if column in _BY_COLUMN:
        first, second = _BY_COLUMN[column]
        state.put("order", second if state.get("order") == first else first)
        _to_first_page()


def clear() -> None:
    """Take every filter back."""
    for key, value in _OFF.items():
        state.put(key, value)


def _choice(bar: DeltaGenerator, key: str, label: str, options: Sequence[str]) -> tuple[str, ...]:
    chosen = bar.multiselect(
        label,
        options,
        key=key,
        bind="query-params",
        placeholder=label,
        on_change=_to_first_page,
        label_visibility="collapsed",
        width=150,
    )
    return tuple(chosen)


def _least(key: str, label: str, *, step: float) -> float | None:
    return st.number_input(
        label,
        min_value=0.0,
        value=None,
        step=step,
        key=key,
        bind="query-params",
        placeholder="any",
        on_change=_to_first_page,
    )


def _to_first_page() -> None:
    state.put("page", 1)
