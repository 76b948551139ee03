"""Spans as lines of JSON."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from tracelake.query.jsonable import jsonable_row
from tracelake.schema import SPANS

if TYPE_CHECKING:
    import polars as pl


def write_lines(spans: pl.DataFrame, file: IO[str]) -> None:
    """Write one JSON object a span: columns by name, JSON columns nested, times ISO-Z."""
    for row in spans.iter_rows(named=True):
        file.write(json.dumps(jsonable_row(row, SPANS), ensure_ascii=False) + "\n")
