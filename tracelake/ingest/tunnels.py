"""WebSockets that are open: the calls over them, told as their messages pass the relay.

Invariant: what was missed (a record that had no room, an ingest process that came late) is never
guessed at: the WebSocket is told of when it is closed, from its whole record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tracelake.wire import Tunnel
from tracelake.wire.websocket import is_tunnel

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.storage.xlog import Record

_SWITCHED = 101


@dataclass(slots=True)
class _Open:
    """One WebSocket; without a tunnel it waits for its end."""

    tunnel: Tunnel | None
    told: set[tuple[str, bool]] = field(default_factory=set[tuple[str, bool]])


class OpenTunnels:
    """The WebSockets that are open."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def feed(self, exchange: Exchange, record: Record) -> list[tuple[Exchange, bool]]:
        """Take in a `passed` record.

        Args:
            exchange: The WebSocket as it was opened.
            record: What one side sent.

        Returns:
            Calls that began, and calls that ended, each with whether it began.
        """
        held = self._open.get(exchange.span_id)
        if held is None:
            held = self._open[exchange.span_id] = _Open(_tunnel(exchange, record))
        if held.tunnel is None:
            return []
        if held.tunnel.taken(record.meta["side"]) != record.meta["offset"]:
            held.tunnel = None
            return []
        at = exchange.start_time + timedelta(microseconds=record.meta["micros"])
        steps = held.tunnel.feed(record.meta["side"], record.body, at)
        held.told |= {(call.span_id, opens) for call, opens in steps}
        return steps

    def give_up(self, span_id: str) -> None:
        """Tell no more of a WebSocket until it is closed."""
        self._open[span_id].tunnel = None

    def close(self, span_id: str) -> set[tuple[str, bool]]:
        """Forget a WebSocket; the ids of the calls told, each with whether it was its beginning."""
        held = self._open.pop(span_id, None)
        return held.told if held is not None else set()


def _tunnel(exchange: Exchange, record: Record) -> Tunnel | None:
    extensions = record.meta["extensions"]
    headers = (("sec-websocket-extensions", extensions),) if extensions else ()
    switched = replace(exchange, status=_SWITCHED, response_headers=headers)
    return Tunnel(switched, is_live=True) if is_tunnel(switched) else None
