"""Calls as lines of JSON, as Anton logs them: `LLMInteraction` and `ToolCallSpan`.

A line has `timestamp`, `agent_name`, `provider`, `model`, `system_prompt`, `messages`, `response`,
`duration_ms`, `error` and `metadata`; newer ones name their `trace_id`, `span_id` and `parent_id`,
`tokens` and `cost_usd`, and tell of tools (`tool_name`, `parameters`, `result`, `success`).

Anton writes a line when a call is over, with the time on the clock of its machine: `timestamp` is
the end. By then the answer is the last of the messages; it is not what was sent.
Each agent writes files of its own, a new one each second: a run is a folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.calls import Call, events_of
from tracelake.importers.lines import read_objects
from tracelake.model import from_iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

#: Where a line may name what it belongs to.
_TOLD_BY = ("task_id", "session_id", "run_id")
_TOKENS = {
    "input_tokens": "tokens_input",
    "prompt_tokens": "tokens_input",
    "output_tokens": "tokens_output",
    "completion_tokens": "tokens_output",
}
#: What stands for nothing, and names of its own.
PROVIDERS = {"unknown": None, "claude": "anthropic"}
_TEXT = (str | None, "text")
_EXPECTED: dict[str, tuple[Any, str]] = {
    "timestamp": (str, "text"),
    "agent_name": (str, "text"),
    **dict.fromkeys(("provider", "model", "system_prompt", "error", "trace_id", "span_id"), _TEXT),
    "messages": ((list, type(None)), "list"),
    **dict.fromkeys(("metadata", "tokens"), ((dict, type(None)), "object")),
    **dict.fromkeys(("duration_ms", "cost_usd"), ((int, float, type(None)), "number")),
}


def recognises(first: Mapping[str, Any]) -> bool:
    """Whether the first object of a file is an interaction."""
    told = first.keys()
    if {"interactions", "by_agent"} <= told:  # the summary of a run, all of it in one document
        return True
    return {"timestamp", "agent_name"} <= told and ("messages" in told or "tool_name" in told)


def read(paths: Sequence[Path], _now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """A span for every call, then one for every agent.

    Raises:
        ImportFailed: A line is no interaction.
        OSError: The file cannot be read.
    """
    return events_of(functools.partial(_calls, paths))


def sent(messages: Sequence[Any], response: Any) -> Sequence[Any]:
    """The messages of a call, without the answer to it that a log put behind them."""
    answer = {"role": "assistant", "content": response}
    return messages[:-1] if response and messages and messages[-1] == answer else messages


def _calls(paths: Sequence[Path]) -> Iterator[tuple[str, Call]]:
    for path in paths:
        for where, line in read_objects(path):
            place = where if len(paths) == 1 else f"{path.name}: {where}"
            try:
                for one in line.get("interactions", [line]):
                    yield place, _call(one)
            except (ValueError, TypeError, OverflowError, AttributeError) as error:
                raise ImportFailed(f"{path}: {where}: {error}") from error


def _call(line: dict[str, Any]) -> Call:
    _check(line)
    end = from_iso(line["timestamp"])
    start = end - timedelta(milliseconds=line.get("duration_ms") or 0)
    is_tool = line.get("tool_name") is not None
    failed = bool(line.get("error")) or line.get("success") is False
    digest = hashlib.blake2b(json.dumps(line, sort_keys=True).encode()).hexdigest()
    data = _tool(line) if is_tool else _model(line)
    data |= {"error": line.get("error") or None, "duration_ms": line.get("duration_ms")}
    if line.get("duration_ms") is not None:
        data["start_time"] = start
    return Call(
        key=line.get("span_id") or digest,
        agent=line["agent_name"],
        start=start,
        end=end,
        failed=failed,
        kind="tool" if is_tool else "llm",
        trace=line.get("trace_id") or (line.get("metadata") or {}).get("trace_id"),
        session=_session(line),
        data=data,
    )


def _check(line: Mapping[str, Any]) -> None:
    for name, (kinds, meant) in _EXPECTED.items():
        if not isinstance(line.get(name), kinds):
            raise ValueError(f"{name} is no {meant}")  # noqa: TRY004 - a wrong file, not a wrong call
    duration = line.get("duration_ms")
    if duration is not None and not _is_length(duration):
        raise ValueError(f"duration_ms is no length of time: {duration!r}"[:100])
    if not line["agent_name"]:
        raise ValueError("agent_name is empty")


def _is_length(duration_ms: Any) -> bool:
    return type(duration_ms) in {int, float} and 0 <= duration_ms < math.inf


def _session(line: Mapping[str, Any]) -> str | None:
    places = ({**line}, line.get("metadata") or {})
    told = (place.get(name) for place in places for name in _TOLD_BY)
    return next((one for one in told if isinstance(one, str) and one), None)


def _model(line: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = line.get("metadata") or {}
    tokens: dict[str, Any] = line.get("tokens") or {}
    provider = line.get("provider")
    counts = {_TOKENS[name]: count for name, count in metadata.items() if name in _TOKENS}
    counts |= {f"tokens_{name}": tokens[name] for name in ("input", "output") if name in tokens}
    return {
        "provider": PROVIDERS.get(provider or "unknown", provider),
        "model": line.get("model"),
        "system": line.get("system_prompt"),
        "messages": sent(line.get("messages") or [], line.get("response")),
        "response": line.get("response"),
        "cost_usd": line.get("cost_usd"),
        **counts,
        "attributes": metadata,
    }


def _tool(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tool_name": line["tool_name"],
        "parameters": line.get("parameters"),
        "result": line.get("result"),
        "attributes": line.get("metadata") or {},
    }
