"""Which traces are exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import narwhals as nw
import polars as pl

from tracelake.query.traces import TraceFilter, filter_spans

if TYPE_CHECKING:
    from tracelake.lake import Lake


@dataclass(frozen=True, slots=True)
class Selection:
    """The traces that match, and of these, where some are named, only those.

    Attributes:
        wanted: The conditions.
        trace_ids: Named traces.
    """

    wanted: TraceFilter = field(default_factory=TraceFilter)
    trace_ids: tuple[str, ...] = ()


def spans_of(lake: Lake, selection: Selection) -> pl.DataFrame:
    """Every span of the selected traces, sorted by trace and start, columns of `schema.SPANS`."""
    return lake.answer(lambda: _spans(lake, selection).collect())


def _spans(lake: Lake, selection: Selection) -> pl.LazyFrame:
    spans = lake.spans()
    if selection.trace_ids:
        spans = spans.filter(pl.col("trace_id").is_in(selection.trace_ids))
    found = filter_spans(nw.from_native(spans), nw.from_native(lake.traces()), selection.wanted)
    return cast("pl.LazyFrame", found.to_native())
