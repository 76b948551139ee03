"""Conversation replay through the relay: the calls issued again are recorded as a trace."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError, NotInLake, UpstreamError
from tracelake.ingest.collector import base_urls
from tracelake.model import Event, Exchange, new_id, utc_now
from tracelake.replay.answer import edited_text
from tracelake.replay.conversation import (
    ConversationReplay,
    ConversationResult,
    Step,
    api_of_span,
)
from tracelake.replay.offline import kept_offline
from tracelake.replay.record import RunRecord
from tracelake.replay.recorded import settle
from tracelake.replay.source import find_run, spans_of
from tracelake.wire import read_request, read_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.session import Edit

TIMEOUT_S = 600.0
_PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}


@dataclass(slots=True)
class Watch:
    """How a replay that goes on in another thread is followed and ended.

    Attributes:
        steps: What happened so far.
        cancelled: Set to end it before its next call.
    """

    steps: list[Step] = field(default_factory=list[Step])
    cancelled: threading.Event = field(default_factory=threading.Event)


def replay_conversation(
    lake: Lake,
    collector: Collector,
    *,
    trace_id: str,
    span_id: str,
    edit: Edit,
    tools: Mapping[str, Callable[..., Any]],
    run_id: str | None = None,
    watch: Watch | None = None,
) -> tuple[str, ConversationResult]:
    """Issue again what follows an edited call; it is recorded as a fork of the trace.

    Args:
        lake: Where the trace is, and where the new one goes.
        collector: Its collector; the calls go through its relay to its upstreams.
        trace_id: The original.
        span_id: The edited model call.
        edit: Its new answer, or the request to send instead.
        tools: Functions that may be called, by tool name.
        run_id: Id of the fork and its trace; by default a new one.
        watch: Follows the steps, and ends it.

    Returns:
        Id of the new trace, and what happened.

    Raises:
        NotInLake: There is no such call.
        ConfigError: Its format cannot be issued again.
        UpstreamError: A provider could not be reached or refused.
    """
    run_id, watch = run_id or new_id(), watch or Watch()
    record = _record(lake, run_id, trace_id, span_id, edit)
    lake.write("runs", [record.to_row()])
    status, result = "failed", ConversationResult((), None)
    try:
        result = _replayed(lake, collector, record, edit=edit, tools=tools, watch=watch)
        status = "ok" if result.output is not None else "stopped"
        status = "cancelled" if watch.cancelled.is_set() else status
    finally:
        told = {
            "status": status,
            "counts": Counter(step.outcome for step in watch.steps),
            "steps": [asdict(step) for step in watch.steps],
            "output": result.output,
        }
        ended = replace(record, end_time=utc_now(), fork={**(record.fork or {}), **told})
        lake.write("runs", [ended.to_row()])
    return run_id, result


def _record(lake: Lake, run_id: str, trace_id: str, span_id: str, edit: Edit) -> RunRecord:
    original = find_run(lake, trace_id)
    named = original.name if original else trace_id
    fork = {
        "kind": "conversation",
        "trace_id": trace_id,
        "span_id": span_id,
        "edit": asdict(edit),
        "status": "running",
        "runner_pid": os.getpid(),
    }
    return RunRecord(
        run_id=run_id,
        name=f"conversation of {named}"[:120],
        command=(),
        cwd="",
        start_time=utc_now(),
        forked_from_run_id=original.run_id if original else None,
        fork=fork,
    )


def _replayed(
    lake: Lake,
    collector: Collector,
    record: RunRecord,
    *,
    edit: Edit,
    tools: Mapping[str, Callable[..., Any]],
    watch: Watch,
) -> ConversationResult:
    fork = record.fork or {}
    trace_id, span_id = str(fork["trace_id"]), str(fork["span_id"])
    urls = base_urls(collector.state.relay, run_id=record.run_id)
    send = _sender(urls["anthropic_base_url"])
    spans = spans_of(lake, trace_id)
    span = next((one for one in spans if one["span_id"] == span_id), None)
    if span is None:
        raise NotInLake(f"no span {span_id!r} in this trace")
    api = api_of_span(span)
    replay = ConversationReplay(
        spans, send, tools, report=watch.steps.append, is_cancelled=watch.cancelled.is_set
    )
    with kept_offline(spans, collector, record.run_id):
        if edit.request_body is not None:
            blocks = send(api, {**edit.request_body, "stream": False})
        else:
            blocks = _blocks(api, edit)
        result = replay.run(span_id, blocks)
    settle(lake, record.run_id, 10)
    for made in spans_of(lake, record.run_id):
        if made["kind"] == "llm":
            data = {"forked_from_trace_id": trace_id, "match": "live", "source": "replay"}
            lake.append(Event("span", record.run_id, str(made["span_id"]), utc_now(), data=data))
    return result


def _sender(base_url: str) -> Callable[[str, dict[str, Any]], list[Any]]:
    def send(api: str, body: dict[str, Any]) -> list[Any]:
        exchange = _exchange(api, body)
        request = urllib.request.Request(  # noqa: S310 - our own relay
            base_url + exchange.path,
            data=exchange.request_body,
            headers={"content-type": "application/json", **_credentials(api)},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return _answered(api, body, answer.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:500]
            raise UpstreamError(f"the provider answered {error.code}: {said}") from error
        except OSError as error:
            raise UpstreamError(f"the relay does not answer: {error}") from error

    return send


def _credentials(api: str) -> dict[str, str]:
    if api == "messages":
        key = os.environ.get("ANTHROPIC_API_KEY", "none")
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}


def _blocks(api: str, edit: Edit) -> list[Any]:
    """An edited answer as native blocks."""
    exchange = _exchange(api, {"model": "edited"})
    whole = edit.response_body
    if whole is None:
        request = read_request(exchange)
        if request is None:
            raise ConfigError(f"a call of {api} cannot be replayed as a conversation")
        whole = edited_text(exchange, request, edit.response_text or "")
    return _answered(api, {}, json.dumps(whole).encode())


def _answered(api: str, body: dict[str, Any], answer: bytes) -> list[Any]:
    exchange = _exchange(api, body, answer)
    request = read_request(exchange)
    return [] if request is None else list(read_response(exchange, request).blocks)


def _exchange(api: str, body: dict[str, Any], answer: bytes = b"") -> Exchange:
    if api not in _PATHS:
        raise ConfigError(f"a call of {api} cannot be replayed as a conversation")
    now = utc_now()
    return Exchange(
        span_id="conversation",
        start_time=now,
        end_time=now,
        method="POST",
        path=_PATHS[api],
        upstream="",
        request_headers=(),
        request_body=json.dumps(body).encode(),
        status=200,
        response_body=answer,
        outcome="ok",
    )
