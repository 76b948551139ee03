"""What the app holds in memory with a large lake, after every page was looked at.

    python -m benchmarks.app_memory [--spans 500k] [--lake DIR]

Builds the lake of `benchmarks.lake_queries` unless DIR holds it, starts `streamlit run app` on it,
visits every page with Chromium, several times, and prints the resident memory of the app's process
after each visit. Asserts nothing; the target is 400 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.lake import count
from benchmarks.lake_queries import build
from benchmarks.report import Report
from tests.e2e.browser import open_browser
from tests.e2e.live_support import serve
from tracelake import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 3
MB = 1 << 20


def pages(lake: Lake) -> list[str]:
    """Addresses of every page, with what a user would look at there."""
    import polars as pl

    newest = lake.traces().sort("start_time", descending=True).select("trace_id").head(2).collect()
    one, other = newest["trace_id"].to_list()
    call = lake.trace(one).filter(pl.col("kind") == "llm")["span_id"][0]
    return [
        f"live?trace={one}",
        f"live?trace={other}",
        f"live?trace={one}&span={call}",
        "history",
        "history?q=return",
        "history?errors=true",
        f"history?trace={one}",
        f"playground?trace={one}&span={call}",
        f"replay?trace={one}",
        "connect",
        "settings",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, serve, visit, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--spans", type=count, default=500_000)
    options.add_argument("--lake", type=Path)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.lake or Path(folder) / "lake"
        report = Report()
        build(report, path, chosen.spans, 400)
        with Lake(path) as lake:
            wanted = pages(lake)
        with serve(path) as base, open_browser() as page:
            children = psutil.Process().children(recursive=True)
            app = next(one for one in children if "streamlit" in one.cmdline())
            for _ in range(ROUNDS):
                for address in wanted:
                    page.goto(f"{base}/{address}")
                    page.wait_for_load_state("networkidle")
                    page.wait_for_timeout(2000)  # what a page reads after its first look
                    report.line("app", address.partition("?")[0], rss_mb=app.memory_info().rss / MB)
    return 0


if __name__ == "__main__":
    sys.exit(main())
