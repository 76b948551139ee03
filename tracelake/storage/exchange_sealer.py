"""Exchanges from hot to cold, and an end for those whose relay died.

    seal_exchanges(location, store, deleted, lost_after_s) -> (sealed, given up)

Invariants:
- One commit of `exchanges` holds the rows and names the carry of what waits; the carry is on the
  disk before.
- An exchange is sealed once it has ended and its spans were derived. One that a dead relay left
  open is ended as `lost` by a record like the relay's own: whoever derives spans hears of it
  by the same road; it is sealed when they have.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tracelake.storage.carry import write_carry
from tracelake.storage.claim import carry_key
from tracelake.storage.exchanges import HotExchanges, read_hot, to_frame
from tracelake.storage.rewrite import append
from tracelake.storage.segment import is_locked, list_segments, writer_of
from tracelake.storage.xlog import SUFFIX, ExchangeLog, encode, ended_record

if TYPE_CHECKING:
    from pathlib import Path

    from tracelake.config import Location
    from tracelake.model import Exchange
    from tracelake.storage.table import DeltaStore
    from tracelake.storage.tombstones import Tombstones


def seal_exchanges(
    location: Location, store: DeltaStore, deleted: Tombstones, lost_after_s: float
) -> tuple[int, int]:
    """Seal what is complete; the sealer's lock is held.

    Args:
        location: The lake.
        store: The table `exchanges`.
        deleted: What is hidden: it is dropped.
        lost_after_s: Seconds after which an open exchange of a dead relay is lost.

    Returns:
        Exchanges committed, and exchanges ended as lost.
    """
    segments = list_segments(location.hot, SUFFIX)
    snapshot = store.snapshot()
    hot = read_hot(location, segments, snapshot)
    given_up = _give_up(location.hot, segments, hot, lost_after_s)
    gone = {
        span_id
        for span_id, folded in hot.folded.items()
        if deleted.hides(folded.exchange.trace_id, folded.exchange.start_time)
    }
    before = {name: at for name in segments if (at := hot.consumed.of(name))}
    offsets = {**before, **{name: at for name, at in hot.offsets.items() if at}}
    if offsets == before and not gone:
        return 0, given_up
    complete = {s: f for s, f in hot.folded.items() if f.ended and f.done}
    over = complete.keys() | gone
    waiting = b"".join(encode(record) for record in hot.records if record.span_id not in over)
    number = hot.consumed.number + 1
    write_carry(location.hot, number, SUFFIX, offsets, waiting)
    frame = to_frame(f.exchange for s, f in complete.items() if s not in gone)
    append(store, frame, {carry_key(location): number})
    store.sync(snapshot)
    return frame.height, given_up


def _give_up(
    hot_folder: Path, segments: dict[str, Path], hot: HotExchanges, lost_after_s: float
) -> int:
    """End what dead relays left open, each when its relay last wrote."""
    waiting = {s: f.exchange for s, f in hot.folded.items() if not f.ended}
    if not waiting:
        return 0
    written = {name: datetime.fromtimestamp(p.stat().st_mtime, UTC) for name, p in segments.items()}
    alive = {writer_of(name) for name, path in segments.items() if is_locked(path)}
    now = datetime.now(UTC)
    lost: list[Exchange] = []
    for span_id, exchange in waiting.items():
        sources = hot.sources[span_id]
        if any(writer_of(name) in alive or (not name and alive) for name in sources):
            continue
        last = max([exchange.start_time, *(written[n] for n in sources if n in written)])
        if (now - last).total_seconds() >= lost_after_s:
            lost.append(replace(exchange, end_time=last, outcome="lost"))
    if lost:
        ends = ExchangeLog(hot_folder)
        ends.write(ended_record(exchange) for exchange in lost)
        ends.close()
    return len(lost)
