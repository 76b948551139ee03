"""Completion order: an answer waits until those that came before it in the recording are given.

Programs with agents side by side see results in the order in which they come; another order makes
other prompts. They also take up together what comes together: so an answer waits as well for the
calls that had begun before it began to arrive, which cannot depend on it. Pure: who waits, and for
how long, is decided elsewhere.

The relay sees answers end; the program may take up two that end almost at once the other way round.
What it then asks tells: the first later call that quotes both names them in the program's order.
Where both orders give the same prompts, either is right.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tracelake.replay.recording import answer_atoms
from tracelake.wire.lenient import dump

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from tracelake.replay.recording import Recorded, Recording

#: Answers that end within this of each other may have been taken up in either order.
TIE = timedelta(milliseconds=10)
#: A program that asks so soon after an answer had ended may not have taken it up yet.
NOTICED = timedelta(milliseconds=250)
#: Of an answer this much must be quoted to be recognised.
_QUOTE_CHARS = 60
_QUOTE_MIN_CHARS = 8
_LOOKED_THROUGH = 100


class CompletionOrder:
    """Which recorded calls are still to be answered, by the end of their recorded answers."""

    def __init__(self, recording: Recording) -> None:
        calls = (one for one in recording.calls if one.is_call)
        ended = sorted(calls, key=lambda one: (one.end_time, one.position))
        self._pending = [one.position for one in _ties_settled(ended, recording.calls)]
        self._rank = {position: rank for rank, position in enumerate(self._pending)}
        self._over: set[int] = set()
        begun = sorted(ended, key=lambda one: (one.exchange.start_time, one.position))
        self._to_come = [one.position for one in begun]
        self._starts = {one.position: one.exchange.start_time for one in begun}
        self._come: set[int] = set()
        self._calls = recording.calls
        self._noticed: dict[int, int | None] = {}

    def came(self, position: int) -> None:
        """A call came, or is not expected any more."""
        self._come.add(position)
        while self._to_come and self._to_come[0] in self._come:
            self._come.discard(self._to_come.pop(0))

    def beside(self, recorded: Recorded) -> list[int]:
        """Positions of calls that have not come, but had before this one's answer arrived."""
        arrived = recorded.exchange.first_byte_time or recorded.end_time
        found: list[int] = []
        for position in self._to_come:
            if self._starts[position] >= arrived:
                break
            if position not in self._come and position != recorded.position:
                found.append(position)
        return found

    def is_noticed_first(self, recorded: Recorded) -> bool:
        """Whether a call is still to come that was made of an answer before, without this one.

        This answer was there when that call was made, but the program had not taken it up yet.
        """
        if recorded.position not in self._noticed:
            self._noticed[recorded.position] = _made_without(recorded, self._calls)
        before = self._noticed[recorded.position]
        return before is not None and before in self._to_come and before not in self._come

    def over(self, position: int) -> None:
        """A call was answered, or nobody waits for it any more."""
        self._over.add(position)
        while self._pending and self._pending[0] in self._over:
            self._over.discard(self._pending.pop(0))

    def earlier(self, recorded: Recorded, *, among: Container[int] | None = None) -> list[int]:
        """Positions of unanswered calls whose answers were complete before this one's.

        Args:
            recorded: The call that is to be answered.
            among: Only these positions count; None counts all.
        """
        own = self._rank[recorded.position]
        found: list[int] = []
        for position in self._pending:
            if self._rank[position] >= own:
                break
            if position not in self._over and (among is None or position in among):
                found.append(position)
        return found


def _made_without(recorded: Recorded, calls: Sequence[Recorded]) -> int | None:
    """Position of the first call after an answer, if it quotes an answer given just before only."""
    started, ended = recorded.exchange.start_time, recorded.end_time
    own = _quote(recorded)
    later = next((one for one in calls if one.is_call and one.exchange.start_time >= ended), None)
    if later is None or later.exchange.start_time - ended > NOTICED:
        return None
    if len(own) < _QUOTE_MIN_CHARS or own in later.call.body:
        return None
    quotes = (_quote(one) for one in calls if one.is_call and started < one.end_time < ended)
    is_made_of = any(len(q) >= _QUOTE_MIN_CHARS and q in later.call.body for q in quotes)
    return later.position if is_made_of else None


def _ties_settled(ended: list[Recorded], calls: Sequence[Recorded]) -> list[Recorded]:
    """The calls by end, those that ended almost at once in the order in which they are quoted."""
    settled: list[Recorded] = []
    at = 0
    while at < len(ended):
        until = at + 1
        while until < len(ended) and _are_tied(ended[until - 1], ended[until]):
            until += 1
        tied = ended[at:until]
        settled += tied if len(tied) == 1 else _as_quoted(tied, calls)
        at = until
    return settled


def _are_tied(one: Recorded, other: Recorded) -> bool:
    """Whether two calls were in flight together and ended almost at once."""
    together = other.exchange.start_time < one.end_time
    return together and other.end_time - one.end_time < TIE


def _as_quoted(tied: list[Recorded], calls: Sequence[Recorded]) -> list[Recorded]:
    quotes = [_quote(one) for one in tied]
    if len(set(quotes)) < len(quotes) or min(map(len, quotes)) < _QUOTE_MIN_CHARS:
        return tied
    first = min(one.end_time for one in tied)
    later = [one for one in calls if one.is_call and one.exchange.start_time >= first]
    for one in later[:_LOOKED_THROUGH]:
        places = [one.call.body.find(quote) for quote in quotes]
        if min(places) >= 0:
            return [call for _, call in sorted(zip(places, tied, strict=True), key=_first)]
    return tied


def _first(pair: tuple[int, Recorded]) -> int:
    return pair[0]


def _quote(recorded: Recorded) -> bytes:
    """How the beginning of an answer stands in a later body."""
    text = next((atom.text for atom in answer_atoms(recorded) if atom.kind == "text"), "")
    line = text.strip().partition("\n")[0]
    return dump(line[:_QUOTE_CHARS])[1:-1].encode()
