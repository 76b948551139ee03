"""What the view of a difference is told."""

from __future__ import annotations

import json
from typing import Any

from app.components.diff import told
from tracelake.playground.compare import word_diff
from tracelake.playground.rows import rows_of


def _told(before: str, after: str, opened: tuple[str, ...] = ()) -> list[list[Any]]:
    return [told(row, opened) for row in rows_of(word_diff(before, after))]


def test_folded_text_is_told_when_it_was_asked_for() -> None:
    """A word changed in a long prompt sends a few lines; a fold that was opened sends its text."""
    lines = [f"line {number} of a long prompt\n" for number in range(9_000)]
    before, after = "".join(lines), "".join([*lines[:5000], "new\n", *lines[5000:]])
    rows = _told(before, after)
    assert len(json.dumps(rows)) < 2_000
    folds = [row for row in rows if row[0] == "folded"]
    assert [(fold[2], len(fold)) for fold in folds] == [(4997, 3), (3997, 3)]
    (opened,) = [row for row in _told(before, after, (folds[0][1],)) if len(row) == 4]
    assert opened[3] == "".join(lines[:4997]).removesuffix("\n")


def test_of_a_very_long_line_only_the_ends_are_told() -> None:
    """A line of a megabyte, changed or not, is laid out by nobody who did not ask for it."""
    blob = "x" * 1_000_000
    for before, after in ((blob, blob), (f"{blob} a", f"{blob} b"), (blob, "")):
        rows = _told(before, after)
        assert len(json.dumps(rows)) < 20_000
        names = {piece[2] for row in rows for side in row[1:] for piece in side if piece[2:]}
        whole = json.dumps(_told(before, after, tuple(names)))
        assert len(whole) > 900_000


def test_a_fold_keeps_its_name_while_others_change() -> None:
    """What was unfolded stays unfolded when the text is edited elsewhere."""
    lines = [f"line {number}\n" for number in range(100)]
    names = [
        row[1]
        for word in ("one", "another")
        for row in _told("".join(lines), "".join([*lines, word]))
        if row[0] == "folded"
    ]
    assert len(names) == 2
    assert len(set(names)) == 1
