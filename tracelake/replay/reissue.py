"""Conversation replay through the relay: the calls issued again are recorded as a trace."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError, UpstreamError
from tracelake.ingest.collector import base_urls
from tracelake.model import Event, Exchange, new_id, utc_now
from tracelake.replay.answer import edited_text
from tracelake.replay.conversation import ConversationReplay, ConversationResult
from tracelake.replay.recorded import settle
from tracelake.replay.source import spans_of
from tracelake.wire import read_request, read_response
from tracelake.wire.lenient import mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake
    from tracelake.replay.session import Edit

TIMEOUT_S = 600.0
_PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}


def replay_conversation(
    lake: Lake,
    collector: Collector,
    *,
    trace_id: str,
    span_id: str,
    edit: Edit,
    tools: Mapping[str, Callable[..., Any]],
) -> tuple[str, ConversationResult]:
    """Issue again what follows an edited call.

    Args:
        lake: Where the trace is, and where the new one goes.
        collector: Its collector; the calls go through its relay to its upstreams.
        trace_id: The original.
        span_id: The edited model call.
        edit: Its new answer, or the request to send instead.
        tools: Functions that may be called, by tool name.

    Returns:
        Id of the new trace, and what happened.

    Raises:
        NotInLake: There is no such call.
        ConfigError: Its format cannot be issued again.
        UpstreamError: A provider could not be reached or refused.
    """
    run_id = new_id()
    send = _sender(base_urls(collector.state.relay, run_id=run_id)["anthropic_base_url"])
    spans = spans_of(lake, trace_id)
    span = next((one for one in spans if one["span_id"] == span_id), None)
    api = str(mapping(json.loads((span or {}).get("attributes") or "{}")).get("api"))
    if edit.request_body is not None:
        blocks = send(api, {**edit.request_body, "stream": False})
    else:
        blocks = _blocks(api, edit)
    result = ConversationReplay(spans, send, tools).run(span_id, blocks)
    settle(lake, run_id, 10)
    for made in spans_of(lake, run_id):
        if made["kind"] == "llm":
            data = {"forked_from_trace_id": trace_id, "match": "live", "source": "replay"}
            lake.append(Event("span", run_id, str(made["span_id"]), utc_now(), data=data))
    return run_id, result


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
