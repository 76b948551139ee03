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
from tracelake.replay.session import Edit
from tracelake.replay.tool_result import with_result

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
    found = lake.answer(lambda: lake.exchanges().filter(trace_id=trace_id).collect())
    rows = found.rows(named=True)
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
    rows = lake.answer(lambda: lake.traces().filter(trace_id=trace_id).select("run_id").collect())
    run_id = (rows[0, 0] if rows.height else None) or trace_id
    runs = lake.answer(lambda: lake.records("runs").filter(run_id=run_id).collect())
    found = runs.rows(named=True)
    return RunRecord.from_row(found[0]) if found else None


def find_record(lake: Lake, wanted: str) -> RunRecord:
    """The record of a run, by its id, that of its trace, or the beginning of its id.

    Raises:
        NotInLake: There is none, or several begin so.
    """
    runs = lake.answer(lambda: lake.records("runs").select("run_id").collect())
    ids: list[str] = runs["run_id"].to_list()
    found = [one for one in ids if one == wanted] or [one for one in ids if one.startswith(wanted)]
    record = find_run(lake, found[0] if len(found) == 1 else wanted)
    if record is None:
        problem = "several recorded runs begin with" if found else "no recorded run"
        raise NotInLake(f"{problem} {wanted!r}: `tracelake run --list` lists them")
    return record


def find_trace_of(lake: Lake, span_id: str, trace_id: str | None = None) -> str:
    """The trace of a span.

    Raises:
        NotInLake: There is no such span.
        ConfigError: Several traces have a span of that id and none was named.
    """
    wanted = (
        {"span_id": span_id} if trace_id is None else {"span_id": span_id, "trace_id": trace_id}
    )
    rows = lake.answer(lambda: lake.spans().filter(**wanted).select("trace_id").unique().collect())
    found = rows["trace_id"].to_list()
    if not found:
        raise NotInLake(f"no span {span_id!r} in this lake: `tracelake show TRACE --json` has them")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} traces have a span {span_id!r}: name one with --trace")
    return str(found[0])


def call_to_fork(spans: list[dict[str, Any]], span_id: str) -> str:
    """The model call that an edit of a span changes.

    Itself; of an agent its last answer; of a tool the next call of its agent, which carries the
    tool's result.

    Raises:
        NotInLake: There is no such span.
        ConfigError: There is no such call.
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
    if span["kind"] == "tool":
        if (call := _call_with_result(spans, span)) is not None:
            return call
        raise ConfigError(
            "no model call was given the result of this tool: choose a call that follows it"
        )
    raise ConfigError(
        f"a {span['kind']} span cannot be forked: choose a model call, a tool to edit its result, "
        "or an agent to edit its last answer"
    )


def edit_of(spans: list[dict[str, Any]], span_id: str, edit: Edit | None) -> Edit | None:
    """An edit as the call that it changes is to take it: what a tool answers is its result.

    Raises:
        ConfigError: A request is to be sent for a tool, which sends none.
    """
    span = next((one for one in spans if one["span_id"] == span_id), None)
    if edit is None or edit.result_text is not None or span is None or span["kind"] != "tool":
        return edit
    if edit.request_body is not None:
        raise ConfigError("a tool sends no request: edit its result")
    text = edit.response_text
    if edit.response_body is not None:
        text = json.dumps(edit.response_body, ensure_ascii=False)
    return Edit(
        result_text=text or "",
        result_of=span["tool_call_id"],
        result_before=str(span["result"] or span["error"] or ""),
    )


def _call_with_result(spans: list[dict[str, Any]], tool: dict[str, Any]) -> str | None:
    """The first call that was given a tool's result; those of its own agent are asked first."""
    later = [s for s in spans if s["kind"] == "llm" and s["start_time"] >= tool["start_time"]]
    later.sort(key=lambda s: (s["parent_id"] != tool["parent_id"], s["start_time"]))
    before = str(tool["result"] or tool["error"] or "")
    for span in later:
        said = {"messages": json.loads(span["messages"] or "null")}
        if with_result(said, call_id=tool["tool_call_id"], before=before, text="") is not None:
            return str(span["span_id"])
    return None


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
