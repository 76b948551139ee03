"""Past traces: find them, see what they cost, look inside, take them away as Parquet."""

from __future__ import annotations

import streamlit as st

from app import charts, data, state
from app.components import empty, filters, preview, text, traces
from app.components.figures import render_figures
from app.components.importing import render_import
from tracelake.errors import NotInLake

PAGE_ROWS = 50
_HINTS = {
    "Cost": "At list prices. Calls whose price is not known are not in it.",
    "Really spent": "The cost without the calls that reruns answered from a recording and those "
    "that the offline provider answered.",
}


def main() -> None:
    """Draw the page."""
    if not data.has_traces():
        empty.render_empty_lake()
        return
    wanted = filters.render_filters(data.trace_facets())
    totals = data.totals(wanted)
    if not totals["traces"]:
        empty.render_no_match(on_clear=filters.clear)
        return
    opened = state.param(state.Param.TRACE)
    with st.container(horizontal=True, horizontal_alignment="distribute", wrap=False):
        render_totals(totals)
        with_charts = st.toggle(
            "Charts", value=True, key="charts", bind="query-params", disabled=opened is not None
        )
    # a trace that was opened takes their place
    place = st.container(key="per-day").empty() if with_charts and not opened else None
    left, right = st.columns([1.9, 1], gap="medium") if opened else (st.container(), None)
    with left:
        render_list(wanted, total=totals["traces"])
    if right is not None and opened is not None:
        with right:
            render_opened(opened)
    if place is not None:  # read last: every span of the selection is behind them
        with place.container():
            render_charts(data.per_day(wanted))


def render_totals(totals: dict[str, float]) -> None:
    """The selection in one line of numbers."""
    free = totals["not_spent_usd"]
    paid = max(0.0, round((totals["cost_usd"] or 0) - free, 9))  # sums of floats leave a rest
    spent = [("Really spent", text.cost(paid))] if free else []
    cells = (
        ("Traces", text.count(totals["traces"])),
        ("With errors", text.count(totals["with_errors"])),
        ("LLM calls", text.count(totals["llm_calls"])),
        ("Tool calls", text.count(totals["tool_calls"])),
        ("Tokens in", text.count(totals["tokens_input"])),
        ("Tokens out", text.count(totals["tokens_output"])),
        ("Cost", text.cost(totals["cost_usd"] if totals["priced"] else None)),
        *spent,
        ("Duration, median", text.duration(totals["duration_p50_ms"])),
        ("Duration, 95th percentile", text.duration(totals["duration_p95_ms"])),
    )
    render_figures(cells, bad=("With errors",) if totals["with_errors"] else (), hints=_HINTS)


def render_charts(summary: data.PerDay) -> None:
    """Cost, calls and latency per day."""
    drawings = (
        ("Cost by model", charts.cost_by_model(summary.cost_by_model)),
        ("Calls", charts.calls_by_day(summary.calls_by_day)),
        ("LLM latency", charts.latency_by_day(summary.latency_by_day)),
    )
    for column, (title, chart) in zip(st.columns(3, gap="medium"), drawings, strict=True):
        with column.container(border=True, key=f"chart-{title.split()[0].lower()}"):
            st.markdown(f"**{title}** :gray[per day, UTC]")
            st.altair_chart(chart, theme="streamlit")


def render_list(wanted: filters.TraceFilter, *, total: int) -> None:
    """The page of the list that the URL names, its pager and the export."""
    table, foot = (
        st.container(),
        st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ),
    )
    # at the left: the table's own tools appear above its right end
    with table, st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "Click a row to look inside, a heading to sort; tick rows to export only them.",
            width="content",
        )
        order = filters.render_order()
    number_of_pages = max(1, -(-total // PAGE_ROWS))
    with foot:
        page = st.pagination(number_of_pages, key="page", bind="query-params")
    shown = data.list_traces(wanted, order=order, page=page, page_size=PAGE_ROWS)
    with table:
        chosen = traces.render_traces(
            shown.rows,
            key=f"traces-{hash((wanted, order, page))}",
            on_open=lambda trace_id: state.set_params(trace=trace_id),
            on_sort=filters.sort_by,
            is_narrow=state.param(state.Param.TRACE) is not None,
        )
    with foot:
        first = (page - 1) * PAGE_ROWS + 1
        part = f"{first:,} to {first + len(shown.rows) - 1:,} of " if number_of_pages > 1 else ""
        st.caption(f"{part}{text.plural(total, 'trace')}")
        what = text.plural(len(chosen) or total, "trace")
        render_import()
        st.download_button(
            f"Export {what} as Parquet",
            data=lambda: data.export_parquet(wanted, chosen),
            file_name="traces.parquet",
            mime="application/vnd.apache.parquet",
            icon=":material/download:",
            on_click="ignore",
            help="The ticked traces, or all that match when none is ticked: spans for any tool, "
            "and for Trace Lake what it takes to test and rerun them elsewhere, working files of "
            f"recorded runs included. Of more than {data.WHOLE_EXPORT_TRACES} the spans alone.",
        )


def render_opened(trace_id: str) -> None:
    """The preview of the trace that the URL names."""
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="right"):
            close = st.button(
                "Close", icon=":material/close:", type="tertiary", key="close-preview"
            )
        if close:
            state.set_params(trace=None)
            st.rerun()
        try:
            preview.render_preview(data.read_trace(trace_id), data.read_spans(trace_id))
        except NotInLake as error:
            st.warning(f"{str(error)[:1].upper()}{str(error)[1:]}: it may have been deleted.")


main()
