"""What differs between two calls, in a few readable lines."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.replay.match import Near
    from tracelake.wire import Request

LINES_MAX = 12
LINE_CHARS = 160


def differing_lines(recorded: Request | None, new: Request | None) -> list[str]:
    """Lines that only one of two calls has: `- ` the recorded one, `+ ` the new one.

    At most 12, each cut at 160 characters around the place where they part.
    """
    before, after = list(_lines(recorded)), list(_lines(new))
    found: list[str] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            continue
        gone, come = before[a0:a1], after[b0:b1]
        for one, other in zip(gone, come, strict=False):
            at = _parting(one, other)
            found += [f"- {_cut(one, at)}", f"+ {_cut(other, at)}"]
        found += [f"- {_cut(line)}" for line in gone[len(come) :]]
        found += [f"+ {_cut(line)}" for line in come[len(gone) :]]
        if len(found) >= LINES_MAX:
            return [*found[: LINES_MAX - 1], "…"]
    return found


def describe_nearest(nearest: tuple[Near, ...]) -> tuple[str, ...]:
    """The nearest recordings and how they differ, in lines."""
    lines: list[str] = []
    for near in nearest:
        used = ", already used" if near.is_used else ""
        lines.append(f"span {near.recorded.span_id}: {near.similarity:.0%} of the lines{used}")
        lines += [f"    {line}" for line in near.difference[:6]]
    return tuple(lines)


def refusal(detail: tuple[str, ...]) -> str:
    """What a call is told that no recording fits while live calls are off."""
    lines = "\n".join(detail) or "the recording holds no call to this endpoint"
    return f"no recorded call matches this one, and live calls are off. Nearest:\n{lines}"


def _lines(request: Request | None) -> Iterator[str]:
    if request is None:
        return
    yield f"model: {request.model}"
    yield f"stream: {request.stream}"
    for line in request.system.splitlines():
        yield f"system: {line}"
    yield f"tools: {', '.join(request.tool_names)}"
    for key, value in sorted(request.parameters.items()):
        if key not in {"model", "stream", "system", "instructions"}:
            yield f"{key}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}"
    for atom in request.atoms:
        head = f"{atom.role} {atom.kind}"
        if atom.name:
            yield f"{head}: {atom.name}({atom.arguments or ''})"
        for line in atom.text.splitlines():
            yield f"{head}: {line}"


def _parting(a: str, b: str) -> int:
    """Where two lines begin to differ."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))


def _cut(line: str, at: int = 0) -> str:
    if len(line) <= LINE_CHARS:
        return line
    start = max(0, min(at - LINE_CHARS // 3, len(line) - LINE_CHARS))
    shown = line[start : start + LINE_CHARS]
    return f"{'…' if start else ''}{shown}{'…' if start + LINE_CHARS < len(line) else ''}"
