"""A difference as rows of two columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracelake.playground.compare import Chunk, word_diff
from tracelake.playground.rows import Row, differences_in, rows_of

LINES = [f"line {number}\n" for number in range(100)]


def _side(rows: list[Row], side: str) -> str:
    return "".join(piece.text for row in rows for piece in getattr(row, side))


_TEXT = st.text(alphabet="ab \n\r\u2028é", max_size=60)


@given(_TEXT, _TEXT)
def test_the_rows_tell_both_texts(before: str, after: str) -> None:
    """Nothing is lost or doubled, whatever the texts are."""
    rows = rows_of(word_diff(f"({before}", f"({after}"))
    assert _side(rows, "left") == f"({before}"
    assert _side(rows, "right") == f"({after}"


@given(_TEXT, _TEXT)
def test_rows_without_a_difference_are_equal(before: str, after: str) -> None:
    """A row is marked as changed exactly where one of its pieces has a number."""
    for row in rows_of(word_diff(f"({before}", f"({after}")):
        numbers = [piece.difference for piece in (*row.left, *row.right)]
        assert (row.kind == "changed") == any(numbers)
        if row.kind != "changed":
            assert row.left == row.right


def test_long_equal_stretches_are_folded_around_a_difference() -> None:
    """Three lines before and after a change stay; the rest is one fold with its number of lines."""
    after = [*LINES]
    after[50] = "line fifty\n"
    rows = rows_of(word_diff("".join(LINES), "".join(after)))
    assert [(row.kind, row.lines) for row in rows] == [
        ("folded", 47),
        ("same", 3),
        ("changed", 0),
        ("same", 3),
        ("folded", 46),
    ]
    assert differences_in(rows) == 1


def test_short_stretches_are_not_folded() -> None:
    """A fold that hides hardly anything helps nobody."""
    before, after = "".join(LINES[:20]), "".join(LINES[:20]).replace("line 9", "line nine")
    assert "folded" not in {row.kind for row in rows_of(word_diff(before, after))}


def test_equal_texts_are_shown() -> None:
    """Without a difference the text itself is of interest."""
    rows = rows_of(word_diff("".join(LINES), "".join(LINES)))
    assert [row.kind for row in rows] == ["same"]
    assert differences_in(rows) == 0
    assert rows_of([]) == []


def test_lines_stay_beside_each_other_after_lines_were_removed() -> None:
    """Removed lines have a row of their own, so that what follows is aligned."""
    rows = rows_of([Chunk("removed", "a\nb\n"), Chunk("same", "c\n")])
    assert [row.kind for row in rows] == ["changed", "same"]
    assert rows[0].right == ()


def test_differences_are_numbered_in_order() -> None:
    """A word that took the place of another is one difference, on both sides."""
    rows = rows_of(word_diff("a b c d", "a x c y"))
    assert [piece.difference for piece in rows[0].left] == [None, 1, None, 2]
    assert [piece.difference for piece in rows[0].right] == [None, 1, None, 2]


def test_what_may_still_come_is_no_difference() -> None:
    """While an answer streams, its missing end is shown unmarked."""
    rows = rows_of([Chunk("same", "The quick ")], waiting="fox")
    assert _side(rows, "left") == "The quick fox"
    assert differences_in(rows) == 0
