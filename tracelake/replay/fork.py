"""Rerun from here: plan a fork, start it, watch it, cancel it, and read it again later.

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

from tracelake.errors import ConfigError, NotInLake
from tracelake.model import new_id, utc_now
from tracelake.replay.record import RunRecord
from tracelake.replay.runner import Specification
from tracelake.replay.shown import mark_cancelled
from tracelake.replay.source import (
    ToolUse,
    call_to_fork,
    edit_of,
    find_run,
    is_offline,
    read_recording,
    spans_of,
    tools_of,
)
from tracelake.replay.tools import read_tool_calls
from tracelake.replay.workcopy import CopyKind, CopyPlan, plan_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.recording import Recording
    from tracelake.replay.session import Edit

Status = Literal["starting", "running", "ok", "error", "cancelled", "refused", "stopped", "failed"]
ENDED: frozenset[str] = frozenset({"ok", "error", "cancelled", "refused", "stopped", "failed"})
_CANCEL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """What is to be run again.

    Attributes:
        trace_id: The original.
        span_id: Where to fork: a model call, an agent for its last answer, or a tool for its
            result; None replays all.
        edit: What is changed there.
        allow_live: Calls without a recording go to the provider; else the replay ends there.
        copy: How to make the working directory; None chooses.
        pace: As fast as possible, or as the answers came when recorded.
        output: The program's output goes to a file (`log`) or to our standard error.
    """

    trace_id: str
    span_id: str | None = None
    edit: Edit | None = None
    allow_live: bool = True
    copy: CopyKind | None = None
    pace: Literal["fastest", "recorded"] = "fastest"
    fuzzy: bool = True
    output: Literal["log", "stderr"] = "log"
    offline_pace: float = 0.3


@dataclass(frozen=True, slots=True)
class ForkPlan:
    """What a fork will do, to be shown before it starts.

    Attributes:
        request: With the span resolved to a model call.
        run_id: Id of the fork, of its run and its trace.
        record: The recorded run.
        tools: What the original called: the program will run these again for real.
        tools_kept: In-process tools that do not run again: their recorded results are given.
        is_offline: Whether the offline provider answered, which then answers live calls too.
        calls_recorded: Model calls that can be answered from the recording.
        calls_after: Those of them that began after the forked call had ended: only these can be
            changed by its edit. 0 where nothing is forked.
        warnings: What will not be as it was.
    """

    request: ForkRequest
    run_id: str
    record: RunRecord
    copy: CopyPlan
    tools: tuple[ToolUse, ...]
    calls_recorded: int
    warnings: tuple[str, ...]
    tools_kept: tuple[str, ...] = ()
    is_offline: bool = False
    calls_after: int = 0

    @property
    def tools_again(self) -> list[ToolUse]:
        """The tools that really run again: those that neither delegate nor are given."""
        kept = set(self.tools_kept)
        return [tool for tool in self.tools if not tool.is_delegation and tool.name not in kept]

    def to_json(self) -> dict[str, Any]:
        """For the command line and the HTTP API."""
        return {
            "run_id": self.run_id,
            "trace_id": self.request.trace_id,
            "span_id": self.request.span_id,
            "command": list(self.record.command),
            "copy": self.copy.kind,
            "why": self.copy.why,
            "cwd": str(self.copy.cwd),
            "tools": [tool.to_json() for tool in self.tools],
            "tools_kept": list(self.tools_kept),
            "calls_recorded": self.calls_recorded,
            "calls_after": self.calls_after,
            "warnings": list(self.warnings),
        }


def plan_fork(lake: Lake, request: ForkRequest) -> ForkPlan:
    """Find out what a fork would do, without doing any of it.

    Raises:
        NotInLake: No such trace or span, or the trace has no recorded exchanges.
        ConfigError: It has no recorded command, the span cannot be forked, or its directory is
            gone.
    """
    spans = spans_of(lake, request.trace_id)
    if not spans:
        raise NotInLake(f"no trace {request.trace_id!r} in this lake: `tracelake ls` lists them")
    recording = read_recording(lake, request.trace_id)
    after = 0
    if request.span_id is not None:
        edit = edit_of(spans, request.span_id, request.edit)
        request = replace(request, span_id=call_to_fork(spans, request.span_id), edit=edit)
        forked = recording.find(str(request.span_id))
        if forked is None:
            raise ConfigError(_no_answer(recording, str(request.span_id)))
        after = sum(
            one.is_call and one.exchange.start_time >= forked.end_time for one in recording.calls
        )
    record = find_run(lake, request.trace_id)
    if record is None or not record.command:
        raise ConfigError(
            "no command is recorded with this trace: start programs with `tracelake run -- CMD` "
            "to run them again, or replay the conversation alone with --conversation"
        )
    record.check_command()
    run_id = new_id()
    target = lake.hot.parent / "forks" / run_id / "work"
    copy = plan_copy(record, target, request.copy)
    tools = tuple(tools_of(spans))
    calls = sum(one.is_call for one in recording.calls)
    warnings = (*copy.warnings, *_command_warnings(record, copy))
    warnings += recording.describe_incomplete()
    offline = is_offline(recording)
    if request.allow_live and not offline:
        warnings += tuple(_key_warnings(record))
    kept = tuple(
        dict.fromkeys(one.name for one in read_tool_calls(lake, record, recording.trace_id))
    )
    return ForkPlan(request, run_id, record, copy, tools, calls, warnings, kept, offline, after)


def _no_answer(recording: Recording, span_id: str) -> str:
    if any(one.span_id == span_id for one in recording.incomplete):
        return "the chosen call broke off before its request was sent whole: fork another one"
    return "the chosen call has no recorded answer: fork an earlier one"


def _command_warnings(record: RunRecord, copy: CopyPlan) -> list[str]:
    """Folders that the command names and that lie outside the copy."""
    if copy.kind == "in_place":
        return []
    return [
        f"the command names {word}, which is not part of the copy: the program may change it"
        for word in record.command[1:]
        if os.path.isabs(word)  # noqa: PTH117 - a word, not yet a path
        and os.path.isdir(word)  # noqa: PTH112
        and not any(word == old or word.startswith(old + os.sep) for old in copy.paths)
    ]


def _key_warnings(record: RunRecord) -> list[str]:
    missing = [name for name in record.environment.get("left_out") or [] if name not in os.environ]
    if not missing:
        return []
    return [f"not recorded and not set here: {', '.join(missing)}; live calls may need them"]


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
