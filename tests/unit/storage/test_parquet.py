"""One trace is read without the wide columns of others: shown by damaging all of theirs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.parquet_pages import Page, pages_of
from tests.unit.test_lake import event
from tracelake import Lake
from tracelake.schema import SPANS
from tracelake.storage import parquet
from tracelake.storage.compactor import Compactor

if TYPE_CHECKING:
    from collections.abc import Callable

TRACES = 8
SPANS_EACH = 12
PROMPT = 60_000  # 12 of them fill a page


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A day of eight traces with long prompts in one compacted file, sealed four times."""
    lake = Lake(tmp_path / "lake")
    for seal in range(4):
        for trace in range(TRACES):
            for span in range(seal * 3, seal * 3 + 3):
                lake.append(
                    event(
                        "llm_call", f"s{span}", span, trace_id=f"t{trace}", duration_ms=1.0,
                        messages=[{"role": "user", "content": os.urandom(PROMPT // 2).hex()}],
                        response=os.urandom(PROMPT // 2).hex(),
                    )
                )  # fmt: skip
        lake.seal()
    Compactor(lake.location, vacuum_grace_s=-1).compact(
        today=event("span", "", 864000)["timestamp"].date()
    )
    return lake


def _damage(path: Path, is_hit: Callable[[Page, set[str]], bool]) -> tuple[int, int]:
    """Overwrite pages of wide columns by noise; how many were and were not."""
    traces = pl.read_parquet(path, columns=["trace_id"])["trace_id"].to_list()
    content = bytearray(path.read_bytes())
    hit = spared = 0
    for column in SPANS.wide:
        for page in pages_of(path, column):
            if is_hit(page, set(traces[page.first_row : page.first_row + page.rows])):
                content[page.offset : page.offset + page.size_bytes] = os.urandom(page.size_bytes)
                hit += 1
            else:
                spared += 1
    path.write_bytes(content)
    return hit, spared


def test_opening_one_trace_reads_no_prompt_of_another(lake: Lake) -> None:
    """With every page of prompts and answers of the other traces in ruins, it opens as before."""
    (path,) = map(Path, lake.files())
    before = lake.trace("t3")
    assert before.height == SPANS_EACH
    hit, spared = _damage(path, lambda page, held: "t3" not in held and len(held) < TRACES)
    assert hit >= 2 * (TRACES - 1)
    assert spared < hit
    assert Lake(lake.path).trace("t3").equals(before)
    narrow = [name for name in SPANS.names if name not in SPANS.wide]
    assert lake.spans().select(narrow).collect().height == TRACES * SPANS_EACH
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_parquet(path, columns=["messages"])


def test_the_ruins_would_be_noticed(lake: Lake) -> None:
    """The measure itself can fail: where the trace's own pages are damaged, it cannot be read."""
    (path,) = map(Path, lake.files())
    _damage(path, lambda page, held: held == {"t3"})
    with pytest.raises(pl.exceptions.ComputeError):
        pl.scan_parquet(path).filter(trace_id="t3").collect()


def test_pages_of_long_traces_hold_one_trace_each(lake: Lake) -> None:
    """Long prompts share no page; short columns, and columns without values, are not cut at all."""
    (path,) = map(Path, lake.files())
    for column, pages in (("messages", TRACES), ("response", TRACES), ("tools", 1), ("name", 1)):
        assert [page.rows for page in pages_of(path, column)] == (
            [SPANS_EACH] * TRACES if pages > 1 else [TRACES * SPANS_EACH]
        ), column


def test_short_traces_share_pages(tmp_path: Path) -> None:
    """Small payloads stay together: thousands of tiny pages would cost more than they save."""
    rows = pl.DataFrame(
        {"trace_id": [f"t{n // 3:04}" for n in range(3000)], "messages": ["x" * 1000] * 3000}
    )
    parquet.write_parquet(rows, SPANS, tmp_path / "x.parquet")
    sizes = [page.rows for page in pages_of(tmp_path / "x.parquet", "messages")]
    assert len(sizes) == pytest.approx(3_000_000 / parquet.PAGE_BYTES, abs=1)
    assert all(size % 3 == 0 for size in sizes)
    assert pl.read_parquet(tmp_path / "x.parquet").equals(rows)


def test_pages_carry_checksums(lake: Lake) -> None:
    """A flipped bit that still decodes is found by the checksum of its page."""
    (path,) = map(Path, lake.files())
    page = pages_of(path, "messages")[0]
    content = bytearray(path.read_bytes())
    content[page.offset + page.size_bytes // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_an_endless_trace_is_written_in_bounded_pieces(tmp_path: Path) -> None:
    """A trace longer than a row group is cut; rows and order stay."""
    rows = pl.DataFrame(
        {"trace_id": ["one"] * 40_000, "span_id": [str(n) for n in range(40_000)]},
    )
    parquet.write_parquet(rows, SPANS, tmp_path / "x.parquet")
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    lengths = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert max(lengths) <= SPANS.row_group_rows
    assert pl.read_parquet(tmp_path / "x.parquet").equals(rows)


def test_a_table_without_wide_columns_or_traces_is_written_whole(tmp_path: Path) -> None:
    """Null trace ids and tables of one row a key take the same road."""
    data: dict[str, Any] = {"trace_id": [None, None, "a"], "request_body": [b"x", None, b"\x00"]}
    from tracelake.schema import EXCHANGES

    rows = pl.DataFrame(data)
    parquet.write_parquet(rows, EXCHANGES, tmp_path / "x.parquet")
    assert pl.read_parquet(tmp_path / "x.parquet").equals(rows)


def test_times_are_kept_as_differences(lake: Lake) -> None:
    """Small and quick to read; a dictionary of times that are all different is neither."""
    (uri,) = lake.files()
    group = pq.read_metadata(uri).row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    encoded = {column.path_in_schema: set(column.encodings) for column in columns}
    for name in ("start_time", "end_time"):
        assert "DELTA_BINARY_PACKED" in encoded[name]
        assert not any("DICTIONARY" in encoding for encoding in encoded[name])
    assert "RLE_DICTIONARY" in encoded["agent_name"]
