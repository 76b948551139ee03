"""What a call cost, by the price list of genai-prices.

Invariants:
- An unknown price or unknown usage gives None and the reason, never 0.
- A price is looked up at the time of the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracelake.model import OFFLINE_NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from genai_prices import types

    from tracelake.wire.answer import Answer
    from tracelake.wire.call import Request, Usage

#: Servers that people run themselves; nobody publishes a price for them.
_LOCAL = frozenset({"ollama", "vllm", "lmstudio", "lm-studio", "llamacpp", "llama-cpp", "local"})
_UNBILLED = frozenset({"count_tokens", "models"})


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars, or None; `note` says why it is None or how it was estimated."""

    usd: float | None
    note: str | None


def price_of(request: Request, answer: Answer, *, when: datetime, offline: bool) -> Price:
    """The price of a call.

    Args:
        request: Gives provider and the model asked for.
        answer: Gives the model that answered, usage and further billed units.
        when: Start of the call, UTC; prices change.
        offline: The offline provider answered; the price is what a real one would have asked.
    """
    price = _price(request, answer, when)
    if offline and price.usd is not None:
        return Price(price.usd, OFFLINE_NOTE)
    return price


def _price(request: Request, answer: Answer, when: datetime) -> Price:
    if request.api in _UNBILLED:
        return Price(None, "not billed")
    usage = answer.usage
    if usage.input is None and usage.output is None:
        why = "the call failed" if answer.failure else "the provider reported no usage"
        return Price(None, why)
    if usage.input is None or (usage.output is None and request.api != "embeddings"):
        return Price(None, "the answer ended before its usage was reported")
    models = _models(request, answer)
    if not models:
        return Price(None, "no model named")
    if request.provider in _LOCAL:
        return Price(None, f"no list price: served by {request.provider}")
    for provider, model in _candidates(request.provider, models):
        found = _look_up(provider, model, answer, when)
        if found is None:
            continue
        usd, by = found
        return Price(usd, _estimate(request, model, models[0], provider, by))
    if answer.reported_cost_usd is not None:
        return Price(answer.reported_cost_usd, "as reported by the provider")
    return Price(None, f"no price known for {models[0]} of {request.provider}")


def _estimate(
    request: Request, model: str, answered: str, provider: str | None, by: str
) -> str | None:
    """How a price was come by, where it is not the provider's own for the model that answered."""
    if provider != request.provider:
        return f"list price of {by}; no price known for {request.provider}"
    if model != answered:
        return f"priced as {model}, the model asked for"
    return None


def _models(request: Request, answer: Answer) -> list[str]:
    """The model that answered, then the one asked for; a deployment's name is no model."""
    names = [answer.model]
    if request.provider != "azure" or not answer.model:
        names.append(request.model)
    return list(dict.fromkeys(name for name in names if name))


def _candidates(provider: str, models: list[str]) -> Iterator[tuple[str | None, str]]:
    """Where to look, nearest first: the provider, the vendor in the name, anyone who knows it."""
    for model in models:
        yield provider, model
    for model in models:
        vendor, slash, name = model.partition("/")
        routed, colon, router = model.rpartition(":")
        if colon and provider == "huggingface":
            yield f"huggingface_{router}", routed
        if slash:
            yield vendor, name
        yield None, model


def _look_up(
    provider: str | None, model: str, answer: Answer, when: datetime
) -> tuple[float, str] | None:
    """US dollars and the provider whose list has the model, or None."""
    import genai_prices

    tier = {"service_tier": answer.tier} if answer.tier else None
    try:
        price = genai_prices.calc_price(
            _usage(answer),
            model,
            provider_id=provider,
            genai_request_timestamp=when,
            price_context=tier,
        )
    except (LookupError, ValueError):
        # ValueError: counts that contradict each other, such as more cached tokens than tokens.
        return None
    return float(price.total_price), price.provider.id


def _usage(answer: Answer) -> types.Usage:
    from genai_prices import Usage as PricedUsage

    usage: Usage = answer.usage
    given, asked = usage.output or 0, usage.input or 0
    # Some providers count reasoning beside the output; the price list takes it as a part of it.
    if answer.reasoning_is_apart:
        given += usage.reasoning or 0
    reasoning = usage.reasoning if (usage.reasoning or 0) <= given else None
    return PricedUsage(
        input_tokens=asked,
        output_tokens=given,
        cache_read_tokens=min(usage.cache_read or 0, asked),
        cache_write_tokens=min(usage.cache_write or 0, asked),
        output_reasoning_tokens=reasoning,
        **answer.units,
    )
