"""Running sums over the spans of a lane or a trace, right when a span is told of several times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelake.graph.facts import Facts

#: Costs are added as whole nano-dollars, so that taking one back leaves no rounding behind.
_NANO = 1_000_000_000


#: What one span adds: calls, tools, input and output tokens, priced calls, cost, errors.
_Share = tuple[int, int, int, int, int, int, int]
_NOTHING: _Share = (0, 0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class Totals:
    """Counts, tokens, cost and errors; auxiliary spans are left out.

    Attributes:
        status: Status of the root; `running` until it is known to have ended.
        first: Earliest start, seconds since the epoch.
        last: Latest end, seconds since the epoch.
    """

    status: str = "running"
    first: float | None = None
    last: float | None = None
    _shares: dict[str, _Share] = field(default_factory=dict[str, _Share])
    _sum: list[int] = field(default_factory=lambda: list(_NOTHING))

    def count(self, facts: Facts) -> None:
        """Take a span's newest facts in, in place of what was known of it."""
        if facts.start is not None:
            self.first = facts.start if self.first is None else min(self.first, facts.start)
        if facts.end is not None:
            self.last = facts.end if self.last is None else max(self.last, facts.end)
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

    def root(self, facts: Facts) -> None:
        """Note the status of the trace's root."""
        self.status = facts.status

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
    tool, error = int(facts.drawn == "tool"), int(facts.is_error)
    if facts.drawn != "llm":
        return (0, tool, 0, 0, 0, 0, error)
    return (
        1,
        0,
        facts.tokens_input or 0,
        facts.tokens_output or 0,
        int(facts.cost_usd is not None),
        round((facts.cost_usd or 0) * _NANO),
        error,
    )
