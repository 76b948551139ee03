"""Charts of roll-ups; pure: rows in, chart out. Colours come from the theme."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEIGHT = 165
_PADDING = {"left": 0, "right": 4, "top": 2, "bottom": 0}
_MODELS_SHOWN = 8
#: Whole dollars from a thousand on, else as many digits as the value needs.
_DOLLARS = "format(datum.value, datum.value < 1000 ? '$.3~g' : '$,.0f')"
_COUNT = "format(datum.value, '~s')"
_SECONDS = (
    "datum.value > 0 && datum.value < 1 ? format(1000 * datum.value, '.3~g') + ' ms'"
    " : format(datum.value, '~s') + ' s'"
)


def cost_by_model(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Stacked bars of spend per day and model.

    Args:
        rows: As `tracelake.query.rollups.cost_by_model` returns them; beyond the eight costliest
            models the rest are one, `other`.
    """
    spend: dict[str, float] = {}
    for row in rows:
        spend[row["model"]] = spend.get(row["model"], 0.0) + (row["cost_usd"] or 0.0)
    shown = sorted(spend, key=lambda model: spend[model], reverse=True)[:_MODELS_SHOWN]
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["cost_usd"] is None:
            continue
        model = row["model"] if row["model"] in shown else "other"
        day = row["day"].isoformat()
        into = sums.setdefault((day, model), {"day": day, "model": model, "cost": 0.0, "calls": 0})
        into["cost"] += row["cost_usd"]
        into["calls"] += row["calls"]
    return _bars(
        list(sums.values()),
        y=alt.Y("cost:Q", title=None, axis=alt.Axis(labelExpr=_DOLLARS, tickCount=4)),
        colour=alt.Color("model:N", title=None, sort=[*shown, "other"]),
        tooltip=["model:N", alt.Tooltip("cost:Q", format="$.4f"), "calls:Q"],
    )


def calls_by_day(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Stacked bars of calls per day: LLM and tool calls that went well, and those in error.

    Args:
        rows: As `tracelake.query.rollups.calls_by_day` returns them.
    """
    names = {"llm": "LLM", "tool": "tool"}
    values: list[dict[str, Any]] = []
    for row in rows:
        day = row["day"].isoformat()
        good = row["calls"] - row["errors"]
        values.append({"day": day, "what": names[row["kind"]], "calls": good})
        values.append({"day": day, "what": "error", "calls": row["errors"]})
    return _bars(
        values,
        y=alt.Y("calls:Q", title=None, axis=alt.Axis(labelExpr=_COUNT, tickCount=4)),
        colour=alt.Color(
            "what:N",
            title=None,
            scale=alt.Scale(
                domain=["LLM", "tool", "error"], range=["#8b5cf6", "#22a559", "#e5484d"]
            ),
        ),
        tooltip=["what:N", "calls:Q"],
    )


def latency_by_day(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Lines of the median and 95th percentile of LLM call duration, and of the first token.

    Args:
        rows: As `tracelake.query.rollups.latency_by_day` returns them.
    """
    names = {"p50_ms": "median", "p95_ms": "95th percentile", "ttft_p50_ms": "first token, median"}
    values = [
        {"day": row["day"].isoformat(), "what": label, "seconds": row[column] / 1000}
        for row in rows
        for column, label in names.items()
        if row[column] is not None
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line(point={"size": 28}, strokeWidth=1.8)
        .encode(
            x=_days(values),
            y=alt.Y(
                "seconds:Q",
                title=None,
                axis=alt.Axis(labelExpr=_SECONDS, tickCount=4),
            ),
            color=alt.Color("what:N", title=None, sort=list(names.values()), legend=_legend()),
            tooltip=["what:N", alt.Tooltip("seconds:Q", format=".2f"), "day:N"],
        )
        .properties(height=_HEIGHT, padding=_PADDING)
    )


def _bars(
    values: list[dict[str, Any]], *, y: alt.Y, colour: alt.Color, tooltip: list[Any]
) -> alt.Chart:
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(size=_bar_width(values))
        .encode(x=_days(values), y=y, color=colour.legend(_legend()), tooltip=[*tooltip, "day:N"])
        .properties(height=_HEIGHT, padding=_PADDING)
    )


def _bar_width(values: Sequence[dict[str, Any]]) -> float:
    return max(2.0, min(22.0, 260 / _day_span(values)))


def _day_span(values: Sequence[dict[str, Any]]) -> int:
    """Days from the first to the last, both counted; 1 without any."""
    days = sorted(value["day"] for value in values)
    return (date.fromisoformat(days[-1]) - date.fromisoformat(days[0])).days + 1 if days else 1


def _days(values: Sequence[dict[str, Any]]) -> alt.X:
    if _day_span(values) == 1:  # on an axis of time its mark would stand between two dates
        axis = alt.Axis(format="%d %b", grid=False, labelAngle=0)
        return alt.X("day:O", title=None, timeUnit="utcyearmonthdate", axis=axis)
    # whole days only: fractions of a day would all be labelled with the same date
    step = alt.TimeIntervalStep(interval="day", step=-(-_day_span(values) // 6))
    return alt.X(
        "day:T",
        title=None,
        timeUnit="utcyearmonthdate",
        axis=alt.Axis(format="%d %b", grid=False, tickCount=step, labelOverlap="greedy"),
    )


def _legend() -> alt.Legend:
    return alt.Legend(
        orient="top",
        labelLimit=118,
        labelFontSize=12,
        symbolSize=50,
        columns=3,
        columnPadding=6,
        rowPadding=0,
        offset=2,
        padding=0,
    )
