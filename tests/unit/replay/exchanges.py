"""Exchanges for tests, written short."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tracelake.model import Exchange

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def user(text: str) -> dict[str, Any]:
    """A user message."""
    return {"role": "user", "content": text}


def chat(*messages: Any, system: str = "You are a tester.", **more: Any) -> dict[str, Any]:
    """A chat request body; text is a user message."""
    said = [user(one) if isinstance(one, str) else one for one in messages]
    return {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": system}, *said],
        **more,
    }


def completion(text: str) -> dict[str, Any]:
    """A chat answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    return {**head, "choices": [choice]}


def exchange(
    body: Any,
    answer: Any = None,
    *,
    span_id: str = "s",
    at_s: float = 0.0,
    took_s: float = 1.0,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    response_headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
) -> Exchange:
    """An exchange; without an answer its request side alone."""
    start = START + timedelta(seconds=at_s)
    request = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    is_over = answer is not None
    return Exchange(
        span_id=span_id,
        start_time=start,
        method=method,
        path=path,
        upstream="openai",
        request_headers=headers,
        request_body=request,
        first_byte_time=start + timedelta(seconds=took_s / 2) if is_over else None,
        end_time=start + timedelta(seconds=took_s) if is_over else None,
        status=200 if is_over else None,
        response_headers=response_headers if is_over else (),
        response_body=response if is_over else b"",
        outcome="ok" if is_over else "running",
    )
