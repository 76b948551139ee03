"""What a table consists of at one moment, in a form that any engine can put together.

parts_of(reader, name) -> Parts
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tracelake.schema import TABLES, Table
from tracelake.storage import cold
from tracelake.storage.records import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from tracelake.storage.reader import Reader
    from tracelake.storage.table import Snapshot
    from tracelake.storage.tombstones import Tombstones

_KEY = {"trace_id": pl.String, "span_id": pl.String}
#: Revision that no row has: all sealed rows of the span are replaced by a hot one.
_NONE = -1


@dataclass(frozen=True, slots=True)
class Parts:
    """One table, in parts.

    Attributes:
        uris: Parquet files of sealed rows.
        hot: Rows that are added, of this process's making.
        without: Traces whose sealed rows are left out: `trace_id`.
        before: Sealed rows that started before this are left out.
        days: Of these UTC days, sealed rows of no trace are left out.
        top: Spans of which only the row of one revision counts: `trace_id`, `span_id`, `_top`.
    """

    table: Table
    root: str
    uris: list[str]
    options: dict[str, str] | None
    hot: pl.DataFrame
    without: pl.DataFrame | None = None
    before: datetime | None = None
    days: frozenset[date] = frozenset()
    top: pl.DataFrame | None = None


def parts_of(reader: Reader, name: str) -> Parts:
    """The parts of a table, of one consistent state of the lake.

    Raises:
        LakeError: There is no such table.
    """
    if name == "spans":
        view, hot = reader.view_of_spans()
        replaced = pl.DataFrame(sorted(view.amended), schema=_KEY, orient="row")
        tops = [
            replaced.with_columns(pl.lit(_NONE, pl.Int64).alias("_top")),
            cold.amended_spans(view.spans).join(replaced, on=list(_KEY), how="anti"),
        ]
        return _parts(view.spans, hot, view.deleted, (), pl.concat(tops))
    if name == "traces":
        view, fresh = reader.view_of_traces()
        return _parts(view.traces, fresh.frame, view.deleted, fresh.replaced)
    if name == "exchanges":
        snapshot, hot, deleted = reader.view_of_exchanges()
        return _parts(snapshot, hot, deleted, ())
    snapshot = reader.snapshot(name)
    rows = reader.records(name) if name in KEYS else snapshot.scan()
    return Parts(TABLES[name], "", [], snapshot.options, rows.collect())


def _parts(
    snapshot: Snapshot,
    hot: pl.DataFrame,
    deleted: Tombstones,
    touched: Iterable[str],
    top: pl.DataFrame | None = None,
) -> Parts:
    without = {*touched, *deleted.trace_ids}
    return Parts(
        snapshot.table,
        snapshot.root,
        [file.uri for file in snapshot.files],
        snapshot.options,
        hot,
        pl.DataFrame({"trace_id": sorted(without)}, schema={"trace_id": pl.String}),
        deleted.before,
        deleted.days,
        top,
    )
