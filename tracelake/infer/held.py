"""Calls that wait for a trace to belong to.

A client may list the models before its first real call, and name its session only then. Such a call
alone is no run worth a trace: it waits for the program's first real call, a minute at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tracelake.infer.scope import Scope
    from tracelake.model import Exchange
    from tracelake.wire.call import Request, Response

#: How long a call waits before it becomes a trace of its own.
HELD_FOR = timedelta(seconds=60)
#: Endpoints that are only asked in preparation of real calls.
PREPARING = frozenset({"models", "other"})


@dataclass(slots=True)
class HeldCall:
    """A call that waits; `response` and the whole exchange come when it ended meanwhile."""

    exchange: Exchange
    request: Request
    scope: Scope
    response: Response | None = None


class HeldCalls:
    """Waiting calls by span id, in order of start."""

    def __init__(self) -> None:
        self._calls: dict[str, HeldCall] = {}

    def add(self, exchange: Exchange, request: Request, scope: Scope) -> None:
        """Let a call wait."""
        self._calls[exchange.span_id] = HeldCall(exchange, request, scope)

    def __contains__(self, span_id: str) -> bool:
        return span_id in self._calls

    def end(self, exchange: Exchange, response: Response) -> None:
        """Note the end of a waiting call."""
        held = self._calls[exchange.span_id]
        held.exchange, held.response = exchange, response

    def take(self, scope: Scope) -> list[HeldCall]:
        """The waiting calls of the same program, which wait no longer."""
        return self._take([h for h in self._calls.values() if _is_same(h.scope, scope)])

    def overdue(self, now: datetime) -> list[HeldCall]:
        """The calls that have waited long enough, which wait no longer."""
        old = [h for h in self._calls.values() if now - h.exchange.start_time >= HELD_FOR]
        return self._take(old)

    def of_process(self, process: str) -> list[HeldCall]:
        """The waiting calls of a process, which wait no longer."""
        return self._take([h for h in self._calls.values() if h.scope.process == process])

    def _take(self, taken: list[HeldCall]) -> list[HeldCall]:
        for held in taken:
            del self._calls[held.exchange.span_id]
        return taken


def _is_same(one: Scope, other: Scope) -> bool:
    if one.process is not None or other.process is not None:
        return one.process == other.process
    return one.host == other.host
