"""How benchmarks print: one line a figure, on standard output; progress on standard error.

Report(as_json).line("queries", "open one trace", target="30 ms", median_ms=12.3)
with progress("building", total) as step: … step(1)
"""

from __future__ import annotations

import contextlib
import json
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_UNITS = {"us": " us", "ms": " ms", "s": " s", "mb": " MB", "bytes": " bytes", "x": "x"}


@dataclass(frozen=True)
class Report:
    """Prints figures for people, or one JSON object a line."""

    as_json: bool = False

    def line(self, part: str, name: str, *, target: str = "", **figures: float | str) -> None:
        """One line: figures by name, the last word of a name being its unit."""
        if self.as_json:
            goal = {"target": target} if target else {}
            print(json.dumps({"part": part, "name": name, **figures, **goal}), flush=True)
            return
        shown = ", ".join(_said(key, value) for key, value in figures.items())
        goal = f"   [target {target}]" if target else ""
        print(f"{part:8} {name:34} {shown}{goal}", flush=True)

    def memory(self, part: str) -> None:
        """Peak resident memory of this process so far."""
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.line(part, "memory of the process", peak_mb=peak_mb)


def _said(key: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    words = key.split("_")
    unit = _UNITS.get(words[-1])
    name = " ".join(words[:-1] if unit and len(words) > 1 else words)
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f"{name} {number}{unit or ''}"


@contextlib.contextmanager
def progress(what: str, total: int) -> Generator[Callable[[int], None]]:
    """A bar on standard error while something long goes on; call the result with each advance."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.advance(task, amount)
