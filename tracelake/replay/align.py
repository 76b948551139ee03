"""Which span of one trace stands for which span of another. Pure.

Model calls are paired by what replay knows (`original_span_id`), tools by the id of their call,
agents by the calls they share,
everything else by its place: children of paired spans, of the same kind and name, first those that
say the same, then in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from tracelake.replay.volatile import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Span = dict[str, Any]
#: Columns that make up what a span says, by kind.
_INPUTS = {"llm": ("system", "messages", "tools", "model"), "tool": ("parameters",)}
_OUTPUTS = {"llm": ("response", "response_blocks"), "tool": ("result",)}
_OUTCOME = ("status", "error")
#: Levels on which a replayed call says what its original said, but for ids and folders.
_REPEATED = frozenset({"exact", "semantic", "volatile"})


def align(before: Sequence[Span], after: Sequence[Span]) -> dict[str, str]:
    """Span ids of the first trace to those of the second that stand for them.

    Args:
        before: Spans of one trace, rows of the table `spans`, in start order.
        after: Spans of the other.
    """
    pairs = _Pairs(before, after)
    pairs.by_origin()
    pairs.tools_by_id()
    pairs.agents_by_calls()
    pairs.by_place()
    return pairs.found


def changed_parts(before: Span, after: Span) -> tuple[str, ...]:
    """What differs between two spans that stand for each other: input, output, outcome.

    Ids, times and durations inside texts do not count; nor does, in a call that was matched to its
    original, the folder in which the replay worked.
    """
    if after.get("original_span_id") == before["span_id"] and after.get("match") in _REPEATED:
        return ("outcome",) if _said(before, _OUTCOME) != _said(after, _OUTCOME) else ()
    kind = str(before["kind"])
    parts: list[str] = []
    if _said(before, _INPUTS.get(kind, ())) != _said(after, _INPUTS.get(kind, ())):
        parts.append("input")
    if _said(before, _OUTPUTS.get(kind, ())) != _said(after, _OUTPUTS.get(kind, ())):
        parts.append("output")
    if _said(before, _OUTCOME) != _said(after, _OUTCOME):
        parts.append("outcome")
    return tuple(parts)


class _Pairs:
    def __init__(self, before: Sequence[Span], after: Sequence[Span]) -> None:
        self.before = {str(span["span_id"]): span for span in before}
        self.after = {str(span["span_id"]): span for span in after}
        self.found: dict[str, str] = {}
        self._taken: set[str] = set()

    def by_origin(self) -> None:
        """Pair model calls that repeat each other, or the same call of a third trace."""
        by_origin: dict[str, str] = {}
        for span_id, span in self.after.items():
            by_origin.setdefault(str(span.get("original_span_id") or span_id), span_id)
        for span_id, span in self.before.items():
            for key in (span_id, str(span.get("original_span_id") or "")):
                other = by_origin.get(key)
                if other is not None and self._pair(span_id, other):
                    break

    def tools_by_id(self) -> None:
        """Pair tools that were called under the same id: a recorded answer gives it again."""
        by_id = {
            span["tool_call_id"]: span_id
            for span_id, span in reversed(self.after.items())
            if span["kind"] == "tool" and span.get("tool_call_id")
        }
        for span_id, span in self.before.items():
            if span["kind"] == "tool" and (other := by_id.get(span.get("tool_call_id"))):
                self._pair(span_id, other)

    def agents_by_calls(self) -> None:
        """Pair agents by the calls below them that are paired; the most in common first."""
        votes: Counter[tuple[str, str]] = Counter()
        for one, other in self.found.items():
            pair = (_parent(self.before, one), _parent(self.after, other))
            if pair[0] is not None and pair[1] is not None:
                votes[pair[0], pair[1]] += 1
        for (one, other), _ in votes.most_common():
            self._pair(one, other)

    def by_place(self) -> None:
        """Pair what is left, from the root down."""
        children = _children(self.before.values()), _children(self.after.values())
        roots = children[0].get(None, []), children[1].get(None, [])
        if len(roots[0]) == len(roots[1]) == 1:  # named after their runs, which differ
            self._pair(str(roots[0][0]["span_id"]), str(roots[1][0]["span_id"]))
        self._pair_siblings(roots[0], roots[1])
        pending = list(self.found.items())
        seen: set[str] = set()
        while pending:
            one, other = pending.pop()
            if one in seen:
                continue
            seen.add(one)
            below = children[0].get(one, []), children[1].get(other, [])
            pending += self._pair_siblings(below[0], below[1])

    def _pair_siblings(self, before: list[Span], after: list[Span]) -> list[tuple[str, str]]:
        """Pair spans of the same kind and name: those that say the same, then in order."""
        made: list[tuple[str, str]] = []
        keys: tuple[Callable[[Span], object], ...] = (_place, _signature_and_input, _signature)
        for key in keys:
            free: defaultdict[object, list[str]] = defaultdict(list)
            for span in after:
                if span["span_id"] not in self._taken:
                    free[key(span)].append(str(span["span_id"]))
            for span in before:
                span_id = str(span["span_id"])
                if span_id in self.found or not (others := free.get(key(span))):
                    continue
                other = others.pop(0)
                if self._pair(span_id, other):
                    made.append((span_id, other))
        return made

    def _pair(self, one: str, other: str) -> bool:
        if one in self.found or other in self._taken:
            return False
        if one not in self.before or self.before[one]["kind"] != self.after[other]["kind"]:
            return False
        self.found[one] = other
        self._taken.add(other)
        return True


def _parent(spans: dict[str, Span], span_id: str) -> str | None:
    parent = spans[span_id]["parent_id"]
    return parent if parent in spans else None


def _children(spans: Iterable[Span]) -> dict[str | None, list[Span]]:
    listed = list(spans)
    known = {span["span_id"] for span in listed}
    children: dict[str | None, list[Span]] = {}
    for span in listed:
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    return children


def _name(span: Span) -> object:
    # the model of a call is part of what may change
    return None if span["kind"] == "llm" else span["tool_name"] or span["name"]


def _signature(span: Span) -> object:
    return span["kind"], _name(span)


def _signature_and_input(span: Span) -> object:
    return span["kind"], _name(span), _said(span, _INPUTS.get(str(span["kind"]), ()))


def _place(span: Span) -> object:
    """Everything a span says and its outcome: only its true twin has the same."""
    kind = str(span["kind"])
    columns = (*_INPUTS.get(kind, ()), *_OUTPUTS.get(kind, ()))
    return kind, _name(span), _said(span, columns)


def _said(span: Span, columns: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(
        mask(value) if isinstance(value := span.get(column), str) else value for column in columns
    )
