"""Sums over spans and traces: spend, calls, errors and latency per period.

Unknown costs stay unknown: a group without a single known price has cost null, never 0.
"""

from __future__ import annotations

from typing import Any

import narwhals as nw

from tracelake.model import OFFLINE_NOTE

#: How a fork's call was answered where no provider was asked; of the edited ones see `not_spent`.
_FROM_RECORDING = ("exact", "semantic", "volatile", "fuzzy", "edited")


def cost_by_model(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Spend and use per UTC day and model.

    Args:
        spans: One row per span; reads `kind`, `model`, `cost_usd`, `tokens_input`,
            `tokens_output`, `date`, `auxiliary`, `duplicate_of`.

    Returns:
        One row per (day, model), by day: `day` (Date), `model` (String, `unknown` where none was
        named), `calls`, `cost_usd` (US dollars; null when no call has a known price),
        `tokens_input`, `tokens_output`.
    """
    calls = _summed(spans).filter(nw.col("kind") == "llm")
    return (
        calls.select(
            nw.col("date").alias("day"),
            nw.col("model").fill_null("unknown"),
            "cost_usd",
            nw.col("cost_usd").is_null().cast(nw.Int64).alias("unpriced"),
            "tokens_input",
            "tokens_output",
        )
        .group_by("day", "model")
        .agg(
            nw.len().alias("calls"),
            nw.col("unpriced").sum(),
            nw.col("cost_usd").sum(),
            nw.col("tokens_input").sum(),
            nw.col("tokens_output").sum(),
        )
        .with_columns(
            nw.when(nw.col("unpriced") < nw.col("calls")).then(nw.col("cost_usd")).alias("cost_usd")
        )
        .drop("unpriced")
        .sort("day", "model")
    )


def calls_by_day(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Calls and errors per UTC day and kind.

    Args:
        spans: One row per span; reads `kind`, `status`, `date`, `auxiliary`, `duplicate_of`.

    Returns:
        One row per (day, kind), by day, kind being llm or tool: `day`, `kind`, `calls`, `errors`.
    """
    return (
        _summed(spans)
        .filter(nw.col("kind").is_in(["llm", "tool"]))
        .select(
            nw.col("date").alias("day"),
            "kind",
            (nw.col("status") == "error").fill_null(False).cast(nw.Int64).alias("errors"),
        )
        .group_by("day", "kind")
        .agg(nw.len().alias("calls"), nw.col("errors").sum())
        .sort("day", "kind")
    )


def latency_by_day(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Latency of LLM calls per UTC day.

    Args:
        spans: One row per span; reads `kind`, `duration_ms`, `ttft_ms`, `date`, `auxiliary`,
            `duplicate_of`.

    Returns:
        One row per day, by day: `day`, `p50_ms`, `p95_ms` of the duration, `ttft_p50_ms`.
    """
    return (
        _summed(spans)
        .filter(nw.col("kind") == "llm", ~nw.col("duration_ms").is_null())
        .group_by(nw.col("date").alias("day"))
        .agg(
            nw.col("duration_ms").quantile(0.5, interpolation="linear").alias("p50_ms"),
            nw.col("duration_ms").quantile(0.95, interpolation="linear").alias("p95_ms"),
            nw.col("ttft_ms").quantile(0.5, interpolation="linear").alias("ttft_p50_ms"),
        )
        .sort("day")
    )


def not_spent(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """What calls would have cost that no provider was paid for, per trace.

    These are a fork's calls that were answered from a recording, and whatever the offline provider
    answered. An edited request is sent, so it is paid for.

    Args:
        spans: One row per span; reads `trace_id`, `kind`, `cost_usd`, `cost_note`, `match`,
            `auxiliary`, `duplicate_of`, and `attributes` of edited calls.

    Returns:
        One row per trace that has such calls: `trace_id`, `not_spent_usd`.
    """
    recorded = nw.col("match").is_in(_FROM_RECORDING).fill_null(False)
    offline = (nw.col("cost_note") == OFFLINE_NOTE).fill_null(False)
    # what tells an edited request is wide: looked at last, in the few rows that are left
    was_sent = nw.col("attributes").str.contains('"request_edited": ?true').fill_null(False)
    paid = was_sent & (nw.col("match") == "edited") & ~offline
    return (
        _summed(spans)
        .filter(nw.col("kind") == "llm", recorded | offline)
        .select(
            "trace_id",
            nw.when(~paid.fill_null(False)).then(nw.col("cost_usd")).alias("not_spent_usd"),
        )
        .group_by("trace_id")
        .agg(nw.col("not_spent_usd").sum())
    )


def totals(traces: nw.LazyFrame[Any], free: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Sums over traces.

    Args:
        traces: One row per trace.
        free: As `not_spent` gives it, of the spans of these traces or of more.

    Returns:
        One row: `traces`, `llm_calls`, `tool_calls`, `with_errors` (traces), `tokens_input`,
        `tokens_output`, `cost_usd` (null when no trace has a known cost), `priced` (traces with a
        known cost), `not_spent_usd` (of that cost, what no provider was paid; 0 for nothing),
        `duration_p50_ms`, `duration_p95_ms`.
    """
    duration = nw.col("duration_ms")
    return traces.join(free, on="trace_id", how="left").select(
        nw.col("trace_id").count().alias("traces"),
        nw.col("llm_calls").sum(),
        nw.col("tool_calls").sum(),
        (nw.col("error_count") > 0).cast(nw.Int64).sum().alias("with_errors"),
        nw.col("tokens_input").sum(),
        nw.col("tokens_output").sum(),
        nw.col("cost_usd").sum(),
        nw.col("cost_usd").count().alias("priced"),
        nw.col("not_spent_usd").fill_null(0.0).sum(),
        duration.quantile(0.5, interpolation="linear").alias("duration_p50_ms"),
        duration.quantile(0.95, interpolation="linear").alias("duration_p95_ms"),
    )


def _summed(spans: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    # side calls and second reports of the same call are shown but never summed
    return spans.filter(
        ~nw.col("auxiliary").fill_null(False),
        nw.col("duplicate_of").is_null(),
    )
