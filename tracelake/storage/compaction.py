"""Which files to merge: a pure policy.

    plan_merges(blocks, today) -> list[Merge]

The plan aims at few files whose trace ranges do not overlap, so that one trace stands in one place
(its resent history compresses away, and opening it touches one file), without rewriting a day
over and over while it grows.

Invariants:
- No file is in two merges; merges never mix days.
- The plan depends on the set of files only, not on their order.
- Merging what is planned, again and again, comes to rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

#: Files of one size class that a growing day collects before they are merged.
FAN_IN = 8
SMALLEST_TIER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """One file, as far as the plan needs to know it.

    Attributes:
        raw_bytes: Size of the rows before compression: what a merge has to hold in memory.
    """

    path: str
    date: date
    first_trace: str
    last_trace: str
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one day to be merged and sorted."""

    date: date
    paths: tuple[str, ...]


def plan_merges(blocks: Iterable[Block], today: date) -> list[Merge]:
    """Merges that are due, oldest day first.

    Args:
        blocks: Live files of a table.
        today: UTC day; it and later ones still grow.
    """
    days: dict[date, list[Block]] = {}
    for block in sorted(blocks, key=lambda block: (block.date, block.path)):
        days.setdefault(block.date, []).append(block)
    merges: list[Merge] = []
    for day, found in days.items():
        groups = _tiers(found) if day >= today else _overlaps(found)
        merges += [Merge(day, tuple(sorted(block.path for block in group))) for group in groups]
    return merges


def _tiers(blocks: Sequence[Block]) -> list[list[Block]]:
    """Of a growing day: files of like size, once there are enough of them."""
    tiers: dict[int, list[Block]] = {}
    for block in blocks:
        size = max(block.raw_bytes / SMALLEST_TIER_BYTES, 1.0)
        tiers.setdefault(int(math.log(size, FAN_IN)), []).append(block)
    return [tier for tier in tiers.values() if len(tier) >= FAN_IN]


def _overlaps(blocks: Sequence[Block]) -> list[list[Block]]:
    """Of a closed day: files whose trace ranges overlap, directly or through others."""
    groups: list[list[Block]] = []
    last = ""
    for block in sorted(blocks, key=lambda block: (block.first_trace, block.path)):
        if groups and block.first_trace <= last:
            groups[-1].append(block)
            last = max(last, block.last_trace)
        else:
            groups.append([block])
            last = block.last_trace
    return [group for group in groups if len(group) > 1]


def plan_ranges(sizes: Sequence[tuple[str, int]], limit_bytes: int) -> list[tuple[str, str]]:
    """Cut sorted traces into ranges of about `limit_bytes`; a trace is never split.

    Args:
        sizes: (trace id, raw bytes), by trace id.
        limit_bytes: Raw bytes of one output file.

    Returns:
        (first trace, last trace) of each range, both included.
    """
    ranges: list[tuple[str, str]] = []
    held = 0
    for trace_id, size in sizes:
        if ranges and held + size <= limit_bytes:
            ranges[-1] = (ranges[-1][0], trace_id)
            held += size
        else:
            ranges.append((trace_id, trace_id))
            held = size
    return ranges
