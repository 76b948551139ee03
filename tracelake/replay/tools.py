"""Recorded results of the tools that must not run again, given to the program that asks.

The functions are those under `@tracer.traced_tool(replay="recorded")`; their spans keep what is
needed. A result is found by name and arguments: as they are, with this run's ids and folders put
back, or with everything volatile masked. Each is given once, in recorded order.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tracelake.replay.volatile import mask
from tracelake.wire.lenient import mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.lake import Lake
    from tracelake.replay.record import RunRecord
    from tracelake.replay.session import ReplaySession


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One recorded call of such a tool.

    Attributes:
        arguments: As canonical JSON text.
        kept: What the span kept: `value` with `has_value`, or `is_of`, the type of a result that
            JSON cannot say; neither where the tool raised or had not ended.
    """

    span_id: str
    name: str
    arguments: str
    kept: dict[str, Any]
    status: str
    error_type: str | None
    error: str | None


def read_tool_calls(lake: Lake, record: RunRecord, trace_id: str) -> list[ToolCall]:
    """The recorded calls of such tools in a run, in order."""
    import polars as pl

    first = record.start_time.date()
    last = (record.end_time or record.start_time + timedelta(days=7)).date()
    rows = lake.answer(
        lambda: (
            lake.spans()
            .filter(
                pl.col("date").is_between(first, last),
                (pl.col("run_id") == record.run_id) | (pl.col("trace_id") == trace_id),
                pl.col("kind") == "tool",
                pl.col("attributes").str.contains('"replay"', literal=True),
            )
            .sort("start_time", "span_id")
            .collect()
        )
    )
    found: list[ToolCall] = []
    for row in rows.iter_rows(named=True):
        kept = mapping(mapping(json.loads(row["attributes"])).get("replay"))
        if isinstance(kept.get("arguments"), str):
            found.append(
                ToolCall(
                    row["span_id"],
                    row["tool_name"],
                    kept["arguments"],
                    kept,
                    row["status"],
                    row["error_type"],
                    row["error"],
                )
            )
    return found


class RecordedTools:
    """Gives recorded results to a replayed program.

    Args:
        calls: The recorded calls, in order.
        session: The replay that they belong to: it knows the ids and whether the run took another
            way.
        report: Told of each question: name, outcome, the span that was repeated.
    """

    def __init__(
        self,
        calls: Iterable[ToolCall],
        session: ReplaySession,
        report: Callable[[str, str, str | None], None],
    ) -> None:
        self._free = list(calls)
        self._session = session
        self._report = report
        self._lock = threading.Lock()

    @property
    def unused(self) -> list[ToolCall]:
        """What nobody has asked for."""
        return list(self._free)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What a tool is to do.

        Args:
            asked: `name` and `arguments`, canonical JSON text.

        Returns:
            `outcome`: `recorded` with the result, `run`, or `refused` with `why`.
        """
        name, arguments = str(asked.get("name")), str(asked.get("arguments"))
        with self._lock:
            found, match = self._take(name, arguments)
        told = self._told(found, match) if found else self._absent(name)
        self._report(name, str(told["outcome"]), found.span_id if found else None)
        return told

    def _take(self, name: str, arguments: str) -> tuple[ToolCall | None, str]:
        named = [call for call in self._free if call.name == name]
        put_back = self._session.rebinding.backward.text(arguments)
        tries: tuple[tuple[str, Callable[[ToolCall], bool]], ...] = (
            ("exact", lambda call: call.arguments == arguments),
            ("volatile", lambda call: call.arguments == put_back),
            ("volatile", lambda call: mask(call.arguments) == mask(put_back)),
        )
        for match, fits in tries:
            for call in named:
                if fits(call):
                    self._free.remove(call)
                    return call, match
        return None, ""

    def _told(self, call: ToolCall, match: str) -> dict[str, Any]:
        forward = self._session.rebinding.forward
        told = {
            "outcome": "recorded",
            "match": match,
            "original_span_id": call.span_id,
            "forked_from_trace_id": self._session.recording.trace_id,
        }
        if call.kept.get("has_value"):
            return {**told, "value": forward.value(call.kept.get("value"))}
        if call.status == "error":
            return {**told, "error_type": call.error_type, "error": forward.text(call.error or "")}
        if "is_of" in call.kept:
            why = f"its recorded result, a {call.kept['is_of']}, is no JSON value to be given again"
        else:
            why = "the recorded run ended before it had a result"
        return {"outcome": "refused", "why": why}

    def _absent(self, name: str) -> dict[str, Any]:
        if self._session.is_diverged and self._session.options.allow_live:
            return {"outcome": "run"}
        known = any(call.name == name for call in self._free)
        why = "with other arguments" if known else "of it"
        return {
            "outcome": "refused",
            "why": f"no result {why} is left in the recording, and it must not run again",
        }
