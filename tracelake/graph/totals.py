"""Running sums over the spans of a lane or a trace, right when a span is told of several times."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracelake.graph.facts import Facts

#: Costs are added as whole nano-dollars, so that taking one back leaves no rounding behind.
_NANO = 1_000_000_000
#: A trace whose root agent is not known goes on for so long after its last news.
SETTLED_S: Final = 60.0
#: Kinds whose tokens and cost are summed, as in the lake's own roll-up.
_CALLS: Final = frozenset({"llm", "embedding"})

#: What one span adds: calls, tools, input and output tokens, priced calls, cost, errors.
_Share = tuple[int, int, int, int, int, int, int]
_NOTHING: _Share = (0, 0, 0, 0, 0, 0, 0)
#: What makes a span the root rather than another: no parent, an agent, an early start; its id.
_Rank = tuple[bool, bool, float, str]


@dataclass(slots=True)
class Totals:
    """Counts, tokens, cost and errors; auxiliary spans are left out.

    Attributes:
        first: Earliest start, seconds since the epoch.
        last: Latest end, seconds since the epoch.
    """

    first: float | None = None
    last: float | None = None
    _shares: dict[str, _Share] = field(default_factory=dict[str, _Share])
    _sum: list[int] = field(default_factory=lambda: list(_NOTHING))
    _running: set[str] = field(default_factory=set[str])
    _root: _Rank | None = None
    _root_status: str = "running"

    def count(self, facts: Facts) -> None:
        """Take a span's newest facts in, in place of what was known of it."""
        if facts.start is not None:
            self.first = facts.start if self.first is None else min(self.first, facts.start)
        if facts.end is not None:
            self.last = facts.end if self.last is None else max(self.last, facts.end)
        (self._running.discard if facts.is_over else self._running.add)(facts.span_id)
        self._take_root(facts)
        if facts.auxiliary:
            return
        share = _share(facts)
        known = self._shares.get(facts.span_id, _NOTHING)
        if share != known:
            self._shares[facts.span_id] = share
            self._sum = [
                total + now - before
                for total, now, before in zip(self._sum, share, known, strict=True)
            ]

    @property
    def is_busy(self) -> bool:
        """Whether any span is running."""
        return bool(self._running)

    def status(self, now: float) -> str:
        """How the trace stands: as its root agent does.

        Of a trace whose root agent is not known, such as one that began in a program that tells
        nothing, it is `running` while a span is or was shortly before `now` (seconds since the
        epoch), then that of its first span, as the lake has it.
        """
        if self._root is None:
            return "running"
        if self._root[:2] == (False, False):
            return self._root_status
        is_recent = self.last is not None and now - self.last < SETTLED_S
        return "running" if self.is_busy or is_recent else self._root_status

    def _take_root(self, facts: Facts) -> None:
        start = math.inf if facts.start is None else facts.start
        rank = (facts.parent_id is not None, facts.drawn != "agent", start, facts.span_id)
        if self._root is None or rank < self._root or facts.span_id == self._root[3]:
            self._root, self._root_status = rank, facts.status

    def as_dict(self) -> dict[str, Any]:
        """`calls`, `tools`, `tokens_input`, `tokens_output`, `cost_usd`, `errors`.

        The cost is None when no call has a known price.
        """
        calls, tools, tokens_input, tokens_output, priced, cost_nano, errors = self._sum
        return {
            "calls": calls,
            "tools": tools,
            "tokens_input": tokens_input,
            "tokens_output": tokens_output,
            "cost_usd": cost_nano / _NANO if priced else None,
            "errors": errors,
        }


def _share(facts: Facts) -> _Share:
    is_call = facts.kind in _CALLS
    return (
        int(facts.drawn == "llm"),
        int(facts.kind == "tool"),
        facts.tokens_input or 0 if is_call else 0,
        facts.tokens_output or 0 if is_call else 0,
        int(is_call and facts.cost_usd is not None),
        _nano(facts.cost_usd) if is_call else 0,
        int(facts.is_error),
    )


def _nano(usd: float | None) -> int:
    cost = (usd or 0) * _NANO
    return round(cost) if math.isfinite(cost) else 0
