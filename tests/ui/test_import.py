"""Opening exported files from the pages."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from tests.ui.conftest import add_trace
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def exported(tmp_path: Path) -> bytes:
    """A trace of another lake as Parquet."""
    with Lake(tmp_path / "colleague") as other:
        add_trace(other, "theirs", agent="coder", model="gpt-4o", day=20)
        buffer = io.BytesIO()
        other.spans().collect().write_parquet(buffer)
    return buffer.getvalue()


def test_an_exported_file_is_opened(
    open_page: Callable[..., AppTest], lake: Lake, exported: bytes
) -> None:
    """On an empty lake: the trace is listed, and opening it again adds nothing."""
    page = open_page("history")
    for _ in range(2):
        page.file_uploader[0].set_value(("theirs.parquet", exported, "")).run()
        assert not page.exception
        assert [toast.value for toast in page.toast] == ["Opened 1 trace with 3 spans."]
        assert list(page.dataframe[0].value["name"]) == ["Task theirs"]
    assert lake.spans().collect().height == 3


def test_a_bad_file_changes_nothing(
    open_page: Callable[..., AppTest], lake: Lake, filled: Lake, exported: bytes
) -> None:
    """A good file beside it is not opened either, and one line says what is wrong."""
    before = filled.traces().collect().height
    page = open_page("history")
    files = [("theirs.parquet", exported, ""), ("notes.jsonl", b'{"a": 1}\nnonsense', "")]
    page.file_uploader[0].set_value(files).run()
    (error,) = page.error
    assert "notes" in error.value
    assert "tracelake-import" not in error.value
    page.run()
    assert len(page.error) == 1
    assert lake.traces().collect().height == before
