"""The lake: one object to write events to and to read spans and traces from.

    lake = Lake("path")                     cheap: nothing is opened or made before it is needed
    lake.append(event, durable=False)       dict or Event; returning is the promise it is kept
    lake.spans() / traces() / exchanges()   polars.LazyFrame, hot and cold, one row per item
    lake.trace(id)                          polars.DataFrame in start order; raises NotInLake
    lake.latest_traces(limit)               polars.DataFrame, newest first, without scanning spans
    lake.scan(table, engine="duckdb")       narwhals.LazyFrame on polars, duckdb or pyspark
    lake.files(table)                       live Parquet URIs
    lake.write(table, rows)                 rows of runs, annotations, checkpoints, views
    lake.records(table)                     polars.LazyFrame of such a table
    lake.answer(ask)                        what ask() gives, also if a file is damaged
    lake.seal()                             move what is finished from hot to cold; SealReport
    lake.compact()                          merge files, sorted by trace; CompactReport
    lake.verify() / lake.quarantine(report) name damage; move damaged files away
    lake.delete(trace_id | before= | day=)  hide at once, purge at the next seal
    lake.path / lake.hot / lake.location    where it is
    lake.close()

Invariants:
- Safe for threads; any number of processes may use one folder at once.
- Appending loads no data-frame library.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tracelake.config import Location, locate
from tracelake.storage.codec import encode_event
from tracelake.storage.segment import SegmentWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import narwhals as nw
    import polars as pl

    from tracelake.model import Event
    from tracelake.storage.compactor import CompactReport
    from tracelake.storage.engines import Engine
    from tracelake.storage.reader import Reader
    from tracelake.storage.sealer import Sealer, SealReport
    from tracelake.storage.verify import VerifyReport


T = TypeVar("T")


class Lake:
    """A trace lake at one location.

    Args:
        location: Path or `s3://` URI, or a `Location`; by default `TRACELAKE_DIR`, else
            `~/.tracelake`.
    """

    def __init__(self, location: str | os.PathLike[str] | Location | None = None) -> None:
        self.location = location if isinstance(location, Location) else locate(location)
        self._writer = SegmentWriter(self.location.hot)
        self._lock = threading.Lock()
        self._opened: Reader | None = None

    @property
    def path(self) -> str:
        """Root of the tables: a local path or an `s3://` URI."""
        return self.location.tables

    @property
    def hot(self) -> Path:
        """The local hot folder."""
        return self.location.hot

    def __repr__(self) -> str:
        return f"Lake({self.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up this process's segment; appending again starts a new one."""
        self._writer.close()

    def append(self, event: Mapping[str, Any] | Event, *, durable: bool = False) -> None:
        """Append one event; it is visible to every reader at once.

        Args:
            event: The envelope as a dict (see `tracelake.model.Event`), or an `Event`.
            durable: Wait until the event survives a power loss too, not only `kill -9`.

        Raises:
            InvalidEvent: Without a known type, valid ids or a readable timestamp.
            OSError: The disk is full or the folder cannot be written.
        """
        self._writer.append(encode_event(event), durable=durable)

    def spans(self) -> pl.LazyFrame:
        """One row per span, hot and cold, with the columns of `schema.SPANS`."""
        return self._reader.answer(self._reader.spans)

    def traces(self) -> pl.LazyFrame:
        """One row per trace, with the columns of `schema.TRACES`; running traces included."""
        return self._reader.answer(self._reader.traces)

    def exchanges(self) -> pl.LazyFrame:
        """One row per HTTP exchange, with the columns of `schema.EXCHANGES`."""
        return self._reader.exchanges()

    def trace(
        self,
        trace_id: str,
        *,
        columns: Sequence[str] | None = None,
        span_ids: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """The spans of one trace, in start order.

        Args:
            trace_id: The trace.
            columns: Of `schema.SPANS`, all by default; prompts and answers that are not among
                them are not read from disk.
            span_ids: Only these spans, those of them that there are.

        Raises:
            NotInLake: The lake holds no such trace, or none of these spans.
        """
        return self._reader.answer(lambda: self._reader.trace(trace_id, columns, span_ids))

    def latest_traces(self, limit: int = 50) -> pl.DataFrame:
        """The traces that started last, newest first; spans are not scanned."""
        return self._reader.answer(lambda: self._reader.latest_traces(limit))

    def answer(self, ask: Callable[[], T]) -> T:
        """Ask a question; where a damaged file makes it fail, ask again without that file.

            lake.answer(lambda: lake.spans().filter(kind="llm").collect())

        A frame is read when it is collected, long after `spans()` returned: only here can the rest
        of the lake still answer. What is left out is logged by name, and `verify` lists it. Finding
        it decodes every file once; questions that do not fail pay nothing.

        Args:
            ask: Makes its frames anew each time it is called, on any engine.
        """
        return self._reader.answer(ask)

    def files(self, table: str = "spans") -> list[str]:
        """Live Parquet URIs of a table, for tools that do not know Delta.

        Call it anew for each query: files that compaction replaced stay readable for the vacuum
        grace only. Rows that are still hot are not in them: `seal` first where that matters.
        """
        return self._reader.files(table)

    def write(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows of a small table: `runs`, `annotations`, `checkpoints` or `views`.

        A later row of the same key replaces the earlier one.

        Args:
            table: Its name.
            rows: Columns by name, JSON columns as values; `date` is derived from `start_time`.

        Raises:
            LakeError: There is no such table.
        """
        from tracelake.storage.records import write_records

        write_records(self.location, table, rows)

    def records(self, table: str) -> pl.LazyFrame:
        """The rows of a small table that count, oldest first.

        Raises:
            LakeError: There is no such table.
        """
        return self._reader.records(table)

    def seal(self) -> SealReport:
        """Move what is finished from the hot segments into the tables.

        Raises:
            LakeLocked: Another process is sealing and did not finish in time.
            SchemaTooNew: The lake was written by a newer Trace Lake.
        """
        return self.sealer().seal()

    def compact(self, *, today: date | None = None) -> CompactReport:
        """Merge small files, sorted by trace, and delete files nobody can be reading any more.

        Args:
            today: UTC day that still grows, merged only in part; a later day closes it.

        Raises:
            LakeLocked: Another process is changing the tables and did not finish in time.
        """
        from tracelake.storage.compactor import Compactor

        return Compactor(self.location).compact(today=today)

    def scan(
        self, table: str, *, engine: Engine = "polars", session: Any = None
    ) -> nw.LazyFrame[Any]:
        """A table as a narwhals frame on an engine of choice, hot rows included.

        Args:
            table: `spans`, `traces`, `exchanges` or one of the small tables.
            engine: `polars`, `duckdb` or `pyspark`.
            session: DuckDB connection or Spark session to use; made when absent.

        Raises:
            QueryError: The engine is unknown or not installed.
            LakeError: There is no such table.
        """
        from tracelake.storage.engines import scan
        from tracelake.storage.parts import parts_of

        return scan(parts_of(self._reader, table), engine, session)

    def verify(self) -> VerifyReport:
        """Read everything and name what is damaged or alien; `.is_clean`, `.problems`."""
        from tracelake.storage.verify import verify

        return verify(self.location)

    def quarantine(self, report: VerifyReport) -> list[str]:
        """Move what `verify` named to the folder `quarantine` of the lake; where it is now."""
        from tracelake.storage.verify import quarantine

        return quarantine(self.location, report)

    def delete(
        self,
        trace_id: str | None = None,
        *,
        before: datetime | None = None,
        day: date | None = None,
    ) -> int:
        """Delete one trace, every trace that started before a moment, or on a day.

        A trace goes as a whole, with its spans on other days and its exchanges; exchanges of no
        trace go with their day.

        It is hidden at once; tables, carry and exchanges are rewritten by the seal that follows,
        segments go when they are reaped, replaced files after the vacuum grace.

        Args:
            trace_id: The trace to delete.
            before: An aware time.
            day: A UTC day.

        Returns:
            Number of traces deleted.

        Raises:
            NotInLake: There is no such trace.
        """
        from tracelake.storage.deletion import delete

        return delete(self._reader, trace_id, before=before, day=day)

    def sealer(self) -> Sealer:
        """A sealer of this lake, for a process that seals again and again."""
        from tracelake.storage.sealer import Sealer

        return Sealer(self.location)

    @property
    def _reader(self) -> Reader:
        with self._lock:
            if self._opened is None:
                from tracelake.storage.reader import Reader

                self._opened = Reader(self.location)
            return self._opened
