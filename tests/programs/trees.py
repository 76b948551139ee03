"""A trace as text, one line a span, so that a test can say what it expects and count what it got.

    supervisor
      llm
      tool ask_planner(2 nights in Porto) ok = 190 EUR
        planner
          llm

Agents stand by name, calls as `llm` (with their status where it is not ok), tools with the
strings of their parameters, their status and their result.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Path = tuple[str, ...]
_RESULT_CHARS = 52


def label(span: dict[str, Any], *, results: bool = True) -> str:
    """The line of a span."""
    if span["kind"] == "agent":
        return span["name"] + ("" if span["status"] == "ok" else f" {span['status']}")
    if span["kind"] == "tool":
        values = ", ".join(_values(_decoded(span["parameters"])))
        told = f"tool {span['tool_name']}({values}) {span['status']}"
        result = " ".join((span["result"] or "").split())[:_RESULT_CHARS].strip()
        return f"{told} = {result}".strip() if results else told
    kind = f"{span['kind']}{' auxiliary' if span['auxiliary'] else ''}"
    return kind if span["status"] == "ok" else f"{kind} {span['status']}"


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _values(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _values(item)]
    if isinstance(value, list):
        return [text for item in value for text in _values(item)]
    return [str(value)]


def found_paths(spans: Sequence[dict[str, Any]], *, results: bool = True) -> Counter[Path]:
    """Every span of one trace by the lines from its root down to it, tool results or not."""
    by_id = {span["span_id"]: span for span in spans}

    def path(span: dict[str, Any]) -> Path:
        parent = by_id.get(span["parent_id"])
        above = path(parent) if parent else ()
        return (*above, label(span, results=results))

    return Counter(path(span) for span in spans)


def expected_paths(text: str) -> Counter[Path]:
    """The same, of an indented text."""
    paths: list[Path] = []
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        above = [entry for entry in above if entry[0] < depth] + [(depth, line.strip())]
        paths.append(tuple(entry[1] for entry in above))
    return Counter(paths)


def difference(found: Counter[Path], true: Counter[Path]) -> str:
    """What a failing test says."""
    return f"missing:\n{text_of(true - found)}\nnot expected:\n{text_of(found - true)}"


def text_of(paths: Iterable[Path]) -> str:
    """Paths as indented text again, for the reader of a failure."""
    return "\n".join("  " * (len(path) - 1) + path[-1] for path in sorted(paths))


@dataclass(frozen=True, slots=True)
class Score:
    """How many spans were found where they belong."""

    right: int
    found: int
    true: int

    def __str__(self) -> str:
        precision = self.right / self.found if self.found else 1.0
        recall = self.right / self.true if self.true else 1.0
        return f"{self.right:3d}/{self.true:<3d} P {precision:.3f} R {recall:.3f}"


def _kind(path: Path) -> str:
    first = path[-1].split(" ", 1)[0]
    return {"llm": "calls", "embedding": "calls", "tool": "tools"}.get(first, "agents")


def scores(found: Counter[Path], true: Counter[Path]) -> dict[str, Score]:
    """Scores of agents, calls and tools: a span counts where its whole path is right."""
    return {
        kind: Score(
            sum(n for path, n in (found & true).items() if _kind(path) == kind),
            sum(n for path, n in found.items() if _kind(path) == kind),
            sum(n for path, n in true.items() if _kind(path) == kind),
        )
        for kind in ("agents", "calls", "tools")
    }
