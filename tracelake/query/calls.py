"""Questions about single spans: which failed, which said something, how fast and how reliable.

Every function takes and returns narwhals lazy frames over `spans`, so that the same question runs
on every engine. Ranges of time are half-open, UTC.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from tracelake.errors import UnknownColumn

if TYPE_CHECKING:
    from datetime import datetime

By = Literal["agent_name", "model", "tool_name", "provider", "kind"]

_JSON = ("messages", "parameters", "response_blocks")
_TEXT = ("system", "messages", "response", "result", "error")


def find_spans(
    spans: nw.LazyFrame[Any],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    kind: str | None = None,
    agent_name: str | None = None,
    status: str | None = None,
    model: str | None = None,
    tool_name: str | None = None,
) -> nw.LazyFrame[Any]:
    """Spans that match every condition given.

    Args:
        spans: One row per span.
        since: Earliest start, inclusive.
        until: Latest start, exclusive.
        kind: agent, llm, tool, …
        agent_name: Agent the span belongs to.
        status: running, ok, error, cancelled or lost.
        model: Model that answered.
        tool_name: Tool that was called.

    Returns:
        The matching rows, every column, in no order.
    """
    found = _between(spans, since, until)
    equal = {
        "kind": kind,
        "agent_name": agent_name,
        "status": status,
        "model": model,
        "tool_name": tool_name,
    }
    for column, value in equal.items():
        if value is not None:
            found = found.filter(nw.col(column) == value)
    return found


def search_text(
    spans: nw.LazyFrame[Any],
    text: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: tuple[str, ...] = _TEXT,
) -> nw.LazyFrame[Any]:
    """Spans with a text in one of the columns, ignoring case.

    Args:
        spans: One row per span.
        text: What to look for, literally.
        since: Earliest start, inclusive; bound it, or every prompt of the lake is read.
        until: Latest start, exclusive.
        columns: Where to look.

    Raises:
        UnknownColumn: A column cannot be searched.
    """
    known = {*_TEXT, *_JSON}
    if unknown := set(columns) - known:
        raise UnknownColumn(f"cannot search in {', '.join(sorted(unknown))}: use {sorted(known)}")
    looks = [_contains(column, text) for column in columns]
    return _between(spans, since, until).filter(nw.any_horizontal(*looks, ignore_nulls=True))


def error_rates(spans: nw.LazyFrame[Any], by: By = "agent_name") -> nw.LazyFrame[Any]:
    """How often calls end in error.

    Args:
        spans: One row per span; reads `status`, `auxiliary`, `duplicate_of` and `by`.
        by: Column to group by; spans without a value there are left out.

    Returns:
        One row per value: `by`, `calls` (finished ones), `errors`, `rate` (0 to 1), the most
        errors first.
    """
    return (
        _summed(spans)
        .filter(~nw.col(by).is_null(), nw.col("status").is_in(["ok", "error", "cancelled"]))
        .select(by, (nw.col("status") == "error").cast(nw.Int64).alias("errors"))
        .group_by(by)
        .agg(nw.len().cast(nw.Int64).alias("calls"), nw.col("errors").sum().cast(nw.Int64))
        .with_columns((nw.col("errors") / nw.col("calls")).alias("rate"))
        .sort("errors", by, descending=[True, False])
    )


def latency_by(spans: nw.LazyFrame[Any], by: By = "model") -> nw.LazyFrame[Any]:
    """Latency percentiles of finished calls.

    Args:
        spans: One row per span; reads `duration_ms`, `auxiliary`, `duplicate_of` and `by`.
        by: Column to group by; spans without a value there are left out.

    Returns:
        One row per value: `by`, `calls`, `p50_ms`, `p95_ms`, `p99_ms`, by value.
    """
    duration = nw.col("duration_ms")
    return (
        _summed(spans)
        .filter(~nw.col(by).is_null(), ~duration.is_null())
        .group_by(by)
        .agg(
            duration.count().cast(nw.Int64).alias("calls"),
            *(
                duration.quantile(share, interpolation="linear").alias(f"p{int(share * 100)}_ms")
                for share in (0.5, 0.95, 0.99)
            ),
        )
        .sort(by)
    )


def cost_by(spans: nw.LazyFrame[Any], by: By = "agent_name") -> nw.LazyFrame[Any]:
    """Spend and tokens per agent, model or tool.

    Args:
        spans: One row per span; reads `kind`, `cost_usd`, `tokens_input`, `tokens_output`,
            `auxiliary`, `duplicate_of` and `by`.
        by: Column to group by; spans without a value there are left out.

    Returns:
        One row per value: `by`, `calls`, `cost_usd` (US dollars; null when no call has a known
        price), `tokens_input`, `tokens_output`, by value.
    """
    return (
        _summed(spans)
        .filter(~nw.col(by).is_null(), nw.col("kind").is_in(["llm", "embedding"]))
        .group_by(by)
        .agg(
            nw.len().cast(nw.Int64).alias("calls"),
            nw.col("cost_usd").count().cast(nw.Int64).alias("priced"),
            nw.col("cost_usd").sum(),
            nw.col("tokens_input").sum().cast(nw.Int64),
            nw.col("tokens_output").sum().cast(nw.Int64),
        )
        .with_columns(nw.when(nw.col("priced") > 0).then(nw.col("cost_usd")).alias("cost_usd"))
        .drop("priced")
        .sort(by)
    )


def _between(
    spans: nw.LazyFrame[Any], since: datetime | None, until: datetime | None
) -> nw.LazyFrame[Any]:
    # the date prunes partitions, the time within them
    if since is not None:
        spans = spans.filter(nw.col("date") >= since.date(), nw.col("start_time") >= since)
    if until is not None:
        spans = spans.filter(nw.col("date") <= until.date(), nw.col("start_time") < until)
    return spans


def _contains(column: str, text: str) -> nw.Expr:
    if column in _JSON:
        text = json.dumps(text, ensure_ascii=False)[1:-1]
    return nw.col(column).str.contains(f"(?i){re.escape(text)}")


def _summed(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    # side calls and second reports of the same call are shown but never summed
    return spans.filter(
        ~nw.col("auxiliary").fill_null(False),
        nw.col("duplicate_of").is_null(),
    )
