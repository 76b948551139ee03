"""The process of one fork: control proxy, working copy, program; ends with whoever started it.

    python -m tracelake.replay.runner < specification

The first line of standard input is a `Specification` as JSON; a later line `cancel`, or the end of
the input, cancels the fork. Standard output carries one JSON object a line: `started`, `call`
(one a call), `ended` or `failed`.

Invariant: when this process ends, however suddenly, nothing that it started goes on (`guard`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelake import recall
from tracelake.config import Location
from tracelake.control import ControlServer
from tracelake.errors import LakeError, TraceLakeError
from tracelake.ingest.collector import Collector, State
from tracelake.lake import Lake
from tracelake.model import utc_now
from tracelake.replay import guard, launch, tree
from tracelake.replay.offline import live_urls
from tracelake.replay.record import RunRecord, capture_run
from tracelake.replay.recorded import settle
from tracelake.replay.session import Edit, Options, ReplaySession, Served
from tracelake.replay.shown import edited_request, mark_cancelled, tell, tell_result
from tracelake.replay.source import find_run, read_recording, spans_of, tools_of
from tracelake.replay.tools import RecordedTools, read_tool_calls
from tracelake.replay.workcopy import CopyPlan, make_copy, plan_copy

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.replay.recording import Recording
    from tracelake.replay.workcopy import CopyKind

log = logging.getLogger("tracelake.replay")

#: After a refused call the program has this long to end by itself.
REFUSED_GRACE_S = 5.0
CANCELLED_SETTLE_S = 5.0
#: Exit codes of a program that somebody interrupted, hung up on, killed or terminated.
_ENDED_FROM_OUTSIDE = frozenset(
    128 + number for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL, signal.SIGTERM)
)
#: Stand-ins for keys that the environment lacks: an SDK refuses to start without.
_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
_NO_KEY = "replay-has-no-key"
_STORED_DIFF_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Specification:
    """What a fork is to do.

    Attributes:
        relay: Address of the relay, `secret` its control secret.
        run_id: Id of the fork, of its run and its trace.
        span_id: The forked model call; None replays without an edit.
        output: Where the program's output goes: `log` (a file beside the copy) or `stderr`.
    """

    tables: str
    hot: str
    relay: str
    secret: str
    trace_id: str
    run_id: str
    span_id: str | None = None
    edit: dict[str, Any] | None = None
    allow_live: bool = True
    pace: str = "fastest"
    fuzzy: bool = True
    copy: CopyKind | None = None
    output: str = "log"
    offline_pace: float = 0.3

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @property
    def folder(self) -> Path:
        """Where the fork keeps its working copy and the program's output."""
        return Path(self.hot).parent / "forks" / self.run_id


@dataclass(slots=True)
class _Progress:
    """What is known while the fork runs."""

    session: ReplaySession
    record: RunRecord
    plan: CopyPlan
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tools_asked: Counter[str] = field(default_factory=Counter[str])
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    def tool_asked(self, name: str, outcome: str, span_id: str | None) -> None:
        """The program asked for a tool's recorded result."""
        self.tools_asked[f"{name} {outcome}"] += 1
        _emit({"event": "tool", "name": name, "outcome": outcome, "original_span_id": span_id})


def main() -> int:
    """Run one fork; 0 when it came to its end, whatever that was."""
    specification = Specification(**json.loads(sys.stdin.readline()))
    try:
        return asyncio.run(_fork(specification))
    except TraceLakeError as error:
        _emit({"event": "failed", "run_id": specification.run_id, "error": str(error)})
        return 1


async def _fork(specification: Specification) -> int:
    lake = Lake(Location(specification.tables, Path(specification.hot)))
    collector = Collector(State(0, specification.relay, specification.secret))
    recording = read_recording(lake, specification.trace_id)
    recorded = find_run(lake, specification.trace_id)
    if recorded is None:
        raise LakeError(f"trace {specification.trace_id} has no recorded command to run again")
    plan = plan_copy(recorded, specification.folder / "work", specification.copy)
    make_copy(plan, recorded, leave_out=Path(specification.hot).parent)
    async with live_urls(recording, collector, pace=specification.offline_pace) as urls:
        session = _session(specification, recording, plan, urls, lake)
        environ = environment(recorded)
        command = plan.words(recorded.command)
        record = capture_run(
            command,
            run_id=specification.run_id,
            cwd=plan.cwd,
            environ=environ,
            now=utc_now(),
            name=f"fork of {recorded.name}"[:120],
            forked_from_run_id=recorded.run_id,
        )
        record = replace(record, fork=_description(specification, plan))
        known = await asyncio.to_thread(read_tool_calls, lake, recorded, specification.trace_id)
        progress = _Progress(session, record, plan)
        tools = RecordedTools(known, session, progress.tool_asked)
        _listen(progress)
        async with ControlServer() as server:
            server.serve(specification.run_id, session, tools=tools.answer)
            environ |= launch.lake_environment(lake.location) | {recall.ADDRESS: server.address}
            await asyncio.to_thread(collector.redirect, specification.run_id, server.address)
            try:
                return await _run(specification, lake, progress, command, environ)
            finally:
                with contextlib.suppress(LakeError):  # the relay may be gone: nothing to release
                    await asyncio.to_thread(collector.release, specification.run_id)


def _session(
    specification: Specification,
    recording: Recording,
    plan: CopyPlan,
    urls: dict[str, str],
    lake: Lake,
) -> ReplaySession:
    def report(served: Served) -> None:
        _emit({"event": "call", **asdict(served), "counts": dict(session.counts)})

    def amend(span_id: str, sent: Exchange) -> None:
        if (event := edited_request(specification.run_id, span_id, sent)) is not None:
            tell(lake, event)

    options = Options(
        span_id=specification.span_id,
        edit=None if specification.edit is None else Edit(**specification.edit),
        allow_live=specification.allow_live,
        pace="recorded" if specification.pace == "recorded" else "fastest",
        fuzzy=specification.fuzzy,
        paths=plan.paths,
        live_urls=urls,
    )
    session = ReplaySession(recording, options, report=report, amend=amend)
    return session


async def _run(
    specification: Specification,
    lake: Lake,
    progress: _Progress,
    command: list[str],
    environ: dict[str, str],
) -> int:
    before = await asyncio.to_thread(tree.read_tree, progress.plan.target)
    await asyncio.to_thread(lake.write, "runs", [progress.record.to_row()])
    exit_code = await _program(specification, progress, command, environ)
    status = _status(progress, exit_code)
    timeout_s = CANCELLED_SETTLE_S if status == "cancelled" else 20.0
    await asyncio.to_thread(settle, lake, specification.run_id, timeout_s)
    if status == "cancelled":
        await asyncio.to_thread(mark_cancelled, lake, specification.run_id)
    await asyncio.to_thread(tell_result, lake, specification.run_id, specification.edit or {})
    after = await asyncio.to_thread(tree.read_tree, progress.plan.target)
    session = progress.session
    result = {
        "status": status,
        "exit_code": exit_code,
        "counts": dict(session.counts),
        "all_matched": session.all_matched,
        "unused": [one.span_id for one in session.matcher.unused],
        "refused": None if session.stopped is None else asdict(session.stopped),
        "tools": [tool.to_json() for tool in tools_of(spans_of(lake, specification.run_id))],
        "tools_asked": dict(progress.tools_asked),
        "files": _files(tree.changes(before, after)),
    }
    fork = {**(progress.record.fork or {}), **result, "calls": progress.calls}
    ended = replace(progress.record, end_time=utc_now(), exit_code=exit_code, fork=fork)
    await asyncio.to_thread(lake.write, "runs", [ended.to_row()])
    _emit({"event": "ended", "run_id": specification.run_id, **result})
    return 0


async def _program(
    specification: Specification,
    progress: _Progress,
    command: list[str],
    environ: dict[str, str],
) -> int:
    """Run the program under its guard until it ends or the fork is cancelled; its exit code."""
    words = launch.client_command(command, specification.relay, specification.run_id)
    variables = launch.client_environment(specification.relay, specification.run_id)
    reading, holding = os.pipe()
    specification.folder.mkdir(parents=True, exist_ok=True)
    with (specification.folder / "output.log").open("wb") as output:
        to_stderr = specification.output == "stderr"
        process = await asyncio.create_subprocess_exec(
            *guard.command(reading, words),
            cwd=progress.plan.cwd,
            env={**environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if to_stderr else output,
            stderr=sys.stderr if to_stderr else output,
            pass_fds=(reading,),
            start_new_session=True,
        )
    os.close(reading)
    _emit(
        {
            "event": "started",
            "run_id": specification.run_id,
            "pid": process.pid,
            "command": command,
            "cwd": str(progress.plan.cwd),
        }
    )
    try:
        return await _wait(process, progress)
    finally:
        os.close(holding)  # the guard ends what still runs
        await process.wait()


async def _wait(process: asyncio.subprocess.Process, progress: _Progress) -> int:
    ended = asyncio.ensure_future(process.wait())
    cancelled = asyncio.ensure_future(progress.cancelled.wait())
    refused = asyncio.ensure_future(progress.refused.wait())
    waiting = {ended, cancelled, refused}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if refused.done() and not ended.done() and not cancelled.done():
        await asyncio.wait(
            {ended, cancelled}, timeout=REFUSED_GRACE_S, return_when=asyncio.FIRST_COMPLETED
        )
    if not ended.done():
        process.terminate()
    code = await ended
    cancelled.cancel()
    refused.cancel()
    return code


def _status(progress: _Progress, exit_code: int) -> str:
    if progress.cancelled.is_set() or exit_code in _ENDED_FROM_OUTSIDE:
        return "cancelled"
    if progress.session.stopped is not None:
        return "refused"
    return "ok" if exit_code == 0 else "error"


def _listen(progress: _Progress) -> None:
    """Cancel on a signal, on the line `cancel`, and when whoever holds our input is gone."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, progress.cancelled.set)

    def read() -> None:
        for line in sys.stdin:
            if line.strip() == "cancel":
                break
        with contextlib.suppress(RuntimeError):  # the loop is over: there is nothing to cancel
            loop.call_soon_threadsafe(progress.cancelled.set)

    threading.Thread(target=read, daemon=True).start()
    report = progress.session.report

    def watch(served: Served) -> None:
        progress.calls.append(asdict(served))
        if report is not None:
            report(served)
        if served.outcome == "refused":
            progress.refused.set()

    progress.session.report = watch


def environment(recorded: RunRecord) -> dict[str, str]:
    """The environment of a fork: ours, the recorded variables on top, keys that are missing."""
    environ = recorded.environ(os.environ)
    for name in _KEYS:
        environ.setdefault(name, _NO_KEY)
    return environ


def _description(specification: Specification, plan: CopyPlan) -> dict[str, Any]:
    return {
        "trace_id": specification.trace_id,
        "span_id": specification.span_id,
        "edit": specification.edit,
        "allow_live": specification.allow_live,
        "copy": plan.kind,
        "cwd": str(plan.cwd),
        "paths": plan.paths,
        "status": "running",
        "runner_pid": os.getpid(),
    }


def _files(changed: list[tree.FileChange]) -> list[dict[str, str]]:
    """The changed files, without diffs once they are too long to be stored with the run."""
    left = _STORED_DIFF_CHARS
    files: list[dict[str, str]] = []
    for change in changed:
        left -= len(change.diff)
        files.append((change if left >= 0 else replace(change, diff="")).to_json())
    return files


def _emit(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError, ValueError):  # nobody listens any more
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
