"""The demo as a recorded run: provider, working copy and program around a running collector.

The run's calls are redirected to the offline provider whatever the collector's own upstreams are,
so the demo works beside real recordings and can never reach a real provider.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from tracelake.demo.launch import (
    copy_repository,
    program_command,
    program_environment,
    running_provider,
    stop,
)
from tracelake.errors import LakeError
from tracelake.ingest.collector import base_urls
from tracelake.model import new_id
from tracelake.replay.launch import Streams
from tracelake.replay.recorded import start_recorded

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.recorded import RecordedRun

NAME = "Demo: free delivery"


@contextmanager
def running_demo(
    lake: Lake,
    collector: Collector,
    *,
    pace: float = 1.0,
    output: int | IO[bytes] | None = None,
) -> Generator[RecordedRun]:
    """Run the demo program, recorded, while the block runs; wait for its process inside it.

    Args:
        lake: Where its record goes.
        collector: The collector of that lake.
        pace: 1 answers as fast as a model, 0 at once.
        output: Where the program's output and errors go; None shares ours.

    Raises:
        LakeError: The relay does not answer.
        TraceLakeError: The offline provider did not start.
    """
    run_id = new_id()
    workdir = copy_repository(lake.hot.parent / "demo" / run_id)
    _commit(workdir)
    urls = base_urls(collector.state.relay, run_id=run_id)
    environ = program_environment(
        anthropic_base_url=urls["anthropic_base_url"], openai_base_url=urls["openai_base_url"]
    )
    with running_provider(pace=pace) as provider:
        collector.redirect(run_id, provider.address)
        try:
            run = start_recorded(
                lake,
                program_command(),
                relay=collector.state.relay,
                cwd=workdir,
                environ=environ,
                name=NAME,
                run_id=run_id,
                streams=Streams(output=output),
            )
            try:
                yield run
            finally:
                stop(run.process)
                run.finish(run.process.returncode)
        finally:
            # a relay that is gone holds no redirection any more
            with suppress(LakeError):
                collector.release(run_id)


def _commit(workdir: Path) -> None:
    """Put the copy under version control, so that a fork starts from the same files."""
    identity = ["-c", "user.name=Trace Lake", "-c", "user.email=demo@localhost"]
    steps = (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "the demo's start"])
    for words in steps:
        try:
            subprocess.run(
                ["git", *words],
                cwd=workdir,
                check=True,
                capture_output=True,
                env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
            )
        except (OSError, subprocess.CalledProcessError):
            return  # without git a fork copies the folder instead
