"""Numbers as people read them."""

from __future__ import annotations

import pytest

from app.components import text


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "—"),
        (0, "0"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (999_949, "999.9k"),
        (999_950, "1.00M"),
        (999_994_999, "999.99M"),
        (1_217_335_258, "1.22B"),
        (2_500_000_000_000, "2,500.00B"),
    ],
)
def test_a_count_stays_short(number: float | None, shown: str) -> None:
    """Never more than three digits and a unit, until there is no greater unit."""
    assert text.count(number) == shown
