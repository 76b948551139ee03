"""What the spans of a fork show beyond what the relay saw of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.model import Event, utc_now
from tracelake.redaction import redacting
from tracelake.replay.source import spans_of
from tracelake.wire import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.lake import Lake
    from tracelake.model import Exchange


def edited_request(trace_id: str, span_id: str, sent: Exchange) -> Event | None:
    """What the span shows of a request that was sent edited; the relay saw the program's own."""
    request = read_request(sent)
    if request is None:
        return None
    data = {
        "messages": request.messages,
        "system": request.system or None,
        "tools": request.tools,
        "request": request.parameters,
        "model": request.model,
        "attributes": {"request_edited": True},
    }
    kept = {key: value for key, value in data.items() if value is not None}
    return Event("span", trace_id, span_id, utc_now(), data=kept)


def tell(lake: Lake, event: Event) -> None:
    """Append an event without what the user's patterns match: it did not pass the relay.

    Raises:
        ConfigError: The patterns cannot be read; nothing is written.
    """
    redacting(lake.append, lake.location)(event.to_dict())


def tell_result(lake: Lake, run_id: str, edit: Mapping[str, Any]) -> None:
    """Let the span of a tool whose result was edited show what the model was told."""
    if not edit.get("result_of"):
        return
    for span in spans_of(lake, run_id):
        if span["kind"] == "tool" and span["tool_call_id"] == edit["result_of"]:
            data = {"result": edit["result_text"], "match": "edited"}
            tell(lake, Event("span", run_id, str(span["span_id"]), utc_now(), data=data))


def mark_cancelled(lake: Lake, run_id: str) -> None:
    """Mark the root and every running span of a fork's trace as cancelled."""
    now = utc_now()
    for span in spans_of(lake, run_id):
        if span["status"] == "running" or span["parent_id"] is None:
            kind = "agent_end" if span["kind"] == "agent" else "span"
            data = {"status": "cancelled"}
            lake.append(Event(kind, run_id, str(span["span_id"]), now, data=data))
