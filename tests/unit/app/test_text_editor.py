"""What an editor tells of an edit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.components.text_editor import edited


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(st.text(), st.text(), st.text(), st.text())
def test_the_edited_stretch_is_replaced(head: str, old: str, new: str, tail: str) -> None:
    """Places count as a browser counts them, whatever characters stand before them."""
    start = _units(head)
    end = start + _units(old)
    assert edited(f"{head}{old}{tail}", start=start, end=end, given=new) == f"{head}{new}{tail}"


def test_carriage_returns_around_an_edit_stay() -> None:
    """What was not edited is sent as it was recorded, its line ends too."""
    assert edited("a\r\nb\r\nc 😀", start=3, end=4, given="B") == "a\r\nB\r\nc 😀"
