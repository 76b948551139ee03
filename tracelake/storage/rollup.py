"""Traces from spans: the pure roll-up.

    roll_up(spans) -> one row per trace, the columns of schema.TRACES
    NEEDED    the span columns it reads

Invariants:
- Auxiliary and duplicate spans count as spans and are in no sum.
- A sum of nothing known is null, never 0.
- The root is the earliest agent without a parent, else the earliest span without one, else the
  earliest span; status, name and final output are the root's.
"""

from __future__ import annotations

import orjson
import polars as pl

from tracelake.schema import TRACES, polars_schema

NEEDED = (
    "trace_id", "span_id", "parent_id", "session_id", "run_id", "kind", "name", "agent_name",
    "start_time", "end_time", "status", "model", "response", "tokens_input", "tokens_output",
    "cost_usd", "duplicate_of", "auxiliary", "forked_from_trace_id", "revision",
)  # fmt: skip
_CALLS = ("llm", "embedding")


def roll_up(spans: pl.DataFrame) -> pl.DataFrame:
    """One row per trace.

    Args:
        spans: One row per span, with at least the columns `NEEDED`; whole traces.
    """
    schema = polars_schema(TRACES)
    if spans.is_empty():
        return pl.DataFrame(schema=schema)
    counted = pl.col("duplicate_of").is_null() & ~pl.col("auxiliary").fill_null(value=False)
    called = counted & pl.col("kind").is_in(_CALLS)
    ordered = (
        spans.lazy()
        .with_columns(
            rootless=pl.col("parent_id").is_not_null(),
            not_agent=pl.col("kind") != "agent",
        )
        .sort("trace_id", "rootless", "not_agent", "start_time", "span_id")
    )
    sums = [
        pl.when((pl.col(name).is_not_null() & called).any())
        .then(pl.col(name).filter(called).sum())
        .alias(name)
        for name in ("tokens_input", "tokens_output", "cost_usd")
    ]
    totals = ordered.group_by("trace_id", maintain_order=True).agg(
        *(
            pl.col(name).drop_nulls().first()
            for name in ("session_id", "run_id", "forked_from_trace_id")
        ),
        pl.col("name", "status").first(),
        pl.col("span_id").first().alias("root_id"),
        pl.col("response").first().alias("root_response"),
        pl.col("start_time").min(),
        pl.max_horizontal(pl.col("end_time").max(), pl.col("start_time").max()).alias("end_time"),
        pl.len().cast(pl.Int64).alias("span_count"),
        (counted & (pl.col("kind") == "llm")).sum().cast(pl.Int64).alias("llm_calls"),
        (counted & (pl.col("kind") == "tool")).sum().cast(pl.Int64).alias("tool_calls"),
        (counted & (pl.col("status") == "error")).sum().cast(pl.Int64).alias("error_count"),
        *sums,
        _in_order("agent_name").alias("agents"),
        _in_order("model").alias("models"),
    )
    return (
        totals.join(_last_answers(ordered, counted), on="trace_id", how="left")
        .with_columns(
            final_output=pl.coalesce("root_response", "of_root", "of_any"),
            duration_ms=(pl.col("end_time") - pl.col("start_time")).dt.total_microseconds() / 1e3,
            date=pl.col("start_time").dt.date(),
            agents=_as_json("agents"),
            models=_as_json("models"),
        )
        .select([pl.col(name).cast(dtype) for name, dtype in schema.items()])
        .collect()
    )


def _last_answers(ordered: pl.LazyFrame, counted: pl.Expr) -> pl.LazyFrame:
    """Text of the last answer of each trace: of its root agent's calls, and of any call."""
    roots = ordered.group_by("trace_id").agg(pl.col("span_id").first().alias("root_id"))
    return (
        ordered.filter(counted & (pl.col("kind") == "llm") & (pl.col("response") != ""))
        .select("trace_id", "parent_id", "start_time", "end_time", "span_id", "response")
        .join(roots, on="trace_id")
        .sort(pl.coalesce("end_time", "start_time"), "span_id")
        .group_by("trace_id")
        .agg(
            pl.col("response")
            .filter(pl.col("parent_id") == pl.col("root_id"))
            .last()
            .alias("of_root"),
            pl.col("response").last().alias("of_any"),
        )
    )


def _in_order(column: str) -> pl.Expr:
    return pl.col(column).sort_by("start_time").drop_nulls().unique(maintain_order=True)


def _as_json(column: str) -> pl.Expr:
    return pl.col(column).map_elements(
        lambda names: orjson.dumps(names.to_list()).decode(), return_dtype=pl.String
    )
