"""Calls of real agent programs are read: every tool result finds its call, every body rebuilds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.corpus.cassettes import CORPUS
from tracelake.model import Exchange
from tracelake.wire import conversation, read_request, read_response, rebuild_body, response_turn

_FILES = sorted((CORPUS / "captures").glob("*.jsonl"))
_ABSENT = pytest.mark.skip(reason=f"no recorded programs: {CORPUS}/captures is absent")


def each_capture() -> pytest.MarkDecorator:
    """Parametrise a test by capture file; one skip that says why when there is none."""
    files = _FILES or [pytest.param(None, marks=_ABSENT)]
    return pytest.mark.parametrize("file", files, ids=lambda file: file and file.stem)


def exchange_of(line: dict[str, Any]) -> Exchange:
    """One captured exchange as the relay would have recorded it."""
    body = line.get("resp_sse")
    headers = [(k, v) for k, v in line.get("resp_headers", []) if k.lower() != "content-encoding"]
    return Exchange(
        span_id=str(line["n"]),
        start_time=datetime.fromtimestamp(line["t_start"], UTC),
        method=line["method"],
        path=line["path"],
        upstream="anthropic" if "/messages" in line["path"] else "openai",
        request_headers=tuple((k, v) for k, v in line["req_headers"]),
        request_body=json.dumps(line["req_body"]).encode() if line["req_body"] else b"",
        status=line["status"],
        response_headers=tuple(headers),
        response_body=(json.dumps(line["resp_body"]) if body is None else body).encode(),
        outcome="ok",
    )


@each_capture()
def test_every_call_of_a_program_is_read(file: Any) -> None:
    """No call fails, each answer has an atom, each rebuilds, each tool result has its call."""
    for line in map(json.loads, file.read_text().splitlines()):
        exchange = exchange_of(line)
        request = read_request(exchange)
        assert request is not None, exchange.path
        response = read_response(exchange, request)
        assert response.error is None
        body = rebuild_body(
            request.api, request.parameters, request.system, request.messages, request.tools
        )
        assert body == (line["req_body"] or {})
        if request.api in {"chat", "messages", "responses"}:
            assert response.atoms
            assert response_turn(request.api, response.blocks).parts
            assert conversation(request.api, request.messages, request.system)
            assert response.usage.input is None or response.cost_usd is not None
        called = {atom.id for atom in request.atoms if atom.kind == "tool_call"}
        answered = {atom.id for atom in request.atoms if atom.kind == "tool_result"}
        assert answered <= called
