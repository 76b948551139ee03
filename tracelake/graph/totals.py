"""Running sums over the spans of a lane or a trace, right when a span is told of several times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelake.graph.facts import Facts

#: Costs are added as whole nano-dollars, so that taking one back leaves no rounding behind.
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Share:
    calls: int = 0
    tools: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    priced: int = 0
    cost_nano: int = 0
    errors: int = 0


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
    _sum: dict[str, int] = field(default_factory=dict[str, int])

    def count(self, facts: Facts) -> None:
        """Take a span's newest facts in, in place of what was known of it."""
        if facts.start is not None:
            self.first = facts.start if self.first is None else min(self.first, facts.start)
        if facts.end is not None:
            self.last = facts.end if self.last is None else max(self.last, facts.end)
        if facts.auxiliary:
            return
        is_call = facts.drawn == "llm"
        share = _Share(
            calls=int(is_call),
            tools=int(facts.drawn == "tool"),
            tokens_input=(facts.tokens_input or 0) if is_call else 0,
            tokens_output=(facts.tokens_output or 0) if is_call else 0,
            priced=int(is_call and facts.cost_usd is not None),
            cost_nano=round((facts.cost_usd or 0) * _NANO) if is_call else 0,
            errors=int(facts.is_error),
        )
        known = self._shares.get(facts.span_id, _Share())
        self._shares[facts.span_id] = share
        for name in _Share.__slots__:
            change = getattr(share, name) - getattr(known, name)
            self._sum[name] = self._sum.get(name, 0) + change

    def root(self, facts: Facts) -> None:
        """Note the status of the trace's root."""
        self.status = facts.status

    def as_dict(self) -> dict[str, Any]:
        """`calls`, `tools`, `tokens_input`, `tokens_output`, `cost_usd`, `errors`.

        The cost is None when no call has a known price.
        """
        get = self._sum.get
        return {
            "calls": get("calls", 0),
            "tools": get("tools", 0),
            "tokens_input": get("tokens_input", 0),
            "tokens_output": get("tokens_output", 0),
            "cost_usd": get("cost_nano", 0) / _NANO if get("priced") else None,
            "errors": get("errors", 0),
        }
