"""Matching, whatever is recorded and in whatever order the calls arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.replay.exchanges import chat, completion, exchange
from tracelake.replay.match import Match, Matcher
from tracelake.replay.recording import Recording

if TYPE_CHECKING:
    from random import Random

TASKS = st.lists(st.sampled_from(["read", "write", "test the code", "task 3f9a2c1d"]), max_size=8)
ORDER = st.randoms(use_true_random=False)


def recording(tasks: list[str]) -> Recording:
    """One call a task."""
    return Recording(
        "trace",
        [
            exchange(chat(task), completion(f"answer {at}"), span_id=f"s{at}", at_s=at)
            for at, task in enumerate(tasks)
        ],
    )


@given(tasks=TASKS, extra=TASKS)
def test_each_recording_is_used_at_most_once(tasks: list[str], extra: list[str]) -> None:
    """However often a program asks, no answer is given twice."""
    matcher = Matcher(recording(tasks))
    found = [matcher.match(exchange(chat(task))) for task in [*extra, *tasks, *extra]]
    used = [one.recorded.position for one in found if isinstance(one, Match)]
    assert len(used) == len(set(used))
    assert set(used) == matcher.used


@given(tasks=TASKS, order=ORDER)
def test_exact_matches_do_not_depend_on_the_order_of_arrival(
    tasks: list[str], order: Random
) -> None:
    """Side by side or one by one: every call gets the answer of its own twin."""
    arriving = list(tasks)
    order.shuffle(arriving)
    matcher = Matcher(recording(tasks))
    for task in arriving:
        found = matcher.match(exchange(chat(task)))
        assert isinstance(found, Match)
        assert found.level == "exact"
        assert tasks[found.recorded.position] == task
    assert not matcher.unused
