"""Forks that pages start, watch and compare; they end with the app.

Invariant: a fork is kept by its run id for the whole process, so that any session sees it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import conversations, data, service
from tracelake.errors import TraceLakeError
from tracelake.ingest import collector
from tracelake.ingest.recover import exchange_of_row
from tracelake.replay.answer import calls_in, read_whole, with_text
from tracelake.replay.checkpoints import Checkpoint, checkpoints_of
from tracelake.replay.checkpoints import remove_checkpoint as drop_checkpoint
from tracelake.replay.checkpoints import set_checkpoint as keep_checkpoint
from tracelake.replay.compare import Comparison, pair_diff
from tracelake.replay.conversation import body_of
from tracelake.replay.fork import Fork, ForkState, forks_of, start_fork
from tracelake.replay.plan import ForkPlan, ForkRequest, plan_fork
from tracelake.replay.recording import is_incomplete
from tracelake.replay.session import Edit
from tracelake.replay.sides import compare_sides, read_side
from tracelake.replay.source import call_to_fork, edit_of, find_run, spans_of
from tracelake.replay.tool_result import with_result
from tracelake.wire import read_request
from tracelake.wire.decode import decode_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.playground.compare import Chunk
    from tracelake.replay.record import RunRecord

_running: dict[str, Fork] = {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What can be edited of a recorded call.

    Attributes:
        text: Its answer, or a tool's result, as text.
        answer: Its answer as the provider's whole body, JSON text; empty where that is not known.
        request: What was asked, JSON text; empty for a tool.
    """

    text: str
    answer: str
    request: str

    @property
    def calls(self) -> list[str]:
        """Names of the tools that the answer calls."""
        return calls_in(json.loads(self.answer)) if self.answer else []

    def saying(self, text: str) -> str:
        """The answer as a whole body that says this and calls what it called, JSON text."""
        return _pretty(with_text(json.loads(self.answer), text))


def plan(request: ForkRequest) -> ForkPlan:
    """What a fork would do.

    Raises:
        TraceLakeError: It cannot be done; the message says why.
    """
    return plan_fork(service.lake(), request)


def start(planned: ForkPlan) -> Fork:
    """Start a fork.

    Raises:
        TraceLakeError: No collector runs and none could be started.
    """
    found = collector.find_running(service.location()) or service.running_collector()
    fork = start_fork(service.lake(), planned, found)
    _running[fork.run_id] = fork
    return fork


def state_of(run_id: str) -> ForkState | None:
    """How far a fork is: live where this process started it, else as its record tells."""
    if (fork := _running.get(run_id)) is not None:
        return fork.state
    if (conversation := conversations.running(run_id)) is not None:
        return conversation.state
    record = next((one for one in forks_of(service.lake()) if one.run_id == run_id), None)
    return None if record is None else _state(record)


def _state(record: RunRecord) -> ForkState:
    fork = record.fork or {}
    return ForkState(
        record.run_id,
        status=fork.get("status") or "running",
        counts=fork.get("counts") or {},
        calls=fork.get("calls") or [],
        tools_asked=fork.get("tools_asked") or {},
        result=fork,
        cwd=record.cwd,
    )


def origin_of(run_id: str) -> str | None:
    """The trace that a fork repeats."""
    record = next((one for one in forks_of(service.lake()) if one.run_id == run_id), None)
    if record is not None:
        return (record.fork or {}).get("trace_id")
    fork = _running.get(run_id) or conversations.running(run_id)
    if isinstance(fork, Fork):
        return fork.plan.request.trace_id
    return fork.trace_id if fork else None


def family(trace_id: str) -> list[RunRecord]:
    """The forks of a trace, forks of its forks included, oldest first."""
    records = forks_of(service.lake())
    known = {trace_id}
    found: list[RunRecord] = []
    for record in records:
        if (record.fork or {}).get("trace_id") in known:
            known.add(record.run_id)
            found.append(record)
    return found


def calls_recorded(run_id: str) -> int | None:
    """How many calls the recording of a fork holds, where this process started it."""
    fork = _running.get(run_id)
    return fork.plan.calls_recorded if fork else None


def cancellation(run_id: str) -> Callable[[], None] | None:
    """What cancels a fork that this process started, None for another's."""
    fork = _running.get(run_id) or conversations.running(run_id)
    return None if fork is None else fork.cancel


def steps(trace_id: str) -> list[dict[str, Any]]:
    """The steps of a trace that can be edited, in start order: answered calls and told results."""
    spans = spans_of(service.lake(), trace_id)
    return [
        span
        for span in spans
        if (span["kind"] == "llm" and span["status"] in {"ok", "error"})
        or (span["kind"] == "tool" and _is_told(spans, span))
    ]


def _is_told(spans: list[dict[str, Any]], tool: dict[str, Any]) -> bool:
    """Whether its agent went on after a tool, so that a model can have been given the result."""
    return tool["result"] is not None and any(
        span["kind"] == "llm"
        and span["parent_id"] == tool["parent_id"]
        and span["start_time"] >= tool["start_time"]
        for span in spans
    )


def is_tool(trace_id: str, span_id: str) -> bool:
    """Whether a span is a tool."""
    spans = spans_of(service.lake(), trace_id)
    return any(one["span_id"] == span_id and one["kind"] == "tool" for one in spans)


def has_command(trace_id: str) -> bool:
    """Whether the program of a trace can be launched again."""
    record = find_run(service.lake(), trace_id)
    return record is not None and bool(record.command)


def converse(trace_id: str, span_id: str, edit: Edit, tools_path: str) -> str:
    """Start a conversation replay; its id.

    Raises:
        TraceLakeError: It cannot be done; the message says why.
    """
    spans = spans_of(service.lake(), trace_id)
    edit = edit_of(spans, span_id, edit) or edit
    call = call_to_fork(spans, span_id)
    if edit.result_text is not None:
        asked = body_of(next(span for span in spans if span["span_id"] == call))
        body = with_result(
            asked, call_id=edit.result_of, before=edit.result_before, text=edit.result_text
        )
        edit = Edit(request_body=body)
    return conversations.start(trace_id, call, edit, tools_path).run_id


def resolve(trace_id: str, span_id: str) -> str | None:
    """The step that forking a span edits: itself, or an agent's last answer; None without one."""
    spans = spans_of(service.lake(), trace_id)
    kind = next((one["kind"] for one in spans if one["span_id"] == span_id), None)
    if kind in {"llm", "tool"}:
        return span_id
    try:
        return call_to_fork(spans, span_id)
    except TraceLakeError:
        return None


def recorded(trace_id: str, span_id: str) -> Recorded | None:
    """What can be edited of a step; None when the call was recorded without its messages.

    Of a call that came through the relay it is what was on the wire, else what its span holds.
    """
    return _recorded(trace_id, span_id, data.snapshot_id())


def compared(before: str, after: str) -> Comparison | None:
    """Two traces side by side; None while one of them has no spans."""
    sides = [read_side(service.lake(), one) for one in (before, after)]
    return compare_sides(sides[0], sides[1]) if sides[0] and sides[1] else None


def pair(comparison: Comparison, before: str | None, after: str | None) -> dict[str, list[Chunk]]:
    """Differences by words of two spans of a comparison."""
    traces = (comparison.before_trace, comparison.after_trace)
    sides = [spans_by_id(trace) for trace in traces]
    return pair_diff(sides[0].get(before or ""), sides[1].get(after or ""))


def spans_by_id(trace_id: str) -> dict[str, dict[str, Any]]:
    """The spans of a trace by id, in start order."""
    side = read_side(service.lake(), trace_id)
    return side.by_id if side else {}


def checkpoints(trace_id: str) -> list[Checkpoint]:
    """The named checkpoints of a trace, oldest first."""
    return checkpoints_of(service.lake(), trace_id)


def checkpoints_by_span(trace_id: str) -> dict[str, list[dict[str, Any]]]:
    """The named checkpoints of a trace by span, as JSON."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in checkpoints(trace_id):
        found.setdefault(one.span_id, []).append(one.to_json())
    return found


def set_checkpoint(trace_id: str, span_id: str, name: str, edit: Edit | None) -> Checkpoint:
    """Name a place to fork from.

    Raises:
        TraceLakeError: It cannot be forked, or the name does not do.
    """
    return keep_checkpoint(service.lake(), trace_id, span_id, name, edit)


def remove_checkpoint(checkpoint: Checkpoint) -> None:
    """Take a checkpoint back."""
    drop_checkpoint(service.lake(), checkpoint.checkpoint_id, checkpoint.trace_id)


def log_of(run_id: str) -> str:
    """What the program of a fork printed, its last 20 kB."""
    path = service.lake().hot.parent / "forks" / run_id / "output.log"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 20_000))
        return file.read().decode("utf-8", "replace")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@st.cache_data(max_entries=32, show_spinner=False)
def _recorded(trace_id: str, span_id: str, snapshot: str) -> Recorded | None:
    del snapshot
    span = next(s for s in spans_of(service.lake(), trace_id) if s["span_id"] == span_id)
    if span["kind"] == "tool":
        return Recorded(text=str(span["result"] or ""), answer="", request="")
    rows = (
        service.lake()
        .exchanges()
        .filter(trace_id=trace_id, span_id=span_id)
        .collect()
        .rows(named=True)
    )
    exchange = exchange_of_row(rows[0]) if rows else None
    request = read_request(exchange) if exchange is not None else None
    said = str(span["response"] or "")
    if exchange is None or request is None or is_incomplete(exchange):
        try:
            return Recorded(text=said, answer="", request=_pretty(body_of(span)))
        except TraceLakeError:
            return None
    body = decode_body(exchange.request_body, exchange.header("content-encoding"))
    whole = _pretty(read_whole(exchange, request.api))
    return Recorded(text=said, answer=whole, request=_pretty(json.loads(body)))
