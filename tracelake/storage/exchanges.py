"""HTTP exchanges: from the relay's segments to rows of `exchanges`.

    read_hot(location, segments, snapshot) -> HotExchanges   carry and tails, folded
    hot_exchanges(location, segments, snapshot) -> DataFrame of what is not sealed yet
    to_frame(exchanges) -> DataFrame with the columns of schema.EXCHANGES

Invariants:
- An exchange is sealed when it has ended and its spans were derived (`done`), once.
- A damaged record ends the reading of its segment, loudly; the other segments go on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from tracelake.schema import EXCHANGES, polars_schema
from tracelake.storage.carry import Consumed, carry_path, consumed
from tracelake.storage.claim import carry_key
from tracelake.storage.hot import Moved
from tracelake.storage.xlog import (
    SUFFIX,
    CorruptRecord,
    FoldedExchange,
    Record,
    fold_records,
    read_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tracelake.config import Location
    from tracelake.model import Exchange
    from tracelake.storage.table import Snapshot

log = logging.getLogger(__name__)

#: Key in the meta data of a carried record: the segment that it first stood in.
SOURCE = "segment"


@dataclass(frozen=True, slots=True)
class HotExchanges:
    """What the hot tier holds of exchanges.

    Attributes:
        records: Every unsealed record: the carry's, then each segment's; without pieces that
            stand in another record again.
        folded: What they say together, by span id.
        offsets: Segment to the offset it was read to; a damaged one is not in it.
        consumed: How far they were sealed before.
        sources: Span id to the segments its records were first written to.
    """

    records: list[Record]
    folded: dict[str, FoldedExchange]
    offsets: dict[str, int]
    consumed: Consumed
    sources: dict[str, set[str]] = field(default_factory=dict[str, set[str]])


def read_hot(
    location: Location,
    segments: Mapping[str, Path],
    snapshot: Snapshot,
    *,
    limit_bytes: int | None = None,
) -> HotExchanges:
    """Read the carry and the tails that belong to a snapshot of `exchanges`.

    Raises:
        Moved: A seal happened meanwhile: list and load again.
    """
    records: list[Record] = []
    try:
        sealed = consumed(location.hot, snapshot, carry_key(location), SUFFIX)
        if sealed.number:
            records, _ = read_records(carry_path(location.hot, sealed.number, SUFFIX), sealed.body)
    except FileNotFoundError as error:
        raise Moved("carry") from error
    offsets: dict[str, int] = {}
    sources: dict[str, set[str]] = {}
    for record in records:
        sources.setdefault(record.span_id, set()).add(record.meta.get(SOURCE, ""))
    for name, path in segments.items():
        offset = sealed.of(name)
        try:
            found, offsets[name] = read_records(path, offset, limit_bytes=limit_bytes)
        except FileNotFoundError as error:
            raise Moved(name) from error
        except CorruptRecord as error:
            log.error("%s", error)  # noqa: TRY400 - the message says it all
            continue
        for record in found:
            record.meta[SOURCE] = name
            sources.setdefault(record.span_id, set()).add(name)
        records += (record for record in found if record.kind != "passed")
    return HotExchanges(records, fold_records(records), offsets, sealed, sources)


def hot_exchanges(
    location: Location, segments: Mapping[str, Path], snapshot: Snapshot
) -> pl.DataFrame:
    """Exchanges that are not sealed yet.

    Raises:
        Moved: A seal happened meanwhile.
    """
    hot = read_hot(location, segments, snapshot)
    return to_frame(folded.exchange for folded in hot.folded.values())


def to_frame(exchanges: Iterable[Exchange]) -> pl.DataFrame:
    """Exchanges as rows of the table."""
    schema = polars_schema(EXCHANGES)
    rows = [_row(exchange) for exchange in exchanges]
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema)


def _row(exchange: Exchange) -> dict[str, Any]:
    return {
        "span_id": exchange.span_id,
        "trace_id": exchange.trace_id,
        "run_id": exchange.run_id,
        "start_time": exchange.start_time,
        "first_byte_time": exchange.first_byte_time,
        "end_time": exchange.end_time,
        "method": exchange.method,
        "path": exchange.path,
        "upstream": exchange.upstream,
        "request_headers": _json(exchange.request_headers),
        "request_body": exchange.request_body,
        "status": exchange.status,
        "response_headers": _json(exchange.response_headers),
        "response_body": exchange.response_body,
        "outcome": exchange.outcome,
        "client": _json(exchange.client),
        "date": exchange.start_time.date(),
    }


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
