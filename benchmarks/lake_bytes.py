"""Bytes of the same spans as JSONL, in SQLite and in the lake; how fast seals and merges go."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from benchmarks import lake_data
from benchmarks.report import progress
from tracelake import Lake
from tracelake.schema import SPANS
from tracelake.storage.codec import encode_event
from tracelake.storage.segment import list_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.report import Report

FAR = date(2999, 1, 1)
SEAL_BYTES = 32 << 20


def sizes(report: Report, root: Path, scale: float) -> None:
    """The two kinds of history whose size has a target, compacted, beside the baselines."""
    cases: dict[str, tuple[str, int, Iterator[dict[str, Any]]]] = {
        "30-turn conversations": (
            "25x", int(120 * scale) * 122, lake_data.conversations(int(120 * scale), 30),
        ),
        "ordinary mix": ("12x", int(300 * scale) * 66, lake_data.mix(int(300 * scale))),
    }  # fmt: skip
    for name, (target, expected, events) in cases.items():
        lake = Lake(root / name.replace(" ", "-"))
        sealer, raw, unsealed = lake.sealer(), 0, 0
        reports = []
        with progress(name, expected) as step:
            for event in events:
                lake.append(event)
                step(1)
                written = len(encode_event(event))
                raw, unsealed = raw + written, unsealed + written
                if unsealed > SEAL_BYTES:
                    reports.append(sealer.seal())
                    unsealed = 0
            reports.append(sealer.seal())
        sealed = _bytes(lake)
        merged = lake.compact(today=FAR)
        compacted = _bytes(lake)
        spans = lake.spans().select("span_id").collect().height
        in_sqlite = _in_sqlite(lake, root / "baseline.sqlite")
        report.line("bytes", f"{name}: JSONL (baseline)", mb=raw / 1e6, a_span_bytes=raw // spans)
        report.line(
            "bytes", f"{name}: SQLite (baseline)", mb=in_sqlite / 1e6,
            a_span_bytes=in_sqlite // spans, smaller_x=raw / in_sqlite,
        )  # fmt: skip
        report.line(
            "bytes", f"{name}: as sealed", mb=sealed / 1e6, a_span_bytes=sealed // spans,
            smaller_x=raw / sealed,
        )  # fmt: skip
        report.line(
            "bytes", f"{name}: compacted", target=target, mb=compacted / 1e6,
            a_span_bytes=compacted // spans, smaller_x=raw / compacted,
        )  # fmt: skip
        seconds = sum(one.seconds for one in reports)
        report.line(
            "bytes", f"{name}: sealing", seals=len(reports), jsonl_per_s_mb=raw / 1e6 / seconds,
            spans_per_s=int(spans / seconds), all_s=seconds,
        )  # fmt: skip
        if merged.merges:
            report.line(
                "bytes", f"{name}: compaction", files=merged.files_before,
                jsonl_per_s_mb=raw / 1e6 / merged.seconds, spans_per_s=int(spans / merged.seconds),
                all_s=merged.seconds,
            )  # fmt: skip
        else:
            report.line("bytes", f"{name}: compaction", note="one file: nothing to merge")
        lake.close()
        for path in list_segments(lake.hot).values():
            path.unlink()
    report.memory("bytes")


def _bytes(lake: Lake) -> int:
    return sum(Path(uri).stat().st_size for uri in lake.files())


def _in_sqlite(lake: Lake, path: Path) -> int:
    """Size of a database with one row a span, without indexes."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE spans ({', '.join(SPANS.names)})")
        holes = ", ".join("?" * (len(SPANS.names) - 1))  # the date is the folder's
        for uri in lake.files():
            for batch in pq.ParquetFile(uri).iter_batches(1000):
                database.executemany(
                    f"INSERT INTO spans ({', '.join(batch.schema.names)}) VALUES ({holes})",
                    zip(
                        *(map(_plain, column.to_pylist()) for column in batch.columns), strict=True
                    ),
                )
    database.close()
    size = path.stat().st_size
    path.unlink()
    return size


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else str(value)
