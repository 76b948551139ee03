"""Plan a fork: what will run again, where, with which tools, and what cannot be as it was.

    plan = plan_fork(lake, ForkRequest(trace_id, span_id, Edit(response_text="…")))

Planning only reads: the lake, the recorded directory and the environment.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tracelake.errors import ConfigError, NotInLake
from tracelake.model import new_id
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
    from tracelake.lake import Lake
    from tracelake.replay.record import RunRecord
    from tracelake.replay.recording import Recording
    from tracelake.replay.session import Edit


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
