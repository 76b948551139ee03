"""Following the hot folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support import eventually
from tracelake.lake import Lake
from tracelake.storage.tail import Tail

if TYPE_CHECKING:
    from pathlib import Path


def _event(span_id: str) -> dict[str, object]:
    return {
        "event_type": "llm_call",
        "trace_id": "t",
        "span_id": span_id,
        "timestamp": "2026-11-22T10:00:00Z",
    }


def test_each_event_is_returned_once(tmp_path: Path) -> None:
    """Polling gives what is new, of all segments, and nothing twice."""
    tail, one, two = Tail(tmp_path / "hot"), Lake(tmp_path), Lake(tmp_path)
    assert tail.poll() == []
    one.append(_event("a"))
    two.append(_event("b"))
    assert [e["span_id"] for e in tail.poll()] == ["a", "b"]
    one.append(_event("c"))
    assert [e["span_id"] for e in tail.poll()] == ["c"]
    assert tail.poll() == []


def test_a_tail_from_the_end_skips_what_is_there(tmp_path: Path) -> None:
    """A reader that has the past from elsewhere sees only the future."""
    lake = Lake(tmp_path)
    lake.append(_event("a"))
    tail = Tail(lake.hot, from_end=True)
    lake.append(_event("b"))
    assert [e["span_id"] for e in tail.poll()] == ["b"]


def test_waiting_ends_soon_after_a_change(tmp_path: Path) -> None:
    """A change wakes the reader; without one it still looks every 100 ms."""
    lake = Lake(tmp_path)
    lake.append(_event("a"))
    tail = Tail(lake.hot, from_end=True)
    try:
        began = time.monotonic()
        tail.wait(60.0)
        assert time.monotonic() - began < 30.0
        lake.append(_event("b"))
        assert eventually(lambda: tail.wait(0.1) or tail.poll())
    finally:
        tail.close()
