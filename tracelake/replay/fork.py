"""Rerun from here: start a planned fork, watch it, cancel it, and read it again later.

    plan = plan_fork(lake, ForkRequest(trace_id, span_id, Edit(response_text="…")))
    fork = start_fork(lake, plan, collector)
    for event in fork.events(): …          or poll fork.state
    fork.cancel(); fork.wait()

The work is done by a process of its own (`tracelake.replay.runner`), which ends when this one does.

Invariants:
- The original trace is only read; the recorded directory too, unless `in_place` was asked for.
- Each fork has its own process, port, working copy and run id: two at once share nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tracelake.model import utc_now
from tracelake.replay.record import RunRecord
from tracelake.replay.runner import Specification
from tracelake.replay.shown import mark_cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.plan import ForkPlan

Status = Literal["starting", "running", "ok", "error", "cancelled", "refused", "stopped", "failed"]
ENDED: frozenset[str] = frozenset({"ok", "error", "cancelled", "refused", "stopped", "failed"})
_CANCEL_TIMEOUT_S = 20.0


@dataclass(slots=True)
class ForkState:
    """How far a fork is; replaced as a whole at each event, so it can be read at any time.

    Attributes:
        counts: Calls by outcome (match level, edited, live, refused).
        calls: The calls in order, as `session.Served` as JSON.
        tools_asked: How often a tool's recorded result was asked for, by name and outcome.
        result: What `ended` told: files, tools, unused recordings.
    """

    run_id: str
    status: Status = "starting"
    counts: dict[str, int] = field(default_factory=dict[str, int])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tools_asked: dict[str, int] = field(default_factory=dict[str, int])
    result: dict[str, Any] = field(default_factory=dict[str, Any])
    cwd: str | None = None
    pid: int | None = None
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED


class Fork:
    """A fork that this process started."""

    def __init__(self, lake: Lake, plan: ForkPlan, process: subprocess.Popen[str]) -> None:
        self.plan = plan
        self.state = ForkState(plan.run_id)
        self._lake = lake
        self._process = process
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._is_read = False
        threading.Thread(target=self._read, name="fork progress", daemon=True).start()

    @property
    def run_id(self) -> str:
        """Id of the fork, of its run and its trace."""
        return self.plan.run_id

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event so far and to come, until the fork is over."""
        at = 0
        while True:
            with self._changed:
                while at >= len(self._events) and not self._is_read:
                    self._changed.wait()
                if at >= len(self._events):
                    return
                event = self._events[at]
            at += 1
            yield event

    def cancel(self) -> None:
        """End the program and everything it started; the fork is marked cancelled."""
        try:
            if self._process.stdin and not self.state.is_over:
                self._process.stdin.write("cancel\n")
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # it is over already

    def wait(self, timeout_s: float | None = None) -> ForkState:
        """Wait for the end.

        Raises:
            TimeoutError: It goes on for longer than that.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_read, timeout_s):
                raise TimeoutError(f"fork {self.run_id} still runs after {timeout_s} s")
        return self.state

    def wait_up_to(self, timeout_s: float) -> ForkState:
        """Wait for the end, or for this long; how far it is then."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_read, timeout_s)
        return self.state

    def close(self) -> None:
        """Cancel it if it still runs, and wait until nothing of it does."""
        self.cancel()
        self.wait(_CANCEL_TIMEOUT_S)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            event = json.loads(line)
            with self._changed:
                self.state = _advance(self.state, event)
                self._events.append(event)
                self._changed.notify_all()
        code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        if not self.state.is_over:
            mark_fork_cancelled(self._lake, self.run_id)
        with self._changed:
            if not self.state.is_over:
                reason = f"the process of the fork ended with exit code {code}"
                self.state = replace(self.state, status="cancelled", error=reason)
            self._is_read = True
            self._changed.notify_all()


def start_fork(lake: Lake, plan: ForkPlan, collector: Collector) -> Fork:
    """Start a fork; it runs in a process of its own and ends when this one does."""
    request = plan.request
    specification = Specification(
        tables=lake.location.tables,
        hot=str(lake.hot.absolute()),
        relay=collector.state.relay,
        secret=collector.state.secret,
        trace_id=request.trace_id,
        run_id=plan.run_id,
        span_id=request.span_id,
        edit=None if request.edit is None else asdict(request.edit),
        allow_live=request.allow_live,
        pace=request.pace,
        fuzzy=request.fuzzy,
        copy=plan.copy.kind,
        output=request.output,
        offline_pace=request.offline_pace,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tracelake.replay.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a Ctrl+C at the terminal is for us; we then tell the fork
        start_new_session=True,
    )
    if process.stdin:
        process.stdin.write(specification.to_json() + "\n")
        process.stdin.flush()
    return Fork(lake, plan, process)


def _advance(state: ForkState, event: dict[str, Any]) -> ForkState:
    kind = event["event"]
    if kind == "started":
        return replace(state, status="running", cwd=event["cwd"], pid=event["pid"])
    if kind == "call":
        served = {k: v for k, v in event.items() if k not in {"event", "counts"}}
        return replace(state, counts=event["counts"], calls=[*state.calls, served])
    if kind == "tool":
        key = f"{event['name']} {event['outcome']}"
        asked = {**state.tools_asked, key: state.tools_asked.get(key, 0) + 1}
        return replace(state, tools_asked=asked)
    if kind == "ended":
        result = {k: v for k, v in event.items() if k not in {"event", "run_id"}}
        return replace(state, status=event["status"], counts=event["counts"], result=result)
    if kind == "failed":
        return replace(state, status="failed", error=event["error"])
    return state


def forks_of(lake: Lake, trace_id: str | None = None) -> list[RunRecord]:
    """The forks of a trace (of all traces when None), oldest first.

    A fork whose process is gone without having told its end counts as cancelled.
    """
    rows = lake.answer(lambda: lake.records("runs").collect()).rows(named=True)
    records = [RunRecord.from_row(row) for row in rows if row.get("fork")]
    return [
        _settled(record)
        for record in records
        if trace_id is None or (record.fork or {}).get("trace_id") == trace_id
    ]


def _settled(record: RunRecord) -> RunRecord:
    fork = record.fork or {}
    if record.end_time is not None or _is_alive(fork.get("runner_pid")):
        return record
    return replace(record, fork={**fork, "status": "cancelled"})


def _is_alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (OSError, TypeError, ValueError):
        return False
    return True


def mark_fork_cancelled(lake: Lake, run_id: str) -> None:
    """Write down that a fork whose process died was cancelled; nothing when it told its end."""
    runs = lake.answer(lambda: lake.records("runs").filter(run_id=run_id).collect())
    rows = runs.rows(named=True)
    if rows and rows[0]["end_time"] is None:
        record = RunRecord.from_row(rows[0])
        fork = {**(record.fork or {}), "status": "cancelled"}
        lake.write("runs", [replace(record, end_time=utc_now(), fork=fork).to_row()])
    mark_cancelled(lake, run_id)
