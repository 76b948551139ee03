"""The columns of a tool call: what it got, what it gave, and whether it says that it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from tracelake.otlp.messages import parsed, read_messages, text_of
from tracelake.otlp.shapes import chat_shape

if TYPE_CHECKING:
    from tracelake.otlp.spans import OtlpSpan

#: What callbacks of LangChain write around the result of a tool.
_AROUND_RESULT: Final = frozenset({"output", "kwargs"})
#: What others write around arguments that have names.
_AROUND_ARGUMENTS: Final = frozenset({"args", "kwargs", "sanitize_inputs_outputs"})
#: Span events that hold the arguments and the result of a tool, as Strands writes them.
_GIVEN, _RETURNED = "gen_ai.tool.message", "gen_ai.choice"


def tool_columns(span: OtlpSpan, fields: dict[str, Any]) -> dict[str, Any]:
    """The columns of a tool call.

    Args:
        span: The span.
        fields: What its attributes tell, by the names of `conventions.FIELDS`.
    """
    events = {event.name: event.attributes for event in span.events}
    given = _first(fields, "parameters", "input", "own_input")
    if given is None and _GIVEN in events:
        given = events[_GIVEN].get("content")
    returned = _first(fields, "result", "output", "own_output")
    if returned is None and _RETURNED in events:
        returned = events[_RETURNED].get("message")
    columns: dict[str, Any] = {
        "tool_name": plain(_first(fields, "tool_name", "entity", "own_name")) or span.name,
        "tool_call_id": _call_id(fields.get("tool_call_id")),
        "parameters": _arguments(parsed(given)),
    }
    return {**columns, **_result(returned, columns["tool_call_id"])}


def plain(value: Any) -> str | None:
    """A value as text, JSON where it is none; None for nothing."""
    if value is None or value in ("", {}):
        return None
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _first(fields: dict[str, Any], *names: str) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _call_id(value: Any) -> str | None:
    """The id of the call; some write it as JSON, some a word in its place."""
    told = plain(parsed(value))
    return None if told is None or told.startswith("<") else told


def _arguments(given: Any) -> Any:
    """What the tool got, out of what traceloop, decorators and LlamaIndex write around it."""
    if isinstance(given, dict) and "input_str" in given:
        inputs = cast("dict[str, Any]", given).get("inputs")
        return inputs if isinstance(inputs, dict) else given["input_str"]
    if isinstance(given, dict) and given.keys() <= _AROUND_ARGUMENTS and not given.get("args"):
        return cast("dict[str, Any]", given).get("kwargs", given)
    return given


def _result(returned: Any, call_id: str | None) -> dict[str, Any]:
    """What the tool gave; a message of a framework is taken for what it says."""
    value = parsed(returned)
    if isinstance(value, dict) and "output" in value and value.keys() <= _AROUND_RESULT:
        value = returned = cast("dict[str, Any]", value)["output"]
    if isinstance(value, dict) and isinstance(value.get("blocks"), list):  # LlamaIndex
        value = cast("dict[str, Any]", value)["blocks"]
    if not isinstance(value, dict):
        return {"result": _said(value) or plain(value if isinstance(value, str) else returned)}
    if not value:
        return {"result": None}
    message = chat_shape(cast("dict[str, Any]", value))
    if message.get("role") != "tool" or "content" not in message:
        return {"result": plain(returned)}
    content = message["content"]
    columns: dict[str, Any] = {
        "result": content if isinstance(content, str) else _said(content) or plain(content),
        "tool_call_id": call_id or plain(message.get("tool_call_id")),
    }
    if message.get("status") == "error":
        columns |= {"status": "error", "error": columns["result"]}
    return columns


def _said(value: Any) -> str | None:
    """The text of content blocks; None for anything else."""
    blocks = cast("list[Any]", value) if isinstance(value, list) else []
    if not blocks or not all(isinstance(block, dict) and "text" in block for block in blocks):
        return None
    return "\n".join(map(text_of, read_messages([{"role": "tool", "content": blocks}])))
