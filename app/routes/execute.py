"""`POST /api/execute/llm`: a playground test without the playground."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app import data, service, targets
from tracelake.errors import QueryError
from tracelake.playground.compare import deltas, word_diff
from tracelake.playground.draft import PROVIDER_OF, Draft, draft_of, scratch
from tracelake.playground.provider import headers_to_repeat, sdk_of
from tracelake.playground.record import Origin, as_span
from tracelake.playground.switching import switched
from tracelake.playground.trial import Trial
from tracelake.redaction import redacting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.playground.draft import DraftApi

TIMEOUT_S = 600.0
_KEYS = frozenset(
    {"trace_id", "span_id", "api", "system", "messages", "tools", "parameters", "model", "target"}
)
_SHOWN = (
    "trace_id", "span_id", "status", "model", "response", "response_blocks", "finish_reason",
    "error_type", "error", "tokens_input", "tokens_output", "tokens_cache_read",
    "tokens_cache_write", "tokens_reasoning", "cost_usd", "cost_note", "duration_ms", "ttft_ms",
)  # fmt: skip


def execute(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Send a call and wait for its answer.

    Args:
        wish: `trace_id` and `span_id` of the call to vary, or `api` for one from scratch; with
            both, the recorded call is sent in the format `api`. Then what to change (`system`,
            `messages`, `tools`, `model`, `parameters`, whose keys are set one by one and taken out
            by null), and `target` (`{name, base_url, api_key}`, by default the one the recorded
            call went to).

    Returns:
        `test` (columns of its span), `comparison` with the recorded answer (`deltas` and `diff`;
        null for a call from scratch), and `conversion` (`lost` and `changed`; null where the
        format is the recorded one).

    Raises:
        NotInLake: There is no such span.
        QueryError: The wish is not understood, or the span is no call that can be edited.
        TraceLakeError: The offline provider did not start.
    """
    if unknown := sorted(set(wish) - _KEYS):
        raise QueryError(f"unknown key {unknown[0]!r}: use {', '.join(sorted(_KEYS))}")
    span = _span(wish)
    recorded = draft_of(span) if span else _fresh(wish)
    api = _api(wish, recorded.api)
    converted = switched(recorded, api)
    draft = _edited(converted.draft, wish)
    origin = None
    if span:
        name = span["agent_name"] or span["model"] or "call"
        origin = Origin(span["trace_id"], span["span_id"], name)
    target = _target(wish, draft, span)
    if span and sdk_of(api) == sdk_of(recorded.api):
        target = replace(target, headers=headers_to_repeat(data.request_headers(span["span_id"])))
    append = redacting(service.lake().append, service.location())
    trial = Trial(draft, target, origin=origin, append=append)
    outcome = trial.start().wait(TIMEOUT_S)
    if outcome.is_running:
        trial.cancel()
        outcome = trial.outcome()
    test = as_span(trial, outcome)
    return {
        "test": {name: test[name] for name in _SHOWN},
        "comparison": _comparison(span, test) if span else None,
        "conversion": None
        if api == recorded.api
        else {"lost": list(converted.lost), "changed": list(converted.changed)},
    }


def _span(wish: Mapping[str, Any]) -> dict[str, Any] | None:
    trace_id, span_id = wish.get("trace_id"), wish.get("span_id")
    if not trace_id and not span_id:
        return None
    if not (isinstance(trace_id, str) and isinstance(span_id, str)):
        raise QueryError("name the call by both trace_id and span_id")
    return data.read_span(trace_id, span_id)


def _fresh(wish: Mapping[str, Any]) -> Draft:
    return scratch(_api(wish, "messages")).edited(messages=[])


def _api(wish: Mapping[str, Any], default: DraftApi) -> DraftApi:
    api = wish.get("api") or default
    if api not in PROVIDER_OF:
        raise QueryError(f"unknown api {api!r}: use {', '.join(PROVIDER_OF)}")
    return api


def _edited(draft: Draft, wish: Mapping[str, Any]) -> Draft:
    wanted: dict[str, tuple[type, ...]] = {
        "system": (str,),
        "messages": (list, str),
        "tools": (list, type(None)),
    }
    for name, types in wanted.items():
        if name in wish:
            if not isinstance(wish[name], types):
                raise QueryError(f"{name} is not of the type that the API takes")
            draft = draft.edited(**{name: wish[name]})
    parameters = wish.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise QueryError("parameters is an object of parameter names and values")
    if wish.get("model"):
        parameters = {**parameters, "model": wish["model"]}
    for name, value in parameters.items():
        draft = draft.with_parameter(name, value)
    if not draft.messages:
        raise QueryError("messages is empty: give at least one")
    return draft


def _target(
    wish: Mapping[str, Any], draft: Draft, span: Mapping[str, Any] | None
) -> targets.Target:
    given = wish.get("target") or {}
    if not isinstance(given, dict):
        raise QueryError("target is an object of name, base_url and api_key")
    options = targets.choices(draft.api, span)
    name = given.get("name") or (targets.OTHER if given.get("base_url") else options[0].name)
    choice = next((option for option in options if option.name == name), None)
    if choice is None:
        names = ", ".join(option.name for option in options)
        raise QueryError(f"unknown target {name!r}: use {names}")
    base_url, key = str(given.get("base_url") or ""), str(given.get("api_key") or "")
    if choice.name == targets.OTHER and not base_url:
        raise QueryError("target other needs a base_url")
    return targets.target(choice, draft.api, base_url=base_url, api_key=key)


def _comparison(span: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    changes = deltas(dict(span), dict(test))
    chunks = word_diff(span["response"] or "", test["response"] or "")
    return {
        "deltas": {
            delta.name: {"before": delta.before, "after": delta.after, "change": delta.change}
            for delta in changes
        },
        "diff": [{"op": chunk.op, "text": chunk.text} for chunk in chunks],
    }
