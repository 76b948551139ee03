"""The columns of a model call: conversation, parameters, usage and cost."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from tracelake.otlp import conventions as names
from tracelake.otlp.costs import cost_of
from tracelake.otlp.messages import (
    choice_of,
    parsed,
    read_messages,
    read_tools,
    system_text,
    text_of,
    unnumbered,
)
from tracelake.otlp.shapes import calls_in, definitions_in
from tracelake.otlp.spans import STATUS_ERROR
from tracelake.wire.call import Usage
from tracelake.wire.fingerprint import fingerprint, tools_fingerprint

if TYPE_CHECKING:
    from tracelake.model import Kind
    from tracelake.otlp.mapping import Reading
    from tracelake.otlp.messages import Message
    from tracelake.otlp.spans import OtlpSpan

_CHOICE, _SAID = "gen_ai.choice", "gen_ai.assistant.message"
_INSTRUCTING: Final = frozenset({"system", "developer"})
#: Ids that providers give their answers, as they stand in a recorded answer.
_RESPONSE_ID: Final = re.compile(r'"(chatcmpl-[\w-]{6,}|resp_[\w-]{6,}|msg_[\w-]{6,})"')
#: The model in a recorded answer of OpenAI's form.
_MODEL: Final = re.compile(r'"model": ?"([\w./:-]{1,100})"')
_LOOKED_AT: Final = 20_000
#: Parts of recorded parameters that stand elsewhere.
_ELSEWHERE: Final = frozenset({"model", "model_name", "tools", "messages", "input", "instructions"})
#: Parts that are none: what an instrumentation or an answer says of itself.
_NO_PARAMETERS: Final = frozenset({"id", "created_at", "_type", "base_url"})
#: The counts of a call, in the order of `Usage`.
_COUNTS: Final = (
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "tokens_reasoning",
)
#: Names of the usage objects of Langfuse and MLflow for our counts.
_USAGE_KEYS: Final = {
    "tokens_input": ("prompt_tokens", "input_tokens", "input"),
    "tokens_output": ("completion_tokens", "output_tokens", "output"),
    "tokens_cache_read": ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"),
    "tokens_cache_write": ("cache_creation_input_tokens", "input_cache_creation"),
    "tokens_reasoning": ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens"),
}


def call_columns(span: OtlpSpan, kind: Kind, reading: Reading, start: datetime) -> dict[str, Any]:
    """The columns of a model call.

    Args:
        span: The span.
        kind: llm or embedding.
        reading: Its attributes; what is read here for a column no longer stands in its `rest`.
        start: When it began, UTC.
    """
    fields = reading.fields
    told = parsed(fields.get("request"))
    asked = told.get("model") if isinstance(told, dict) else None
    model = _name(fields.get("model")) or _name(asked) or _answered_by(fields.get("output"))
    provider = provider_of(fields.get("provider"), model)
    columns: dict[str, Any] = {"model": model, "provider": provider}
    columns.update(_conversation(span, kind, reading))
    columns.update(_usage(span, fields))
    columns.update(_cost(span, fields, columns, start, is_embedding=kind == "embedding"))
    columns["name"] = model or span.name
    if request := _request(reading):
        columns["request"] = request
    if response_id := _response_id(fields):
        reading.rest["response_id"] = response_id
    if ttft_ms := _ttft_ms(span, fields):
        columns["ttft_ms"] = ttft_ms
    return columns


def _answered_by(output: Any) -> str | None:
    """The model that a recorded answer names, where nothing else names one."""
    found = _MODEL.search(output[:_LOOKED_AT]) if isinstance(output, str) else None
    return found[1] if found else None


def provider_of(value: Any, model: str | None) -> str | None:
    """A provider's name as price lists know it; told by the model where nothing else tells it."""
    name = str(value or "").lower().strip()
    name = names.PROVIDERS.get(
        name, name.partition(".")[0] if name.startswith(("openai.", "anthropic.")) else name
    )
    if name in {"", "unknown", "none"}:
        text = (model or "").lower()
        if text.startswith("claude"):
            return "anthropic"
        return "openai" if text.startswith(("gpt-", "o1", "o3", "o4")) else None
    return name


def _conversation(span: OtlpSpan, kind: Kind, reading: Reading) -> dict[str, Any]:
    fields, numbered = reading.fields, reading.numbered
    asked = _first_messages(fields.get("input_messages"), numbered.get("input_messages"), "user")
    given = _first_messages(
        fields.get("output_messages"), numbered.get("output_messages"), "assistant"
    )
    if not asked and not given:
        asked, given = event_messages((event.name, event.attributes) for event in span.events)
    if not asked and not given:
        asked, given = event_messages(_listed_events(reading))
    recorded_in, recorded_out = fields.get("input"), fields.get("output")
    if kind == "embedding":
        return {"messages": parsed(recorded_in) if recorded_in is not None else asked or None}
    asked = asked or read_messages(recorded_in)
    said = fields.get("output_text", recorded_out)
    given = given or read_messages(said, role="assistant")
    if calls := calls_in(parsed(fields.get("output_calls"))):
        given = [*given, *read_messages([{"role": "assistant", "parts": calls}])]
    return conversation_columns(
        asked,
        given,
        system=system_text(fields.get("system")),
        tools=_tools(reading),
        finish_reason=_finish_reason(fields.get("finish_reason"), given),
    )


def _tools(reading: Reading) -> list[Any]:
    """Tool definitions: of their own attributes, else inside of the request."""
    fields = reading.fields
    told = fields.get("tools") or unnumbered(reading.numbered.get("tools", ()))
    if found := read_tools(told):
        return found
    told = [fields.get(name) for name in ("input_messages", "request", "input")]
    for whole in (*told, reading.rest.get("response")):
        mark = '"tools"' if isinstance(whole, str) and whole.startswith("{") else '"function"'
        if isinstance(whole, str) and mark in whole:
            found = read_tools(definitions_in(parsed(whole)))
            if found:
                return found
    return []


def _listed_events(reading: Reading) -> list[tuple[str, dict[str, Any]]]:
    """The messages that older pydantic-ai puts into one attribute, as events."""
    told = parsed(reading.fields.get("message_events"))
    listed = [item for item in told if isinstance(item, dict)] if isinstance(told, list) else []
    events = [(str(item["event.name"]), item) for item in listed if "event.name" in item]
    if not any(name == _CHOICE for name, _ in events):  # what stands last is the answer
        end = len(events)
        while end and events[end - 1][0] == _SAID:
            end -= 1
        events[end:] = [(_CHOICE, item) for _, item in events[end:]]
    if told and not events:
        reading.rest["events"] = told
    return events


def conversation_columns(
    asked: list[Message],
    given: list[Message],
    *,
    system: str,
    tools: list[Any],
    finish_reason: str | None,
) -> dict[str, Any]:
    """Messages and answer as columns; the attribute `api` says that they are of the chat format."""
    columns: dict[str, Any] = {}
    if system and not (asked and asked[0].get("role") in _INSTRUCTING):
        asked = [{"role": "system", "content": system}, *asked]
    if not system:
        leading: list[str] = []
        for message in asked:
            if message.get("role") not in _INSTRUCTING:
                break
            leading.append(text_of(message))
        system = "\n\n".join(filter(None, leading))
    if system:
        columns["system"] = system
        columns["prompt_fingerprint"] = fingerprint(system)
    if asked:
        columns["messages"] = asked
    if asked or given:
        columns["api"] = "chat"
    if tools:
        columns["tools"] = tools
        columns["tools_fingerprint"] = tools_fingerprint(tools)
    if given:
        columns["response"] = "\n".join(filter(None, map(text_of, given)))
        columns["response_blocks"] = choice_of(given, finish_reason)
    if finish_reason:
        columns["finish_reason"] = finish_reason
    return columns


def event_messages(events: Any) -> tuple[list[Message], list[Message]]:
    """What was asked and answered, from events that hold a message or the whole conversation.

    Args:
        events: Pairs of name and attributes (or the body of a log record).
    """
    asked: list[Message] = []
    given: list[Message] = []
    for name, content in events:
        if name in names.DETAIL_EVENTS:
            asked += read_messages(_told(content, "input_messages"), role="user")
            given += read_messages(_told(content, "output_messages"), role="assistant")
        elif (role := names.MESSAGE_EVENTS.get(name)) is not None:
            if role == "choice":
                message = parsed(content.get("message"))
                whole = {**content, **message} if isinstance(message, dict) else {**content}
                told = whole.pop("message", None)
                if "content" not in whole and not isinstance(message, dict):
                    whole["content"] = told
                given += read_messages(whole, role="assistant")
            else:
                asked += read_messages(dict(content), role=role)
    return asked, given


def _told(content: dict[str, Any], field: str) -> Any:
    return next((content[key] for key in names.FIELDS[field] if content.get(key)), None)


def _first_messages(whole: Any, pieces: list[tuple[str, Any]] | None, role: str) -> list[Message]:
    """Messages from one attribute, else from numbered ones."""
    if whole is not None and (found := read_messages(whole, role=role)):
        return found
    return read_messages(unnumbered(pieces), role=role) if pieces else []


def _usage(span: OtlpSpan, fields: dict[str, Any]) -> dict[str, Any]:
    counts = {name: _count(fields.get(name)) for name in _COUNTS}
    details = parsed(fields.get("usage"))
    if isinstance(details, dict):
        details = _summed(details)
        for name, keys in _USAGE_KEYS.items():
            told = next((c for key in keys if (c := _count(details.get(key))) is not None), None)
            counts[name] = told if counts[name] is None else counts[name]
    if counts["tokens_input"] is not None and span.scope.name.startswith(names.WITHOUT_CACHED):
        cached = (counts["tokens_cache_read"] or 0) + (counts["tokens_cache_write"] or 0)
        counts["tokens_input"] += cached
    return counts


def _summed(details: dict[str, Any]) -> dict[str, Any]:
    """Langfuse's usage with whole sums.

    Where its counts add up to the total, each leaves out what stands beside it in detail.
    """
    parts = {key: count for key, told in details.items() if (count := _count(told)) is not None}
    if "input" not in parts or parts.pop("total", None) != sum(parts.values()):
        return details
    sums = {
        side: sum(count for key, count in parts.items() if key.startswith(side))
        for side in ("input", "output")
    }
    return {**details, **sums}


def _cost(
    span: OtlpSpan,
    fields: dict[str, Any],
    columns: dict[str, Any],
    start: datetime,
    *,
    is_embedding: bool,
) -> dict[str, Any]:
    reported = parsed(fields.get("cost_usd"))
    if isinstance(reported, dict):  # Langfuse
        reported = reported.get("total")
    if isinstance(reported, int | float) and reported > 0:
        return {"cost_usd": float(reported), "cost_note": "as reported with the span"}
    price = cost_of(
        columns["provider"] or "",
        columns["model"],
        Usage(*(columns[name] for name in _COUNTS)),
        asked=_name(fields.get("request_model")),
        when=start,
        failed=span.status == STATUS_ERROR,
        embedding=is_embedding,
    )
    return {"cost_usd": price.usd, "cost_note": price.note}


def _request(reading: Reading) -> dict[str, Any]:
    request = {k: v for k, v in reading.parameters.items() if k not in _ELSEWHERE}
    told = parsed(reading.fields.get("request"))
    if isinstance(told, dict):
        request.update(
            (key, value)
            for key, value in told.items()
            if key not in _ELSEWHERE and key not in _NO_PARAMETERS and _is_set(value)
        )
    return request


def _is_set(value: Any) -> bool:
    return value is not None and value != "Infinity"  # Langfuse's for no limit


def _finish_reason(value: Any, given: list[Message]) -> str | None:
    value = parsed(value)
    if isinstance(value, list):
        value = value[0] if value else None
    if not value and given:
        value = given[0].get("finish_reason")
    return str(value) if value else None


def _response_id(fields: dict[str, Any]) -> str | None:
    told = fields.get("response_id")
    if told:
        return str(told)
    output = fields.get("output")
    found = _RESPONSE_ID.search(output[:_LOOKED_AT]) if isinstance(output, str) else None
    return found[1] if found else None


def _ttft_ms(span: OtlpSpan, fields: dict[str, Any]) -> float | None:
    for name, factor in (("ttft_s", 1000.0), ("ttft_ms", 1.0)):
        value = fields.get(name)
        if isinstance(value, int | float) and value >= 0:
            return round(value * factor, 3)
    if isinstance(at := parsed(fields.get("ttft_at")), str):
        with contextlib.suppress(ValueError):
            ms = datetime.fromisoformat(at).timestamp() * 1000 - span.start_ns / 1e6
            return round(ms, 3) if ms >= 0 else None
    for event in span.events:
        if event.name in names.FIRST_TOKEN_EVENTS and event.time_ns >= span.start_ns:
            return round((event.time_ns - span.start_ns) / 1e6, 3)
    return None


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
