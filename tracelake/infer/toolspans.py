"""Tool spans: opened when an answer asks for a tool, closed when a request carries the result.

The time between is an upper bound of the tool's own: the client's overhead is in it, and tools of
one answer that ran side by side end together.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracelake.infer import events, tree
from tracelake.infer.corrections import (
    link_by_name,
    link_by_result,
    link_by_time,
    link_by_told_id,
    told_by_forks,
)
from tracelake.infer.lifecycle import end_unanswered, settle_children
from tracelake.infer.names import FROM_RESULT, name_from_result
from tracelake.infer.results import Wanted, looks_like_error, pair_plain_results
from tracelake.infer.state import Evidence, ToolCall
from tracelake.model import derived_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tracelake.infer.events import JsonEvent
    from tracelake.infer.state import Call
    from tracelake.wire.call import Atom

_EARLY_KEPT = 500


def parameters_of(arguments: str | None) -> Any:
    """Arguments of a tool call as a JSON value; text that is no JSON is kept as `input`."""
    if not arguments:
        return {}
    try:
        value = json.loads(arguments)
    except ValueError:
        return {"input": arguments}
    return value if isinstance(value, dict | list) else {"input": value}


def open_tools(call: Call, answer: Sequence[Atom]) -> list[JsonEvent]:
    """Open a span for each tool call of an answer; close those the provider answered itself."""
    told: list[JsonEvent] = []
    trace = call.trace
    end = call.end or call.start
    for ordinal, atom in enumerate(a for a in answer if a.kind == "tool_call"):
        tool = ToolCall(
            span_id=derived_id(call.span_id, "tool", ordinal),
            call=call,
            call_id=atom.id,
            name=atom.name or "tool",
            arguments=atom.arguments or "",
            start=end,
            evidence=Evidence("tool_call", 1.0),
        )
        call.tools.append(tool)
        call.agent.awaiting[tool.span_id] = tool
        told.append(events.tool_opened(tool, ordinal, parameters_of(atom.arguments)))
        if atom.id is None:
            continue
        trace.tools_by_id[atom.id] = tool
        early = trace.early_results.pop(atom.id, None)
        if early is not None:
            text, is_error, at = early
            told += close_tool(tool, text, is_error, at, Evidence("result_id", 1.0))
    for atom in answer:
        own = trace.tools_by_id.get(atom.id or "") if atom.kind == "tool_result" else None
        if own is not None and own.call is call:
            told += close_tool(own, atom.text, atom.is_error, end, Evidence("same_answer", 1.0))
    return told


def take_results(call: Call, previous: Call | None, new: Sequence[Atom]) -> list[JsonEvent]:
    """Close the tool spans whose results a request carries.

    Args:
        call: The call that carries them.
        previous: The call that it continues, None when it starts a conversation.
        new: Core atoms that the previous request did not have; all of them without one.
    """
    told: list[JsonEvent] = []
    for tool, atom in told_by_forks(previous, new) if previous is not None else ():
        evidence = Evidence("result_id", 1.0)
        told += close_tool(tool, atom.text, atom.is_error, call.start, evidence)
    tools, early = call.trace.tools_by_id, call.trace.early_results
    # some providers number the calls of each conversation: the nearest is meant
    own = {tool.call_id: tool for tool in previous.tools} if previous is not None else {}
    for place, atom in enumerate(new):
        if atom.kind != "tool_result" or not atom.id:
            continue
        tool = own.get(atom.id) or tools.get(atom.id)
        if tool is not None and previous is None and tool.call.agent is call.agent.parent:
            continue  # an agent that begins with its caller's history has its own version of it
        if tool is None:
            if call.trace.calls_in_flight > 1 and len(early) < _EARLY_KEPT:
                early[atom.id] = (atom.text, atom.is_error, call.start)
        elif tool.span_id in tool.call.agent.awaiting or tool.is_unanswered:
            evidence = Evidence("result_id", 1.0)
            text = atom.text or _named_media(new[place + 1 :])
            told += close_tool(tool, text, atom.is_error, call.start, evidence)
    if previous is not None:
        told += _take_plain(call, previous, new)
    return told


def _named_media(after: Sequence[Atom]) -> str:
    """What a result without text is, by what follows it: an image, or nothing."""
    return "[image]" if after and after[0].kind == "media" else ""


def _take_plain(call: Call, previous: Call, new: Sequence[Atom]) -> list[JsonEvent]:
    told: list[JsonEvent] = []
    left = [tool for tool in previous.tools if tool.span_id in previous.agent.awaiting]
    wanted = [Wanted(tool.call_id, tool.name) for tool in left]
    for pairing in pair_plain_results(wanted, new):
        evidence = Evidence(pairing.source, pairing.confidence)
        tool = left[pairing.place]
        told += close_tool(tool, pairing.text, pairing.is_error, call.start, evidence)
    for tool in left:
        if tool.span_id in previous.agent.awaiting:
            told += end_unanswered(tool)
    return told


def drop_abandoned(call: Call) -> list[JsonEvent]:
    """End what an answer asked for that was thrown away: its request was sent again, as `call`.

    The conversation goes on from the second answer. Only tools that the program is seen to run are
    ended so; an answer that is given by a tool never has a result.
    """
    names = {tool.name for tool in call.tools}
    abandoned = [t for t in call.agent.awaiting.values() if t.call.again is call]
    left = [tool for tool in abandoned if tool.name in names]
    return [event for tool in left for event in end_unanswered(tool, is_dropped=True)]


def close_tool(
    tool: ToolCall, result: str, is_error: bool | None, at: datetime, evidence: Evidence
) -> list[JsonEvent]:
    """Close a tool span with its result, and end or correct the agents it started."""
    failed = looks_like_error(result) if is_error is None else is_error
    tool.status = "error" if failed else "ok"
    tool.end = max(at, tool.start)
    tool.evidence = evidence
    tool.call.agent.awaiting.pop(tool.span_id, None)
    note = {"duration_bound": "upper", "error_by": "pattern" if is_error is None else "flag"}
    late = {"unanswered": False, "terminal": False} if tool.is_unanswered else {}
    tool.is_unanswered = False
    told = [events.tool_ended(tool, result, note | late)]
    told += link_by_told_id(tool, result)
    told += link_by_name(tool)
    told += link_by_result(tool, result)
    told += link_by_time(tool)
    leaves = tool.call.trace.leaf_tools
    leaves.discard(tool.name) if tool.children else leaves.add(tool.name)
    ended, contradicting = settle_children(tool, result)
    told += ended
    for child in contradicting:
        told += tree.hang_at_top(child, Evidence("overlap", 0.5), tool.end)
    tool.given_name = name_from_result(result)
    if tool.given_name is not None and len(tool.children) == 1:
        told += tree.rename(tool.children[0], tool.given_name, FROM_RESULT, tool.end)
    return told
