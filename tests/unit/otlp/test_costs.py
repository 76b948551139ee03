"""Fast prices are the price list's."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from tracelake.otlp.costs import LINEAR_MAX, cost_of
from tracelake.wire.answer import Answer
from tracelake.wire.call import Request, Usage
from tracelake.wire.prices import price_of

WHEN = datetime(2026, 11, 22, 16, 40, tzinfo=UTC)
MODELS = [
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("nobody", "no-such-model"),
]
USAGES = [
    Usage(120, 17, 64, None, 8),
    Usage(0, 0),
    Usage(29_000, 1_000, 20_000, 5_000, 0),
    Usage(250_000, 10, 100, None, None),
    Usage(None, 3),
    Usage(10, 5, 20, None, 9),
]


@pytest.mark.parametrize(("case", "usage"), list(itertools.product(MODELS, USAGES)))
def test_the_price_is_that_of_the_list(case: tuple[str, str], usage: Usage) -> None:
    """To the last digit that counts, with the same note, for every shape of usage."""
    provider, model = case
    request = Request("chat", provider, model, False, "", None, None, {}, (), ())
    expected = price_of(request, Answer(model=model, usage=usage), when=WHEN, offline=False)
    found = cost_of(provider, model, usage, asked=None, when=WHEN)
    assert found.usd == (None if expected.usd is None else pytest.approx(expected.usd, rel=1e-9))
    assert found.note == expected.note


def test_no_list_changes_its_rate_below_the_limit() -> None:
    """A price list with a lower step would make the fast price wrong: this says so first."""
    from genai_prices import data_snapshot, types

    steps: set[int] = set()
    seen: set[int] = set()

    def walk(value: Any) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, types.Tier):
            steps.add(value.start)
        if isinstance(value, dict):
            inner = list(value.values())
        elif isinstance(value, list | tuple):
            inner = list(value)
        else:
            inner = list(getattr(value, "__dict__", {}).values())
        for item in inner:
            walk(item)

    for provider in data_snapshot.get_snapshot().providers:
        walk(provider)
    assert steps
    assert min(steps) > LINEAR_MAX
