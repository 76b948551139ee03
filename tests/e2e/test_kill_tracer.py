"""Killing traced programs in mid run: what they were told is kept, is kept."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import eventually
from tracelake import Lake
from tracelake.storage.sealer import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 12

#: A traced program that notes outside the lake, after each append returned, what was appended.
PROGRAM = """
import os, sys
from tracelake import Lake, Tracer
lake, ledger = sys.argv[1], os.open(sys.argv[2], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
tracer = Tracer(lake, durable=len(sys.argv) > 3)
with tracer.agent("boss") as boss:
    while True:
        with tracer.llm(model="m", messages=[{"role": "user", "content": "x" * 3000}]) as call:
            os.write(ledger, f"S {boss.trace_id} {call.span_id}\\n".encode())
            call.finish(response="y" * 500, tokens_input=1)
        assert not tracer.dropped
        os.write(ledger, f"E {boss.trace_id} {call.span_id}\\n".encode())
"""


@pytest.mark.e2e
def test_kill_9_of_a_traced_program_loses_nothing(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """Every span whose start or end returned is in the lake, once, before and after the seals."""
    chance = random.Random(7)
    lake, ledgers = Lake(tmp_path / "lake"), []
    for kill in range(KILLS):
        ledger = tmp_path / f"ledger-{kill}"
        ledgers.append(ledger)
        command = [sys.executable, "-c", PROGRAM, lake.path, str(ledger)]
        if kill % 4 == 3:
            command.append("durable")
        with subprocess.Popen(command) as program:
            want = chance.randrange(100, 40_000)
            eventually(
                lambda path=ledger, size=want: path.exists() and path.stat().st_size > size,
                timeout_s=60,
            )
            os.kill(program.pid, signal.SIGKILL)
            program.wait(10)
        if kill % 3 == 2:
            Sealer(lake.location, reap_grace_s=0).seal()

    started: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for ledger in ledgers:
        for line in ledger.read_bytes().split(b"\n")[:-1]:
            what, trace_id, span_id = line.decode().split()
            (started if what == "S" else ended).add((trace_id, span_id))
    for state in ("hot", "sealed"):
        found = lake.spans().filter(kind="llm").select("trace_id", "span_id", "status").collect()
        statuses = {(trace, span): status for trace, span, status in found.iter_rows()}
        lost_starts = len(started - statuses.keys())
        lost_ends = sum(statuses.get(key) != "ok" for key in ended)
        doubled = found.height - len(statuses)
        figures(
            f"{state}: {KILLS} kill -9, acknowledged {len(started)} starts {len(ended)} ends, "
            f"lost {lost_starts} starts {lost_ends} ends, doubled {doubled}"
        )
        assert (lost_starts, lost_ends, doubled) == (0, 0, 0)
        report = Sealer(lake.location, lost_after_s=0, reap_grace_s=0).seal()
    assert report.carried == 0
    assert len(started) > KILLS
