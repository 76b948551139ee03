"""A recorded answer given as slowly as it came."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tracelake.model import Exchange

#: Most pieces that an answer is cut into: finer steps are not seen.
PIECES_MAX = 200
_EVENT_END = re.compile(rb"\n\n|\r\n\r\n")


def cut_in_time(exchange: Exchange, body: bytes) -> list[tuple[float, bytes]]:
    """Pieces of a body, each with the seconds to wait before it.

    The first comes after the recorded time to first byte, the rest evenly until the recorded end;
    a stream is cut between its events.
    """
    start, first = exchange.start_time, exchange.first_byte_time
    end = exchange.end_time or exchange.start_time
    first = first or end
    before_s = max(0.0, (first - start).total_seconds())
    rest_s = max(0.0, (end - first).total_seconds())
    cuts = [found.end() for found in _EVENT_END.finditer(body)]
    if not cuts or cuts[-1] != len(body):
        cuts.append(len(body))
    if len(cuts) > PIECES_MAX:
        step = len(cuts) / PIECES_MAX
        cuts = [cuts[min(len(cuts) - 1, int(step * (at + 1)) - 1)] for at in range(PIECES_MAX)]
    starts = [0, *cuts[:-1]]
    each_s = rest_s / max(1, len(cuts) - 1)
    return [
        (each_s if at else before_s, body[a:b])
        for at, (a, b) in enumerate(zip(starts, cuts, strict=True))
    ]


async def in_time(exchange: Exchange, body: bytes) -> AsyncIterator[bytes]:
    """The body, piece by piece, each when it is time for it."""
    for wait_s, piece in cut_in_time(exchange, body):
        await asyncio.sleep(wait_s)
        yield piece
