"""Where files are cut: the plans, for any sizes of traces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracelake.storage.parquet import Unit, plan_pages, plan_row_groups

UNITS = st.lists(
    st.builds(
        Unit, st.integers(1, 1024), st.tuples(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
    ),
    max_size=60,
)


@given(UNITS, st.integers(1, 5000), st.integers(1, 10_000_000))
def test_row_groups_hold_every_unit_once_and_stay_bounded(
    units: list[Unit], rows_max: int, bytes_max: int
) -> None:
    """Nothing is lost or reordered; only a group of one unit may exceed the bounds."""
    groups = plan_row_groups(units, rows_max, bytes_max)
    assert [unit for group in groups for unit in group] == units
    for group in groups:
        assert len(group) == 1 or sum(unit.rows for unit in group) <= rows_max
        assert len(group) == 1 or sum(sum(unit.sizes) for unit in group) <= bytes_max


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 2_000)), max_size=60))
def test_a_heavy_unit_shares_its_page_with_nothing_of_weight(sizes: list[tuple[int, int]]) -> None:
    """Pages end between units; a unit of a page's size stands alone but for empty neighbours."""
    pages = plan_pages(sizes, 1000)
    assert sum(pages) == sum(rows for rows, _ in sizes)
    borders = {sum(pages[:n]) for n in range(len(pages) + 1)}
    start = 0
    held: dict[int, list[int]] = {}
    for rows, size in sizes:
        page = max(border for border in borders if border <= start)
        assert not any(start < border < start + rows for border in borders)
        held.setdefault(page, []).append(size)
        start += rows
    for found in held.values():
        assert max(found) < 1000 or sorted(found)[:-1] == [0] * (len(found) - 1)
