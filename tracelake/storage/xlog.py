"""The exchange log: what the relay saw of each HTTP exchange, in `hot/*.xlog` segments.

A record is framed as: 4 bytes length of the meta data, 8 bytes length of the body, 4 bytes CRC-32
of both (all big-endian), the meta data (one JSON object), the body (raw bytes).

These kinds of record tell the life of an exchange:

- `opened`, when the request has been read: request head and body;
- `passed`, while a WebSocket is open: a piece of what one side sent, with its time. It is for who
  follows the log; the bytes stand in `opened` and `ended` again;
- `ended`, when the exchange is over: response head and body, and how it ended;
- `done`, written by whoever derived spans from it: the trace it was found to belong to.

Invariants:
- A record that `opened`, `ended` or `done` has returned from survives `kill -9` of the process.
- A torn last record is cut, never an error; it is read once the rest of it has been written.
- Reading needs nothing but the standard library and orjson.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

import orjson

from tracelake.errors import LakeError
from tracelake.model import Exchange, from_iso, to_iso
from tracelake.storage.segment import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

RecordKind = Literal["opened", "passed", "ended", "done"]

SUFFIX = ".xlog"
_FRAME = struct.Struct(">IQI")
#: zlib keeps the interpreter lock for inputs up to this long.
_UNLOCKED_BYTES = 5 * 1024
_SUMMED_LOCKED_BYTES = 64 * 1024
_KINDS = frozenset({"opened", "passed", "ended", "done"})


class CorruptRecord(LakeError):  # noqa: N818 - reads as a sentence at the raise site
    """A record in the middle of a segment does not match its checksum.

    Attributes:
        path: The segment.
        offset: Where the record starts, bytes.
    """

    def __init__(self, path: Path, offset: int) -> None:
        super().__init__(
            f"{path} is damaged at byte {offset}: move the file away to read the other segments"
        )
        self.path = path
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a segment.

    Attributes:
        meta: The fields of the exchange that this record knows, times as ISO text.
        body: Request body (`opened`), response body (`ended`) or nothing.
    """

    kind: RecordKind
    span_id: str
    meta: dict[str, Any]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class FoldedExchange:
    """What all records of one exchange say together.

    Attributes:
        ended: The exchange is over; `exchange` then holds the response as far as it came.
        done: Spans were derived from it; `exchange.trace_id` is then the trace it belongs to.
        unrecorded_bytes: Bytes of the bodies that the relay forwarded but could not keep.
    """

    exchange: Exchange
    ended: bool
    done: bool
    unrecorded_bytes: int = 0


class ExchangeLog:
    """Writes the records of one process to a segment of its own.

    Thread-safe, and safe to use after a fork: the child writes a segment of its own.
    """

    def __init__(self, hot: Path) -> None:
        self._segment = SegmentWriter(hot, suffix=SUFFIX)

    def opened(self, exchange: Exchange, *, unrecorded_bytes: int = 0) -> None:
        """Record that the request of an exchange has been read.

        Raises:
            OSError: The disk refused; nothing of the record is readable.
        """
        self.write([opened_record(exchange, unrecorded_bytes=unrecorded_bytes)])

    def ended(self, exchange: Exchange, *, unrecorded_bytes: int = 0) -> None:
        """Record that an exchange is over, with as much of the response as came.

        Raises:
            OSError: The disk refused; nothing of the record is readable.
        """
        self.write([ended_record(exchange, unrecorded_bytes=unrecorded_bytes)])

    def done(self, span_id: str, trace_id: str | None, client: dict[str, Any] | None) -> None:
        """Record that spans were derived from an exchange, under this trace.

        Args:
            span_id: The exchange.
            trace_id: The trace it belongs to; None when it belongs to none (no model call).
            client: Peer of the exchange where more was learnt of it than the relay wrote.

        Raises:
            OSError: The disk refused; nothing of the record is readable.
        """
        meta = {"trace_id": trace_id, "client": client}
        self.write([Record("done", span_id, meta)])

    def write(self, records: Iterable[Record]) -> None:
        """Write records in one go: all of them are readable afterwards, or none is lost silently.

        Raises:
            OSError: The disk refused; none of the records is readable.
        """
        self._segment.append(b"".join(piece for record in records for piece in _frame(record)))

    def close(self) -> None:
        """Close the segment; a later write opens a new one."""
        self._segment.close()


def opened_record(exchange: Exchange, *, unrecorded_bytes: int = 0) -> Record:
    """The request side of an exchange."""
    meta: dict[str, Any] = {
        "run_id": exchange.run_id,
        "trace_id": exchange.trace_id,
        "start_time": _iso(exchange.start_time),
        "method": exchange.method,
        "path": exchange.path,
        "upstream": exchange.upstream,
        "request_headers": exchange.request_headers,
        "client": exchange.client,
    }
    if unrecorded_bytes:
        meta["unrecorded_bytes"] = unrecorded_bytes
    return Record("opened", exchange.span_id, meta, exchange.request_body)


def ended_record(exchange: Exchange, *, unrecorded_bytes: int = 0) -> Record:
    """The response side of an exchange."""
    meta: dict[str, Any] = {
        "first_byte_time": _iso(exchange.first_byte_time),
        "end_time": _iso(exchange.end_time),
        "status": exchange.status,
        "response_headers": exchange.response_headers,
        "outcome": exchange.outcome,
    }
    if unrecorded_bytes:
        meta["unrecorded_bytes"] = unrecorded_bytes
    return Record("ended", exchange.span_id, meta, exchange.response_body)


def encode(record: Record) -> bytes:
    """The bytes of one record as they stand in a segment."""
    return b"".join(_frame(record))


def _frame(record: Record) -> tuple[bytes, bytes, bytes]:
    meta = orjson.dumps(
        {"record": record.kind, "span_id": record.span_id, **record.meta},
        option=orjson.OPT_NON_STR_KEYS,
    )
    crc = _crc(record.body, zlib.crc32(meta))
    return _FRAME.pack(len(meta), len(record.body), crc), meta, record.body


def _crc(body: bytes, start: int) -> int:
    """The CRC-32 of a body.

    `zlib` gives the interpreter lock away for each input of more than 5 KiB, and to get it back
    costs a busy process more than the sum does; so ordinary bodies are summed in smaller pieces.
    """
    if not _UNLOCKED_BYTES < len(body) <= _SUMMED_LOCKED_BYTES:
        return zlib.crc32(body, start)
    view = memoryview(body)
    for at in range(0, len(body), _UNLOCKED_BYTES):
        start = zlib.crc32(view[at : at + _UNLOCKED_BYTES], start)
    return start


def read_records(
    path: Path, offset: int = 0, *, limit_bytes: int | None = None
) -> tuple[list[Record], int]:
    """The complete records from an offset on.

    Args:
        path: A segment.
        offset: Where a record starts; 0 or what an earlier call returned.
        limit_bytes: Stop after about this much (at least one record is read); None reads all.

    Returns:
        The records, and the offset at which the next call goes on. A torn last record is left for
        a later call.

    Raises:
        CorruptRecord: The record at `offset` does not match its checksum. Good records before a
            damaged one are returned first, by the call before.
        OSError: The file cannot be read.
    """
    records: list[Record] = []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(offset)
        end = offset
        while end + _FRAME.size <= size and (limit_bytes is None or end - offset < limit_bytes):
            meta_bytes, body_bytes, crc = _FRAME.unpack(file.read(_FRAME.size))
            after = end + _FRAME.size + meta_bytes + body_bytes
            if after > size:
                break
            meta, body = file.read(meta_bytes), file.read(body_bytes)
            record = _decode(meta, body) if zlib.crc32(body, zlib.crc32(meta)) == crc else None
            if record is None:
                if records:
                    break
                raise CorruptRecord(path, end)
            records.append(record)
            end = after
    return records, end


def _decode(meta: bytes, body: bytes) -> Record | None:
    try:
        fields: dict[str, Any] = orjson.loads(meta)
        kind, span_id = fields.pop("record"), fields.pop("span_id")
    except (ValueError, KeyError, AttributeError):
        return None
    return Record(kind, span_id, fields, body) if kind in _KINDS else None


def fold_records(records: Iterable[Record]) -> dict[str, FoldedExchange]:
    """What records say together, by span id, in the order of their first record.

    Records of one exchange may come from several segments and in any order, and may be repeated.
    An exchange without its `opened` record is left out: nothing is known of its request.
    """
    by_kind: defaultdict[RecordKind, dict[str, Record]] = defaultdict(dict)
    for record in records:
        by_kind[record.kind][record.span_id] = record
    return {
        span_id: _fold(opened, by_kind["ended"].get(span_id), by_kind["done"].get(span_id))
        for span_id, opened in by_kind["opened"].items()
    }


def _fold(opened: Record, ended: Record | None, done: Record | None) -> FoldedExchange:
    exchange = _request_side(opened)
    unrecorded_bytes = opened.meta.get("unrecorded_bytes", 0)
    if ended is not None:
        exchange = _with_response(exchange, ended)
        unrecorded_bytes += ended.meta.get("unrecorded_bytes", 0)
    if done is not None:
        exchange = replace(
            exchange,
            trace_id=done.meta.get("trace_id") or exchange.trace_id,
            client=done.meta.get("client") or exchange.client,
        )
    return FoldedExchange(
        exchange,
        ended=ended is not None,
        done=done is not None,
        unrecorded_bytes=unrecorded_bytes,
    )


def _request_side(opened: Record) -> Exchange:
    meta = opened.meta
    return Exchange(
        span_id=opened.span_id,
        start_time=from_iso(meta["start_time"]),
        method=meta["method"],
        path=meta["path"],
        upstream=meta["upstream"],
        request_headers=_headers(meta["request_headers"]),
        request_body=opened.body,
        run_id=meta.get("run_id"),
        trace_id=meta.get("trace_id"),
        client=meta.get("client") or {},
    )


def _with_response(exchange: Exchange, ended: Record) -> Exchange:
    meta = ended.meta
    return replace(
        exchange,
        first_byte_time=_moment(meta.get("first_byte_time")),
        end_time=_moment(meta.get("end_time")),
        status=meta.get("status"),
        response_headers=_headers(meta.get("response_headers") or ()),
        response_body=ended.body,
        outcome=meta.get("outcome") or "ok",
    )


def _headers(pairs: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is UTC:  # as `to_iso`, in a quarter of its time
        return moment.isoformat(timespec="microseconds")[:-6] + "Z"
    return to_iso(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_iso(text)
