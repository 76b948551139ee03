"""Real `kill -9` of the ingest process while real programs run."""

from __future__ import annotations

import json
import random
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support import eventually
from tracelake import Lake
from tracelake.config import locate
from tracelake.demo.launch import copy_repository, running_program, running_provider
from tracelake.ingest.collector import Options, base_urls, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.e2e

KILLS = 8
PROGRAMS = 3
#: So many kills at least come while programs run, however slow ingest starts again.
IN_MID_RUN = 3


def _ingest(supervisor: int) -> psutil.Process | None:
    children = psutil.Process(supervisor).children()
    return next((c for c in children if "tracelake.ingest" in c.cmdline()), None)


def test_killing_ingest_loses_no_call(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Every call of every program is in the lake once, whole, whatever happens to ingest."""
    location = locate(tmp_path / "lake")
    collector = start(location, Options(port=0))
    try:
        with ExitStack() as stack:
            provider = stack.enter_context(running_provider(pace=2.0))
            runs = [f"run-{number}" for number in range(PROGRAMS)]
            programs = []
            for run in runs:
                collector.redirect(run, provider.address)
                urls = base_urls(collector.state.relay, run_id=run)
                programs.append(
                    stack.enter_context(
                        running_program(
                            copy_repository(tmp_path / run),
                            anthropic_base_url=urls["anthropic_base_url"],
                            openai_base_url=urls["openai_base_url"],
                            stdout=subprocess.DEVNULL,
                        )
                    )
                )
            chance = random.Random(11)
            in_mid_run = 0
            for _ in range(KILLS):
                process = eventually(lambda: _ingest(collector.state.pid))
                # at any moment of its life: starting, catching up, following
                time.sleep(chance.uniform(0.1, 1.2))
                process.kill()
                process.wait()
                in_mid_run += any(program.poll() is None for program in programs)
            assert in_mid_run >= IN_MID_RUN, "the kills came too late to prove anything"
            assert [program.wait(120) for program in programs] == [0] * PROGRAMS
            with urllib.request.urlopen(f"{provider.address}/stats") as answer:
                calls = json.loads(answer.read())["total"]
        lake = Lake(location)

        def whole() -> bool:
            statuses = lake.traces().select("status").collect()["status"].to_list()
            return len(statuses) == PROGRAMS and set(statuses) == {"ok"}

        eventually(whole)
        spans = lake.spans().collect()
        keys = spans.select("trace_id", "span_id")
        exchanges = lake.exchanges().collect()
        llm = spans.filter(kind="llm")
        figures(
            f"{KILLS} kills of ingest, {in_mid_run} while programs ran: "
            f"{calls} calls, {exchanges.height} exchanges, {llm.height} llm spans, "
            f"{keys.height - keys.unique().height} duplicates"
        )
        assert calls == exchanges.height == llm.height
        assert keys.unique().height == keys.height
        assert exchanges["trace_id"].null_count() == 0
        assert set(spans["status"]) == {"ok", "error"}
        shapes = {
            trace_id: sorted(
                (kind, status, name or "")
                for kind, status, name in lake.trace(trace_id)
                .select("kind", "status", "tool_name")
                .iter_rows()
            )
            for trace_id in runs
        }
        assert all(shape == shapes[runs[0]] for shape in shapes.values())
    finally:
        collector.stop()
