"""Where the pages of a Parquet file lie, read from their headers (Thrift compact protocol).

pages_of(path, column) -> list of Page, row group by row group
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

_DICTIONARY, _DATA = 2, 0


@dataclass(frozen=True)
class Page:
    """One data page: its rows in the file, and its compressed bytes without the header."""

    first_row: int
    rows: int
    offset: int
    size_bytes: int


def pages_of(path: Path, column: str) -> list[Page]:
    """The data pages of one column, in order."""
    metadata = pq.read_metadata(path)
    content = path.read_bytes()
    place = [metadata.schema.column(n).name for n in range(metadata.num_columns)].index(column)
    found: list[Page] = []
    row = 0
    for number in range(metadata.num_row_groups):
        chunk = metadata.row_group(number).column(place)
        at = chunk.dictionary_page_offset or chunk.data_page_offset
        end = at + chunk.total_compressed_size
        while at < end:
            header = _Reader(content, at)
            fields = header.struct()
            kind, size = fields[1], fields[3]
            if kind == _DATA:
                rows = fields[5][1]
                found.append(Page(row, rows, header.at, size))
                row += rows
            else:
                assert kind == _DICTIONARY
            at = header.at + size
    return found


class _Reader:
    """As much of Thrift's compact protocol as page headers need: ids to values, structs nested."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def struct(self) -> dict:
        fields: dict = {}
        last = 0
        while (head := self._byte()) != 0:
            kind, delta = head & 15, head >> 4
            last = last + delta if delta else self._zigzag()
            fields[last] = self._value(kind)
        return fields

    def _value(self, kind: int) -> object:
        if kind in {1, 2}:
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in {4, 5, 6}:
            return self._zigzag()
        if kind == 8:
            size = self._varint()
            self.at += size
            return self.data[self.at - size : self.at]
        assert kind == 12, kind
        return self.struct()

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
