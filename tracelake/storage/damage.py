"""Answering although a file is damaged: leave it out by name, and say so.

    why_unreadable(file, table, options) -> what is wrong with one live file, None when nothing
    leave_out_damaged(stores) -> files that cannot be read, left out from now on
    foreign_errors(what)                 errors of the libraries beneath, as LakeError
    answer(stores, ask) -> what `ask` gives; asked again without the damaged files when it fails

Invariants:
- A file is decoded as a whole, checksums included, before it is called damaged.
- A query fails on damage only if no file turns out to be damaged, or again without them.
- What is left out is logged as an error and stays on the disk, for `verify` and `quarantine`.
"""

from __future__ import annotations

import errno
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from tracelake.errors import LakeError
from tracelake.schema import arrow_schema
from tracelake.storage.options import file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tracelake.schema import Table
    from tracelake.storage.table import DeltaStore, File

T = TypeVar("T")

log = logging.getLogger(__name__)

_MAGIC = b"PAR1"
#: Where the errors of engines come from that need not be installed.
_ENGINES = frozenset({"duckdb", "_duckdb", "pyspark", "py4j"})


def answer(stores: Sequence[DeltaStore], ask: Callable[[], T]) -> T:
    """Ask; when reading fails, find the damaged files, leave them out and ask once more.

    Args:
        stores: Tables that the question reads.
        ask: Makes its frames anew each time it is called.

    Raises:
        Exception: What `ask` raises, where no damage explains it.
    """
    try:
        return ask()
    except BaseException as error:
        if not _may_be_damage(error):
            raise
        log.warning("a query failed, looking for damaged files: %s", _first_line(error))
        if not leave_out_damaged(stores):
            raise
    return ask()


def leave_out_damaged(stores: Sequence[DeltaStore]) -> list[str]:
    """Decode every live file; the stores leave out those that cannot be read.

    Returns:
        URIs of the files found.
    """
    found: list[str] = []
    for store in stores:
        bad: dict[str, str] = {}
        for file in store.snapshot().files:
            reason = why_unreadable(file, store.table, store.options)
            if reason is not None:
                bad[file.path] = reason
                found.append(file.uri)
                log.error("left out a damaged file: %s: %s", file.uri, reason)
        if bad:
            store.leave_out(bad)
    return found


def why_unreadable(file: File, table: Table, options: dict[str, str] | None) -> str | None:
    """What reading a live file as a whole finds wrong, None when nothing."""
    system, path = file_system(file.uri, options)
    known = arrow_schema(table)
    try:
        with system.open_input_file(path) as source:
            if (size := source.size()) != file.size_bytes:
                return f"{size} bytes long, {file.size_bytes} were committed"
            if size < 12 or source.read_at(4, 0) + source.read_at(4, size - 4) != _MAGIC * 2:
                return "not a Parquet file"
            parquet = pq.ParquetFile(source, page_checksum_verification=True)
            for field in parquet.schema_arrow:
                if field.name in known.names and not _same_type(
                    known.field(field.name).type, field.type
                ):
                    return f"column {field.name} is {field.type}"
            if parquet.metadata.num_rows != file.rows:
                return f"{parquet.metadata.num_rows} rows, {file.rows} were committed"
            for batch in parquet.iter_batches(batch_size=4096):
                batch.validate()
    except FileNotFoundError:
        return "missing"
    except (OSError, pa.ArrowException) as error:
        return f"cannot be decoded: {_first_line(error)}"
    return None


@contextmanager
def foreign_errors(what: str) -> Generator[None]:
    """Say in our own words what the libraries that write the tables raise.

    Raises:
        LakeError: One of them failed; `what` and its first line.
    """
    try:
        yield
    except (DeltaError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise LakeError(f"{what}: {_first_line(error)}") from error


def _may_be_damage(error: BaseException) -> bool:
    """Whether a file whose bytes are wrong can raise this; decoders raise what they please."""
    if isinstance(error, OSError):
        return error.errno in {None, errno.EIO}
    kinds = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)
    if type(error).__module__.split(".")[0] in _ENGINES:
        return True
    return isinstance(error, kinds) and not isinstance(error, pl.exceptions.ColumnNotFoundError)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _same_type(known: pa.DataType, found: pa.DataType) -> bool:
    """Whether a column has its type, whichever width of offsets its writer chose."""
    narrow = {pa.large_string(): pa.string(), pa.string_view(): pa.string()}
    narrow |= {pa.large_binary(): pa.binary(), pa.binary_view(): pa.binary()}
    return narrow.get(found, found) == known
