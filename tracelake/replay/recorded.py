"""A program run with its record in the lake: what `run`, the demo and a fork start."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tracelake.model import new_id, utc_now
from tracelake.replay import launch
from tracelake.replay.record import RunRecord, capture_run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tracelake.lake import Lake

#: How long to wait, after a program ended, for its last calls to be read into the lake.
SETTLE_TIMEOUT_S = 20.0


@dataclass(slots=True)
class RecordedRun:
    """A started program and its record."""

    lake: Lake
    record: RunRecord
    process: subprocess.Popen[bytes]

    @property
    def run_id(self) -> str:
        """Id of the run and of its trace."""
        return self.record.run_id

    def finish(self, exit_code: int) -> None:
        """Write the end of the run into its record."""
        ended = replace(self.record, end_time=utc_now(), exit_code=exit_code)
        self.lake.write("runs", [ended.to_row()])


def start_recorded(
    lake: Lake,
    command: Sequence[str],
    *,
    relay: str,
    cwd: Path,
    environ: Mapping[str, str],
    name: str | None = None,
    run_id: str | None = None,
    forked_from_run_id: str | None = None,
    streams: launch.Streams | None = None,
) -> RecordedRun:
    """Write the record of a run and start its program, pointed at the relay.

    Args:
        lake: Where the record goes.
        command: argv as the user wrote it.
        relay: Address of the relay.
        cwd: Working directory.
        environ: Environment before the base URLs are added.
        name: Name of the run; by default the command.
        run_id: Id of the run and its trace; by default a new one.
        forked_from_run_id: The run that this one repeats.
        streams: Its standard streams; by default ours.

    Raises:
        LakeError: The program could not be started; the record then says so with exit code 127.
    """
    record = capture_run(
        command,
        run_id=run_id or new_id(),
        cwd=cwd,
        environ=environ,
        now=utc_now(),
        name=name,
        forked_from_run_id=forked_from_run_id,
    )
    lake.write("runs", [record.to_row()])
    try:
        process = launch.start(
            command,
            relay=relay,
            run_id=record.run_id,
            cwd=cwd,
            environ={**environ, **launch.lake_environment(lake.location)},
            streams=streams,
        )
    except BaseException:
        ended = replace(record, end_time=utc_now(), exit_code=127)
        lake.write("runs", [ended.to_row()])
        raise
    return RecordedRun(lake, record, process)


def settle(lake: Lake, trace_id: str, timeout_s: float = SETTLE_TIMEOUT_S) -> dict[str, Any] | None:
    """Wait until the root of a trace has ended.

    Returns:
        The row of `traces`, still running when the time is over; None when the program made no
        call that was recorded.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = lake.answer(lambda: lake.traces().filter(trace_id=trace_id).collect())
        rows = found.rows(named=True)
        if (rows and rows[0]["status"] != "running") or time.monotonic() > deadline:
            return rows[0] if rows else None
        if not rows and not _has_exchanges(lake, trace_id):
            return None
        time.sleep(0.1)


def _has_exchanges(lake: Lake, run_id: str) -> bool:
    found = lake.answer(lambda: lake.exchanges().filter(run_id=run_id).head(1).collect())
    return not found.is_empty()
