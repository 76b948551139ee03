"""What a fork needs of the lake: the recording of a trace, its run, its spans."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError, NotInLake
from tracelake.ingest.recover import exchange_of_row
from tracelake.replay.record import RunRecord
from tracelake.replay.recording import Recording

if TYPE_CHECKING:
    from tracelake.lake import Lake

OFFLINE_HEADER = "x-tracelake-offline"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that a trace called.

    Attributes:
        calls: How often.
        is_delegation: Another agent does the work; the tool itself touches nothing.
    """

    name: str
    calls: int
    is_delegation: bool

    def to_json(self) -> dict[str, Any]:
        """As it is stored with the fork."""
        return {"name": self.name, "calls": self.calls, "is_delegation": self.is_delegation}


def read_recording(lake: Lake, trace_id: str) -> Recording:
    """The recorded calls of a trace.

    Raises:
        NotInLake: The lake holds no exchanges of that trace.
    """
    rows = lake.exchanges().filter(trace_id=trace_id).collect().rows(named=True)
    if not rows:
        raise NotInLake(
            f"trace {trace_id} has no recorded exchanges: only traces that came through the relay "
            "can be run again"
        )
    threads = {
        str(row["span_id"]): str(thread)
        for row in spans_of(lake, trace_id)
        if (thread := json.loads(row["attributes"] or "{}").get("thread"))
    }
    return Recording(trace_id, [exchange_of_row(row) for row in rows], threads=threads)


def spans_of(lake: Lake, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace in start order; empty when there is none."""
    try:
        return lake.trace(trace_id).rows(named=True)
    except NotInLake:
        return []


def find_run(lake: Lake, trace_id: str) -> RunRecord | None:
    """The recorded run of a trace, or None."""
    rows = lake.traces().filter(trace_id=trace_id).select("run_id").collect().rows()
    run_id = (rows[0][0] if rows else None) or trace_id
    found = lake.records("runs").filter(run_id=run_id).collect().rows(named=True)
    return RunRecord.from_row(found[0]) if found else None


def find_trace_of(lake: Lake, span_id: str, trace_id: str | None = None) -> str:
    """The trace of a span.

    Raises:
        NotInLake: There is no such span.
        ConfigError: Several traces have a span of that id and none was named.
    """
    spans = lake.spans().filter(span_id=span_id)
    if trace_id is not None:
        spans = spans.filter(trace_id=trace_id)
    found = spans.select("trace_id").unique().collect()["trace_id"].to_list()
    if not found:
        raise NotInLake(f"no span {span_id!r} in this lake: `tracelake show TRACE --json` has them")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} traces have a span {span_id!r}: name one with --trace")
    return str(found[0])


def call_to_fork(spans: list[dict[str, Any]], span_id: str) -> str:
    """The model call that an edit of a span changes: itself, or an agent's last answer.

    Raises:
        NotInLake: There is no such span.
        ConfigError: The span is neither a model call nor an agent with one.
    """
    span = next((one for one in spans if one["span_id"] == span_id), None)
    if span is None:
        raise NotInLake(f"no span {span_id!r} in this trace")
    if span["kind"] == "llm":
        return span_id
    if span["kind"] == "agent":
        own = [s for s in spans if s["kind"] == "llm" and s["parent_id"] == span_id]
        own = [s for s in own if not s["auxiliary"]]
        if own:
            return str(max(own, key=lambda s: s["end_time"] or s["start_time"])["span_id"])
    raise ConfigError(
        f"a {span['kind']} span cannot be forked: choose a model call, or an agent to edit its "
        "last answer"
    )


def tools_of(spans: list[dict[str, Any]]) -> list[ToolUse]:
    """The tools that a trace called, most called first."""
    delegating = {span["parent_id"] for span in spans if span["kind"] == "agent"}
    calls: Counter[str] = Counter()
    delegations: set[str] = set()
    for span in spans:
        if span["kind"] == "tool":
            name = str(span["tool_name"] or span["name"])
            calls[name] += 1
            if span["span_id"] in delegating:
                delegations.add(name)
    return [ToolUse(name, count, name in delegations) for name, count in calls.most_common()]


def is_offline(recording: Recording) -> bool:
    """Whether the recorded answers came from the offline provider."""
    answers = (one.exchange for one in recording.calls if one.is_call)
    return any(exchange.response_header(OFFLINE_HEADER) == "1" for exchange in answers)
