"""A bundle: one Parquet file of spans that carries further tables of a lake with it.

    write_bundle(file, spans, others) -> Manifest
    read_manifest(path) -> Manifest               None where the file is no bundle
    read_part(path, part) -> ParquetFile

Any Parquet reader opens a bundle and finds the spans. The other tables stand behind them, between
the last row group and the footer, each part a whole Parquet file of its own; the footer's key
`tracelake.bundle` holds the manifest, which says where each begins and how many rows it has. A tool
that writes the spans anew leaves the rest out, and what it wrote is spans still.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tracelake.schema import SPANS, TABLES, VERSION
from tracelake.storage.parquet import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import polars as pl

    from tracelake.schema import Table

KEY = b"tracelake.bundle"
#: Of the manifest; a reader refuses a higher one.
FORMAT = 1


class BadBundle(ValueError):  # noqa: N818 - reads as a sentence at the raise site
    """The manifest does not fit the file."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the file that is a Parquet file by itself.

    Attributes:
        offset: Where it begins, bytes.
        size: How long it is, bytes.
        rows: How many rows it holds.
    """

    offset: int
    size: int
    rows: int


@dataclass(slots=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        spans: Rows of `spans`.
        parts: The other tables, by name.
        schema: `schema.VERSION` of the lake it was written from.
    """

    spans: int = 0
    parts: dict[str, list[Part]] = field(default_factory=dict[str, list[Part]])
    schema: int = VERSION

    def rows(self, name: str) -> int:
        """Rows of one of the other tables."""
        return sum(part.rows for part in self.parts.get(name, ()))

    def encode(self) -> bytes:
        """As it stands in the footer: JSON."""
        parts = {
            name: [[part.offset, part.size, part.rows] for part in parts]
            for name, parts in self.parts.items()
        }
        return orjson.dumps(
            {"format": FORMAT, "schema": self.schema, "spans": self.spans, "parts": parts}
        )


def write_bundle(
    file: IO[bytes], spans: pl.DataFrame, others: Iterable[tuple[Table, pl.DataFrame]]
) -> Manifest:
    """Write a bundle.

    Args:
        file: Open for writing, at its start.
        spans: Sorted by trace and start.
        others: Rows of further tables, each sorted as its table is; a table may come in several
            parts, of which only one stands in memory at a time.
    """
    sink = pa.PythonFile(file, "w")
    manifest = Manifest(spans.height)

    def carried() -> dict[bytes, bytes]:
        for table, rows in others:
            if rows.is_empty():
                continue
            packed = io.BytesIO()
            write_parquet(rows, table, packed)
            part = Part(sink.tell(), packed.tell(), rows.height)
            sink.write(packed.getbuffer())
            manifest.parts.setdefault(table.name, []).append(part)
        return {KEY: manifest.encode()}

    write_parquet(spans, SPANS, sink, carried)
    return manifest


def read_manifest(path: Path) -> Manifest | None:
    """What a Parquet file says that it holds besides its rows; None where it is no bundle.

    Raises:
        BadBundle: A newer Trace Lake wrote it, or the manifest does not fit the file.
        pa.ArrowException: It is no Parquet.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        footer = pq.read_metadata(file)
    text = (footer.metadata or {}).get(KEY)
    if text is None:
        return None
    manifest = _decoded(text)
    if manifest.spans != footer.num_rows:
        raise BadBundle(f"it says that it holds {manifest.spans} spans and has {footer.num_rows}")
    size = path.stat().st_size
    for name, parts in manifest.parts.items():
        if name not in TABLES or name == SPANS.name:
            raise BadBundle(f"it holds a table {name!r}, which there is none of")
        if any(p.offset < 0 or p.size < 0 or p.offset + p.size > size for p in parts):
            raise BadBundle(f"the table {name} lies outside of the file")
    return manifest


def read_part(path: Path, part: Part) -> pq.ParquetFile:
    """One part, to be read in batches; it is not in memory as a whole.

    Raises:
        BadBundle: It does not hold the rows that the manifest says.
        pa.ArrowException: It is damaged.
        OSError: The file cannot be read.
    """
    with pa.memory_map(str(path)) as mapped:
        stretch = mapped.read_at(part.size, part.offset)
    file = pq.ParquetFile(pa.BufferReader(stretch), page_checksum_verification=True)
    if file.metadata.num_rows != part.rows:
        raise BadBundle(f"a part holds {file.metadata.num_rows} rows in the place of {part.rows}")
    return file


def _decoded(text: bytes) -> Manifest:
    try:
        given: dict[str, Any] = orjson.loads(text)
        parts = {
            name: [Part(*map(int, place)) for place in places]
            for name, places in given["parts"].items()
        }
        format_, version = int(given["format"]), int(given["schema"])
        manifest = Manifest(int(given["spans"]), parts, version)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadBundle("its list of tables cannot be read") from error
    if format_ > FORMAT or version > VERSION:
        raise BadBundle("a newer Trace Lake wrote it: upgrade tracelake")
    return manifest
