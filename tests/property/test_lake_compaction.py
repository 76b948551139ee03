"""Properties of the compaction policy, which decides without touching a file."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracelake.storage.compaction import Block, Merge, plan_merges, plan_ranges

TODAY = date(2026, 11, 22)

days = st.sampled_from([TODAY - timedelta(days=n) for n in range(3)])
traces = st.text("abcd", min_size=1, max_size=2)


@st.composite
def block_lists(draw: st.DrawFn) -> list[Block]:
    """Live files of a table."""
    rows = draw(st.lists(st.tuples(days, traces, traces, st.integers(1, 10**9)), max_size=30))
    return [
        Block(f"f{number}", day, min(one, two), max(one, two), size)
        for number, (day, one, two, size) in enumerate(rows)
    ]


def carry_out(blocks: list[Block], merges: list[Merge], salt: int) -> list[Block]:
    """The files there are after the merges; output that is not split, the hardest case to rest."""
    kept = {block.path: block for block in blocks}
    for number, merge in enumerate(merges):
        group = [kept.pop(path) for path in merge.paths]
        merged = Block(
            f"m{salt}-{number}",
            merge.date,
            min(block.first_trace for block in group),
            max(block.last_trace for block in group),
            sum(block.raw_bytes for block in group),
        )
        kept[merged.path] = merged
    return list(kept.values())


@given(block_lists(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_files(blocks: list[Block], chance: Any) -> None:
    """Two processes that see the same files plan the same."""
    shuffled = list(blocks)
    chance.shuffle(shuffled)
    assert plan_merges(shuffled, TODAY) == plan_merges(blocks, TODAY)


@given(block_lists())
def test_no_file_is_merged_twice_and_days_stay_apart(blocks: list[Block]) -> None:
    """A row can neither be doubled nor moved to another day by a plan."""
    merges = plan_merges(blocks, TODAY)
    paths = [path for merge in merges for path in merge.paths]
    assert len(paths) == len(set(paths))
    dates = {block.path: block.date for block in blocks}
    assert all(dates[path] == merge.date for merge in merges for path in merge.paths)
    assert all(len(merge.paths) > 1 for merge in merges)


@given(block_lists())
def test_merging_comes_to_rest(blocks: list[Block]) -> None:
    """Compaction ends, and a closed day ends with one place for each trace."""
    for salt in range(20):
        merges = plan_merges(blocks, TODAY)
        if not merges:
            break
        blocks = carry_out(blocks, merges, salt)
    assert plan_merges(blocks, TODAY) == []
    for day in {block.date for block in blocks} - {TODAY}:
        found = sorted(
            (block.first_trace, block.last_trace) for block in blocks if block.date == day
        )
        assert all(one[1] < two[0] for one, two in itertools.pairwise(found))


@given(
    st.dictionaries(traces, st.integers(1, 100), max_size=20).map(lambda d: sorted(d.items())),
    st.integers(1, 200),
)
def test_ranges_cover_every_trace_once(sizes: list[tuple[str, int]], limit: int) -> None:
    """Output files split between traces, never within one, and hold no more than the limit."""
    ranges = plan_ranges(sizes, limit)
    for trace_id, _ in sizes:
        assert sum(first <= trace_id <= last for first, last in ranges) == 1
    for first, last in ranges:
        held = [size for trace_id, size in sizes if first <= trace_id <= last]
        assert len(held) == 1 or sum(held) <= limit
