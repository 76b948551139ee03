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
    from collections.abc import Callable

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.recorded import RecordedRun

_LOG = logging.getLogger("tracelake.app")
START_TIMEOUT_S = 40.0
_POLL_S = 0.05


class Demo:
    """One run of the demo program, from now on."""

    def __init__(self, lake: Lake, find_collector: Callable[[], Collector]) -> None:
        self._lake = lake
        self._find_collector = find_collector
        self._run: RecordedRun | None = None
        self._error: Exception | None = None
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._record, name="tracelake-demo", daemon=True)
        self._thread.start()

    def wait(self) -> str:
        """Its trace id, once the first span can be read.

        Raises:
            TraceLakeError: It did not start, or made no call in time.
        """
        while time.monotonic() < self._began + START_TIMEOUT_S:
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
            collector = self._find_collector()
            with running_demo(self._lake, collector, output=subprocess.DEVNULL) as run:
                self._run = run
                run.process.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever waits in `start`
            self._error = error
            _LOG.debug("the demo failed", exc_info=True)


class Demos:
    """Every demo that this process started."""

    def __init__(self) -> None:
        self._running: list[Demo] = []

    def start(self, lake: Lake, find_collector: Callable[[], Collector]) -> Demo:
        """Start one more; returns at once.

        Args:
            lake: That it is recorded into.
            find_collector: Gives what records it, started if need be.
        """
        demo = Demo(lake, find_collector)
        self._running.append(demo)
        return demo

    def stop(self) -> None:
        """End them all."""
        for demo in self._running:
            demo.stop()
        self._running.clear()
