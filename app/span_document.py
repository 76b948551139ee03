"""A span as the detail panel shows it: a plain JSON document made from its columns.

Invariants:
- Everything is data: no markup is made here, and none of the text is trusted by the panel.
- The request body is in it once; conversation turns are the readable form of the same text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import orjson

from app.components import text
from tracelake import wire
from tracelake.errors import NotInLake
from tracelake.graph.facts import shorten
from tracelake.schema import SPANS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracelake.lake import Lake
    from tracelake.wire import Part, Turn

#: Columns that the document holds in a readable form, left out of its `span`.
_BODIES: Final = frozenset(
    {
        "system",
        "messages",
        "tools",
        "request",
        "response",
        "response_blocks",
        "parameters",
        "result",
    }
)
_ENDPOINTS: Final = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
}
_PREVIEW_CHARS: Final = 160


def read_document(lake: Lake, trace_id: str, span_id: str) -> dict[str, Any] | None:
    """The document of a span as the lake holds it now, None while it holds no such span."""
    try:
        span = lake.trace(trace_id, span_ids=[span_id]).row(0, named=True)
        spans = lake.trace(trace_id, columns=["span_id", "kind", "parent_id", "start_time"])
        before = spans.filter(
            (spans["kind"] == "llm")
            & spans["parent_id"].eq_missing(span["parent_id"])
            & (spans["start_time"] < span["start_time"])
        )
        earlier = None
        if not before.is_empty():
            wanted = [before["span_id"][-1]]
            messages = lake.trace(trace_id, columns=["messages"], span_ids=wanted)["messages"]
            earlier = _parsed(messages[0])
    except NotInLake:
        return None
    document = span_document(_read(span), earlier=earlier if isinstance(earlier, list) else None)
    return {**document, **_work(lake, span)} if span["kind"] == "agent" else document


def as_json(document: Any) -> str:
    """A document for the browser; whole numbers of any size keep all their digits."""
    try:
        return orjson.dumps(document, default=str).decode()
    except TypeError:  # more than 64 bits, or text that is no Unicode
        return json.dumps(document, default=str, separators=(",", ":"))


def _object(value: Any) -> dict[str, Any]:
    """What ought to be a JSON object, as told by programs that need not know; else an empty one."""
    return value if isinstance(value, dict) else {}


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its JSON columns parsed."""
    columns = {c.name for c in SPANS.columns if c.dtype == "json"}
    return {name: _parsed(value) if name in columns else value for name, value in row.items()}


def _work(lake: Lake, agent: Mapping[str, Any]) -> dict[str, Any]:
    """What an agent was asked and answered, and what it took: of its own calls."""
    names = ["span_id", "parent_id", "kind", "status", "auxiliary", "duplicate_of", "cost_usd"]
    names += ["tokens_input", "tokens_output", "start_time"]
    spans = lake.trace(agent["trace_id"], columns=names)
    own = [s for s in spans.rows(named=True) if s["parent_id"] == agent["span_id"]]
    own = [s for s in own if not (s["auxiliary"] or s["duplicate_of"])]
    calls = [s for s in own if s["kind"] == "llm"]
    if not calls:
        return {}
    ends = [calls[0]["span_id"], calls[-1]["span_id"]]
    rows = lake.trace(agent["trace_id"], span_ids=ends).rows(named=True)
    first, last = (_read(next(r for r in rows if r["span_id"] == end)) for end in ends)
    costs = [s["cost_usd"] for s in calls if s["cost_usd"] is not None]
    tools = sum(s["kind"] == "tool" for s in own)
    failed = sum(s["status"] == "error" for s in own)
    facts = [
        *_facts(agent),
        ("Calls", str(len(calls)), "Calls of models that this agent made"),
        ("Tools", str(tools), "Calls of tools that this agent made"),
        _exactly("Tokens in", [s["tokens_input"] for s in calls]),
        _exactly("Tokens out", [s["tokens_output"] for s in calls]),
        ("Cost", text.cost(sum(costs) if costs else None), "US dollars, of its own calls"),
        *([("Errors", str(failed), "Own calls that failed")] if failed else []),
    ]
    return {
        "facts": [list(fact) for fact in facts],
        "turns": _turns(first, _api(first), None),
        "answer": _answer(last, _api(last)),
    }


def _exactly(label: str, numbers: Sequence[int | None]) -> tuple[str, str, str]:
    known = [number for number in numbers if number is not None]
    return label, _exact(sum(known) if known else None), "Of its own calls"


def _api(span: Mapping[str, Any]) -> str:
    return _object(span.get("attributes")).get("api") or (
        "messages" if span.get("provider") == "anthropic" else "chat"
    )


def span_document(
    span: Mapping[str, Any], *, earlier: Sequence[Any] | None = None
) -> dict[str, Any]:
    """What the panel shows of a span.

    Args:
        span: Columns of `spans`, JSON columns parsed.
        earlier: Messages of the same agent's call before; equal leading ones count as resent.

    Returns:
        `{id, kind, role, title, agent, status, error, facts, evidence, turns, answer, tools, body,
        endpoint, parameters, result, span}`; what a span does not have is None or empty.
    """
    api = _api(span)
    is_call = span.get("kind") == "llm"
    return {
        "id": span["span_id"],
        "trace": span["trace_id"],
        "kind": span.get("kind") or "other",
        "role": span.get("role"),
        "title": _title(span),
        "agent": span.get("agent_name"),
        "status": span.get("status") or "running",
        "error": _error(span),
        "facts": [list(fact) for fact in _facts(span)],
        "evidence": _evidence(span),
        "turns": _turns(span, api, earlier) if is_call else [],
        "answer": _answer(span, api) if is_call else None,
        "tools": _tools(tools if isinstance(tools := span.get("tools"), list) else []),
        "body": _body(span, api) if is_call else None,
        "endpoint": _ENDPOINTS.get(api),
        "parameters": span.get("parameters"),
        "result": span.get("result"),
        "system": span.get("system") if not is_call else None,
        "span": {key: value for key, value in span.items() if key not in _BODIES},
    }


def _parsed(value: str | None) -> Any:
    """JSON text as values; text that is not JSON stays text."""
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return value


def _title(span: Mapping[str, Any]) -> str:
    kind = span.get("kind")
    named = {"llm": "model", "tool": "tool_name", "agent": "agent_name"}.get(kind or "", "name")
    return shorten(span.get(named) or span.get("name") or kind or "span", 120)


#: What evidence is called in a sentence; what is not here speaks for itself.
_SOURCES = {
    "result_id": "the id of its result",
    "tool_text": "the text of a tool call",
    "tool_call": "a tool call",
    "command": "a tool call that started its program",
    "header": "a header of the request",
    "argument": "an argument of a tool call",
    "result": "a tool result",
    "identity": "its system prompt and tools",
    "named": "its name",
    "flow": "the flow of the conversation",
    "handoff": "a hand-off",
    "beside": "the calls beside it",
    "overlap": "calls at the same time",
    "same_task": "the same task",
    "same_answer": "the same answer",
    "time": "the time between calls",
    "first_seen": "the first call that was seen",
}


def _error(span: Mapping[str, Any]) -> dict[str, str] | None:
    if span.get("status") != "error" and not span.get("error"):
        return None
    return {
        "type": span.get("error_type") or "error",
        "text": span.get("error") or "It failed without a message.",
    }


def _facts(span: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Label, value and explanation, only of what is known or matters for the kind."""
    took = text.duration(span.get("duration_ms"))
    facts = [("Latency", took, "From start to end")]
    if span.get("kind") == "tool" and span.get("evidence") == "inferred" and took != text.DASH:
        # seen on the wire alone: from the answer that asked for it to the request that tells of it
        facts = [("Latency", f"≤ {took}", "At most: from the model's answer to the next call")]
    if (held := span.get("held_ms")) is not None:
        facts.append(("Held", text.duration(held), "At a breakpoint; not part of the latency"))
    if span.get("kind") == "llm":
        facts += _usage(span)
    if (started := span.get("start_time")) is not None:
        clock = started.strftime("%H:%M:%S") + f".{started.microsecond // 1000:03d}"
        facts.append(("Started (UTC)", clock, f"{text.moment(started)} UTC"))
    return facts


def _usage(span: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    get = span.get
    ttft, cost = get("ttft_ms"), get("cost_usd")
    facts = [
        ("First token", text.duration(ttft), "Time to first token"),
        ("Tokens in", _exact(get("tokens_input")), "All input, cached tokens included"),
    ]
    parts = (
        ("Cache read", "tokens_cache_read", "Part of the input, read from the prompt cache"),
        ("Cache write", "tokens_cache_write", "Part of the input, written to the prompt cache"),
    )
    facts += [(label, _exact(get(key)), why) for label, key, why in parts if get(key) is not None]
    facts.append(("Tokens out", _exact(get("tokens_output")), "All output, reasoning included"))
    if get("tokens_reasoning") is not None:
        why = "Part of the output, spent on reasoning"
        facts.append(("Reasoning", _exact(get("tokens_reasoning")), why))
    facts.append(("Cost", text.cost(cost), get("cost_note") or "US dollars"))
    if get("finish_reason"):
        facts.append(("Finish", str(get("finish_reason")), "Why the model stopped"))
    return facts


def _exact(number: int | None) -> str:
    return text.DASH if number is None else f"{number:,}"


def _evidence(span: Mapping[str, Any]) -> dict[str, Any] | None:
    if span.get("evidence") != "inferred":
        return None
    named = str(span.get("evidence_source") or "").split("+")
    source = " and ".join(_SOURCES.get(one, one.replace("_", " ")) for one in named if one)
    return {"source": source or None, "confidence": span.get("confidence")}


def _turns(
    span: Mapping[str, Any], api: str, earlier: Sequence[Any] | None
) -> list[dict[str, Any]]:
    messages = span.get("messages")
    resent = _resent(messages, earlier)
    turns = wire.conversation(api, messages, span.get("system"))
    return [
        {
            **_turn(turn),
            "resent": turn.index is not None and turn.index < resent,
        }
        for turn in turns
    ]


def _resent(messages: Any, earlier: Sequence[Any] | None) -> int:
    """How many leading messages the call before had sent already."""
    if not earlier or not isinstance(messages, list):
        return 0
    same = 0
    for now, before in zip(messages, earlier, strict=False):
        if now != before:
            break
        same += 1
    return same


def _answer(span: Mapping[str, Any], api: str) -> dict[str, Any] | None:
    blocks = span.get("response_blocks")
    if isinstance(blocks, list) and blocks:
        shown = _turn(wire.response_turn(api, blocks))
        if shown["parts"]:
            return shown
    if response := span.get("response"):
        plain = {"kind": "text", "text": response}
        return {"role": "assistant", "parts": [plain], "preview": shorten(response, _PREVIEW_CHARS)}
    return None


def _turn(turn: Turn) -> dict[str, Any]:
    parts = [_part(part) for part in turn.parts]
    said = next((part.text for part in turn.parts if part.text), "")
    names = [part.name for part in turn.parts if part.kind == "tool_call" and part.name]
    calls = "→ " + ", ".join(names) if names else ""
    return {"role": turn.role, "parts": parts, "preview": shorten(said, _PREVIEW_CHARS) or calls}


def _part(part: Part) -> dict[str, Any]:
    shown = {
        "kind": part.kind,
        "text": part.text,
        "id": part.id,
        "name": part.name,
        "arguments": _pretty(part.arguments),
        "is_error": part.is_error,
        "media_type": part.media_type,
        "data": part.data,
        "url": part.url,
        "json": None if part.json is None else json.dumps(part.json, indent=2, ensure_ascii=False),
    }
    return {key: value for key, value in shown.items() if value not in (None, "")}


def _pretty(arguments: str | None) -> str | None:
    if arguments is None:
        return None
    try:
        return json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except ValueError:
        return arguments


def _tools(tools: list[Any], within: str = "") -> list[dict[str, str]]:
    """Tool definitions for display; those of a namespace one by one, under its name."""
    shown: list[dict[str, str]] = []
    for tool in tools:
        inner = tool.get("tools") if isinstance(tool, dict) else None
        if isinstance(inner, list):
            shown += _tools(inner, f"{tool.get('name') or tool.get('type')}.")
        else:
            one = _tool(tool)
            shown.append({**one, "name": within + one["name"]})
    return shown


def _tool(tool: Any) -> dict[str, str]:
    """A tool definition of either provider: name, description, schema as JSON text."""
    if not isinstance(tool, dict):
        return {"name": str(tool), "description": "", "schema": ""}
    inner = tool.get("function")
    held = inner if isinstance(inner, dict) else tool
    schema = held.get("input_schema") or held.get("parameters")
    return {
        "name": str(held.get("name") or tool.get("type") or "tool"),
        "description": str(held.get("description") or ""),
        "schema": "" if schema is None else json.dumps(schema, indent=2, ensure_ascii=False),
    }


def _body(span: Mapping[str, Any], api: str) -> dict[str, Any]:
    parameters = dict(_object(span.get("request")))
    if "model" not in parameters and span.get("model"):
        parameters = {"model": span["model"], **parameters}
    tools = span.get("tools")
    return wire.rebuild_body(
        api,
        parameters,
        span.get("system"),
        span.get("messages"),
        tools if isinstance(tools, list) else None,
    )
