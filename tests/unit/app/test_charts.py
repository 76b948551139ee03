"""Charts of roll-ups."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.charts import cost_by_model


@pytest.mark.parametrize(("days", "kind"), [((22,), "ordinal"), ((20, 22), "temporal")])
def test_the_bar_of_a_single_day_stands_over_its_date(days: tuple[int, ...], kind: str) -> None:
    """Several days have an axis of time, with room for the days that saw nothing."""
    rows = [
        {"day": date(2026, 11, day), "model": "gpt-4o", "cost_usd": 0.2, "calls": 3} for day in days
    ]
    chart: dict[str, Any] = cost_by_model(rows).to_dict()
    assert chart["encoding"]["x"]["type"] == kind
