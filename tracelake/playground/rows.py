"""A difference as rows of two columns, long stretches without one folded away. Pure.

Invariant: the texts of the left pieces, joined, are the text before, those of the right pieces the
text after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracelake.playground.compare import Chunk

#: Lines shown around a difference, and how many more there must be to fold them away.
CONTEXT_LINES, _FOLDED_LEAST = 3, 8
#: Texts without any difference are shown up to so many lines.
_SAME_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; `difference` is its number, from 1, None where nothing differs."""

    text: str
    difference: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Lines that stand beside each other.

    Attributes:
        kind: `same` and `folded` hold one equal piece on both sides.
        lines: How many lines a row without difference holds; 0 for one that changed.
    """

    kind: Literal["same", "folded", "changed"]
    left: tuple[Piece, ...]
    right: tuple[Piece, ...]
    lines: int = 0


@dataclass(slots=True)
class _Open:
    """The row that is being filled."""

    left: list[Piece] = field(default_factory=list[Piece])
    right: list[Piece] = field(default_factory=list[Piece])
    is_changed: bool = False

    @property
    def is_at_line_start(self) -> bool:
        """Whether both sides ended their last line."""
        return all(not side or side[-1].text.endswith("\n") for side in (self.left, self.right))


def rows_of(chunks: Iterable[Chunk], *, waiting: str = "") -> list[Row]:
    """The rows of a difference, in order.

    Args:
        chunks: As `word_diff` gives them.
        waiting: What ends the text before and may still come after: at the left, unmarked.
    """
    rows: list[Row] = []
    same: list[str] = []
    number, was_changed = 0, False
    row = _Open()

    def close() -> None:
        nonlocal row
        if row.is_changed:
            _add_same(rows, same)
            rows.append(Row("changed", tuple(row.left), tuple(row.right)))
        elif row.left:
            same.append("".join(piece.text for piece in row.left))
        row = _Open()

    for chunk in chunks:
        if chunk.op == "same":
            was_changed = False
            if row.is_changed and row.is_at_line_start:
                close()
            for line in chunk.text.splitlines(keepends=True):
                row.left.append(Piece(line))
                row.right.append(Piece(line))
                if line.endswith("\n"):
                    close()
            continue
        if not was_changed:
            number, was_changed = number + 1, True
            if row.is_at_line_start:
                close()
        row.is_changed = True
        (row.left if chunk.op == "removed" else row.right).append(Piece(chunk.text, number))
    if waiting:
        row.is_changed = True
        row.left.append(Piece(waiting))
    close()
    _add_same(rows, same, is_last=True)
    return rows


def differences_in(rows: Iterable[Row]) -> int:
    """How many differences there are."""
    pieces = (piece for row in rows for piece in (*row.left, *row.right))
    return max((piece.difference or 0 for piece in pieces), default=0)


def _add_same(rows: list[Row], lines: list[str], *, is_last: bool = False) -> None:
    """The equal lines since the last change; what is far from any change is folded away."""
    head = CONTEXT_LINES if rows else 0
    tail = 0 if is_last else CONTEXT_LINES
    if not rows and is_last:
        head = _SAME_SHOWN
    hidden = len(lines) - head - tail
    if hidden < _FOLDED_LEAST:
        _add(rows, "same", lines)
    else:
        _add(rows, "same", lines[:head])
        _add(rows, "folded", lines[head : len(lines) - tail])
        _add(rows, "same", lines[len(lines) - tail :])
    lines.clear()


def _add(rows: list[Row], kind: Literal["same", "folded"], lines: list[str]) -> None:
    if lines:
        piece = (Piece("".join(lines)),)
        rows.append(Row(kind, piece, piece, len(lines)))
