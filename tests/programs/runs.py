"""Runs programs as processes against a relay and reads back what was recorded of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.programs.trees import label
from tests.support import eventually
from tracelake.ingest.collector import base_urls
from tracelake.storage.fold import fold_event
from tracelake.storage.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAMS = Path(__file__).parent
RUN_TIMEOUT_S = 180.0
#: No keys, and nothing that phones home: LangSmith, the tracing of openai-agents.
OFFLINE = {
    "ANTHROPIC_API_KEY": "offline",
    "OPENAI_API_KEY": "offline",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
}


def environment(relay: str, run_id: str | None = None) -> dict[str, str]:
    """This process's environment, pointed at a relay and maybe at one run of it."""
    urls = base_urls(relay, run_id=run_id)
    return {
        **os.environ,
        **OFFLINE,
        "ANTHROPIC_BASE_URL": urls["anthropic_base_url"],
        "OPENAI_BASE_URL": urls["openai_base_url"],
    }


class Run:
    """One program, running."""

    def __init__(self, command: Sequence[str], *, relay: str, run_id: str | None = None) -> None:
        self.run_id = run_id
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROGRAMS,
            env=environment(relay, run_id),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def finish(self) -> str:
        """Wait for its end; what it printed.

        Raises:
            AssertionError: It failed; holds what it printed.
        """
        try:
            self.output, _ = self.process.communicate(timeout=RUN_TIMEOUT_S)
        finally:
            self.stop()
        assert self.process.returncode == 0, self.output
        return self.output

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.is_running:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Recording:
    """The spans of a lake as another process sees them, event by event.

    Args:
        hot: Hot folder of the lake.
        watch: Called after each event with the spans of its trace as they then stand.

    Attributes:
        moved: Spans that were hung elsewhere after they were first told, by span id: the parents.
    """

    def __init__(
        self, hot: Path, watch: Callable[[str, list[dict[str, Any]]], None] | None = None
    ) -> None:
        self._watch = watch
        self._tail = Tail(hot)
        self._spans: dict[tuple[str, str], Any] = {}
        self.moved: dict[str, list[str | None]] = {}

    def wait(self, timeout_s: float = 0.05) -> None:
        """Take what has come, waiting for it a little."""
        self._tail.wait(timeout_s)
        self.take()

    def take(self) -> None:
        """Take what has come."""
        for event in self._tail.poll():
            key = event["trace_id"], event["span_id"]
            known = self._spans.get(key)
            before = dict(known)["parent_id"] if known is not None else None
            span = self._spans[key] = fold_event(known, event)
            if known is not None and span["parent_id"] != before:
                self.moved.setdefault(span["span_id"], [before]).append(span["parent_id"])
            if self._watch is not None:
                self._watch(key[0], self.traces[key[0]])

    @property
    def traces(self) -> dict[str, list[dict[str, Any]]]:
        """Spans by trace id, in order of start."""
        found: dict[str, list[dict[str, Any]]] = {}
        for span in self._spans.values():
            found.setdefault(span["trace_id"], []).append(span)
        for spans in found.values():
            spans.sort(key=lambda span: (span["start_time"], span["span_id"]))
        return found

    def of_process(self, pid: int) -> dict[str, list[dict[str, Any]]]:
        """The traces that hold a call of a process."""
        return {
            trace_id: spans
            for trace_id, spans in self.traces.items()
            if any(client_pid(span) == pid for span in spans)
        }

    def finished(
        self, pid: int, *, calls: int, timeout_s: float = 60.0
    ) -> dict[str, list[dict[str, Any]]]:
        """The traces of a process that has ended, once they hold its calls and all has ended."""

        def is_done() -> bool:
            self.wait()
            spans = [span for trace in self.of_process(pid).values() for span in trace]
            ended = [span for span in spans if span["status"] != "running"]
            made = [span for span in ended if client_pid(span) == pid]
            return len(made) >= calls and len(ended) == len(spans)

        try:
            eventually(is_done, timeout_s=timeout_s)
        except AssertionError as error:
            found = [
                (label(span), client_pid(span))
                for trace in self.of_process(pid).values()
                for span in trace
            ]
            raise AssertionError(f"{calls} calls and their spans did not end: {found}") from error
        return self.of_process(pid)

    def close(self) -> None:
        """Stop following."""
        self._tail.close()


def client_pid(span: dict[str, Any]) -> int | None:
    """The process that made a call, None for spans that are no calls."""
    attributes = span["attributes"]
    read = json.loads(attributes) if isinstance(attributes, str) else attributes or {}
    return read.get("client_pid")
