"""What a call cost, by the price helper of the relay, fast enough for a flood of spans.

A price list takes some tenths of a millisecond for one answer. Below the smallest number of tokens
from which any list charges another rate, a price is a sum of counts times rates: the rates of a
model are found by asking the helper a few times and kept for the half hour in which no list changes
them. Whatever lies outside is asked for itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tracelake.wire.answer import Answer
from tracelake.wire.call import Request, Usage
from tracelake.wire.prices import Price, price_of

if TYPE_CHECKING:
    from datetime import datetime

#: Smallest limit in any list is 32,000 (tests check that it holds).
LINEAR_MAX: Final = 30_000
_PROBE: Final = 10_000
_EMPTY: Final = Usage(0, 0, 0, 0, 0)
#: Counts that a price may depend on, with what must be counted beside them.
_PROBES: Final[dict[str, Usage]] = {
    "input": Usage(_PROBE, 0, 0, 0, 0),
    "output": Usage(0, _PROBE, 0, 0, 0),
    "cache_read": Usage(_PROBE, 0, _PROBE, 0, 0),
    "cache_write": Usage(_PROBE, 0, 0, _PROBE, 0),
    "reasoning": Usage(0, _PROBE, 0, 0, _PROBE),
}


def cost_of(
    provider: str,
    model: str | None,
    usage: Usage,
    *,
    asked: str | None,
    when: datetime,
    failed: bool = False,
    embedding: bool = False,
) -> Price:
    """The price of a call.

    Args:
        provider: As price lists name it.
        model: The model that answered.
        usage: Tokens; `input` includes cached ones.
        asked: The model asked for.
        when: Start of the call, UTC.
        failed: It ended in an error.
        embedding: It has no output.
    """
    if _is_linear(usage):
        half_hour = when.replace(minute=when.minute // 30 * 30, second=0, microsecond=0)
        rates, note = _rates(provider, model, asked, half_hour, embedding)
        return Price(None if rates is None else _sum(rates, usage), note)
    return _ask(provider, model, asked, usage, when, failed=failed, embedding=embedding)


def _is_linear(usage: Usage) -> bool:
    tokens_in, tokens_out = usage.input, usage.output
    if tokens_in is None or tokens_out is None:
        return False
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    return (
        0 <= cached <= tokens_in <= LINEAR_MAX
        and 0 <= (usage.reasoning or 0) <= tokens_out <= LINEAR_MAX
    )


def _sum(rates: tuple[float, ...], usage: Usage) -> float:
    flat, per_input, per_output, per_read, per_write, per_thought = rates
    return (
        flat
        + per_input * (usage.input or 0)
        + per_output * (usage.output or 0)
        + per_read * (usage.cache_read or 0)
        + per_write * (usage.cache_write or 0)
        + per_thought * (usage.reasoning or 0)
    )


@lru_cache(maxsize=2048)
def _rates(
    provider: str, model: str | None, asked: str | None, half_hour: datetime, embedding: bool
) -> tuple[tuple[float, ...] | None, str | None]:
    """US dollars: flat, per token of input and output, and the surcharges of the other counts.

    The second value is the price's note; the first None where there is no price.
    """

    def price(usage: Usage) -> Price:
        return _ask(provider, model, asked, usage, half_hour, failed=False, embedding=embedding)

    none = price(_EMPTY)
    if none.usd is None:
        return None, none.note
    each = {
        name: ((price(usage).usd or none.usd) - none.usd) / _PROBE
        for name, usage in _PROBES.items()
    }
    rates = (
        none.usd,
        each["input"],
        each["output"],
        each["cache_read"] - each["input"],
        each["cache_write"] - each["input"],
        each["reasoning"] - each["output"],
    )
    return rates, none.note


def _ask(
    provider: str,
    model: str | None,
    asked: str | None,
    usage: Usage,
    when: datetime,
    *,
    failed: bool,
    embedding: bool,
) -> Price:
    api = "embeddings" if embedding else "chat"
    request = Request(
        api,
        provider,
        asked or model,
        False,
        "",
        None,
        None,
        {},
        (),
        (),
    )
    price = price_of(request, Answer(model=model, usage=usage), when=when, offline=False)
    known = usage.input is not None or usage.output is not None
    return Price(None, "the call failed") if failed and not known else price
