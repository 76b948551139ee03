"""Exchanges made by hand, for tests of the wire formats."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tracelake.model import Exchange
from tracelake.wire import Request, Response, read_request, read_response

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"


def sse(*events: Any, names: bool = False) -> bytes:
    """Events as a stream; text stands as it is, `names` repeats the type as the event's name."""
    frames = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        head = f"event: {event['type']}\n" if names else ""
        frames.append(f"{head}data: {data}\n\n")
    return "".join(frames).encode()


def exchange(path: str, body: Any = None, answer: Any = b"", **changes: Any) -> Exchange:
    """A finished exchange; bodies that are no bytes are sent as JSON."""
    given: dict[str, Any] = {
        "span_id": "span",
        "start_time": datetime(2026, 11, 1, tzinfo=UTC),
        "method": "POST",
        "path": path,
        "upstream": "anthropic" if "/messages" in path else "openai",
        "request_headers": (("Content-Type", "application/json"),),
        "request_body": body if isinstance(body, bytes) else json.dumps(body or {}).encode(),
        "status": 200,
        "response_body": answer if isinstance(answer, bytes) else json.dumps(answer).encode(),
        "outcome": "ok",
    }
    return Exchange(**{**given, **changes})


def asked(path: str, body: Any, **changes: Any) -> Request:
    """The request that is read of a body."""
    request = read_request(exchange(path, body, **changes))
    assert request is not None
    return request


def answered(path: str, answer: Any, body: Any = None, **changes: Any) -> Response:
    """The response that is read of an answer."""
    recorded = exchange(path, body or {"model": "gpt-4o"}, answer, **changes)
    request = read_request(recorded)
    assert request is not None
    return read_response(recorded, request)
