"""Small things that several test modules share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, timeout_s: float = 60.0, every_s: float = 0.02) -> T:
    """Call `probe` until it returns something truthy, and return that.

    Raises:
        AssertionError: The deadline passed; names the probe and its last answer.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{probe!r} still gave {answer!r} after {timeout_s} s")
        time.sleep(every_s)
    return answer


def at_best(measure: Callable[[], float], *, below: float, rounds: int = 5) -> float:
    """The least of some measurements, at most until one is below a bound.

    A busy machine only adds to what something takes, so an upper bound is held against the best.
    """
    best = float("inf")
    for _ in range(rounds):
        best = min(best, measure())
        if best < below:
            break
    return best


def command_lines() -> str:
    """The command lines of everything that runs on this machine, one a line."""
    found = psutil.process_iter(["cmdline"])
    return "\n".join(" ".join(process.info["cmdline"] or []) for process in found)
