"""Completion order: an answer waits until those that came before it in the recording are given.

Programs with agents side by side see results in the order in which they come; another order makes
other prompts. Pure: who waits, and for how long, is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from tracelake.replay.recording import Recorded, Recording


class CompletionOrder:
    """Which recorded calls are still to be answered, by the end of their recorded answers."""

    def __init__(self, recording: Recording) -> None:
        calls = (one for one in recording.calls if one.is_call)
        self._pending = sorted(calls, key=lambda one: (one.end_time, one.position))
        self._over: set[int] = set()

    def over(self, position: int) -> None:
        """A call was answered, or nobody waits for it any more."""
        self._over.add(position)
        while self._pending and self._pending[0].position in self._over:
            self._over.discard(self._pending.pop(0).position)

    def earlier(self, recorded: Recorded, *, among: Container[int] | None = None) -> list[int]:
        """Positions of unanswered calls whose answers were complete before this one's.

        Args:
            recorded: The call that is to be answered.
            among: Only these positions count; None counts all.
        """
        found: list[int] = []
        for one in self._pending:
            if one.end_time >= recorded.end_time:
                break
            if one.position in self._over or one.position == recorded.position:
                continue
            if among is None or one.position in among:
                found.append(one.position)
        return found
