"""The demo, started from a page: a recorded program beside the app, stopped with the app."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from tracelake.demo.session import running_demo
from tracelake.errors import NotInLake, TraceLakeError

if TYPE_CHECKING:
    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.recorded import RecordedRun

_LOG = logging.getLogger("tracelake.app")
START_TIMEOUT_S = 40.0
_POLL_S = 0.05


class Demo:
    """One run of the demo program."""

    def __init__(self, lake: Lake, collector: Collector) -> None:
        self._lake = lake
        self._collector = collector
        self._run: RecordedRun | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._record, name="tracelake-demo", daemon=True)

    def start(self) -> str:
        """Start it; returns its trace id once the first span can be read.

        Raises:
            TraceLakeError: It did not start, or made no call in time.
        """
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._error is not None:
                raise TraceLakeError(f"the demo did not start: {self._error}") from self._error
            if self._run is not None and self._is_recorded(self._run.run_id):
                return self._run.run_id
            time.sleep(_POLL_S)
        raise TraceLakeError("the demo started but nothing was recorded: see Settings for health")

    def stop(self) -> None:
        """End the program and what serves it."""
        if self._run is not None and self._run.process.poll() is None:
            self._run.process.terminate()
        if self._thread.is_alive():
            self._thread.join()

    def _is_recorded(self, trace_id: str) -> bool:
        try:
            self._lake.trace(trace_id)
        except NotInLake:
            return False
        return True

    def _record(self) -> None:
        try:
            with running_demo(self._lake, self._collector, output=subprocess.DEVNULL) as run:
                self._run = run
                run.process.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever waits in `start`
            self._error = error
            _LOG.debug("the demo failed", exc_info=True)


class Demos:
    """Every demo that this process started."""

    def __init__(self) -> None:
        self._running: list[Demo] = []

    def start(self, lake: Lake, collector: Collector) -> str:
        """Start one more; returns its trace id.

        Raises:
            TraceLakeError: It did not start.
        """
        demo = Demo(lake, collector)
        self._running.append(demo)
        return demo.start()

    def stop(self) -> None:
        """End them all."""
        for demo in self._running:
            demo.stop()
        self._running.clear()
