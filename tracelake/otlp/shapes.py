"""Messages as frameworks write them down, made into ones of the chat format.

    conversation_in(value) -> the list of messages inside of a request or answer, or the value
    chat_shape(item) -> one message with `role`, `content` or `parts`, and `tool_calls`

Shapes: LangChain (`{lc, id, kwargs}`, `{type: human, data}`, generations), Vercel's AI SDK (parts
`tool-call`, `tool-result`), Gemini (`parts` without a type), a choice of the chat format.
"""

from __future__ import annotations

from typing import Any, Final, cast

Message = dict[str, Any]

_ROLES: Final = {
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "functionmessage": "tool",
    "model": "assistant",
}
#: What LangChain calls its messages by `type`, where that is no type of a content block.
_TYPES: Final = frozenset({*_ROLES, "system", "tool", "function", "developer"})
#: Keys under which a request or an answer holds its messages.
_HOLDERS: Final = ("messages", "generations", "choices", "contents", "input_messages")


def conversation_in(value: Message) -> Any:
    """The list of messages in a request or an answer of any framework; else the value itself."""
    for key in _HOLDERS:
        if isinstance(value.get(key), list) and not ("role" in value or "type" in value):
            return value[key]
    return value


def chat_shape(item: Message) -> Message:
    """A message of the chat format."""
    if isinstance(item.get("message"), dict):  # a choice, a generation, OpenInference
        outer, item = item, cast("Message", item["message"])
        if outer.get("finish_reason"):
            item = {**item, "finish_reason": outer["finish_reason"]}
    if isinstance(item.get("kwargs"), dict) and isinstance(item.get("id"), list):
        named = str(cast("list[Any]", item["id"])[-1]).lower()
        item = {"role": _ROLES.get(named, named), **cast("Message", item["kwargs"])}
    elif isinstance(item.get("data"), dict) and item.get("type") in _TYPES:
        item = {"role": item["type"], **cast("Message", item["data"])}
    elif "role" not in item and "content" in item and item.get("type") in _TYPES:
        item = {**item, "role": item["type"]}
    if item.get("role") in _ROLES:
        item = {**item, "role": _ROLES[item["role"]]}
    content = item.get("content")
    if isinstance(content, dict) and isinstance(cast("Message", content).get("parts"), list):
        item = {**item, **cast("Message", content)}  # a candidate of Gemini
        return chat_shape({k: v for k, v in item.items() if k != "content"})
    if isinstance(content, list) and any(map(_is_vercel, cast("list[Any]", content))):
        return {**item, "content": None, "parts": [_part(part) for part in cast("Any", content)]}
    if isinstance(item.get("parts"), list):
        return {**item, "parts": [_part(part) for part in cast("list[Any]", item["parts"])]}
    return item


def calls_in(value: Any) -> list[Message]:
    """Tool calls of Vercel's `ai.response.toolCalls`."""
    calls = cast("list[Any]", value) if isinstance(value, list) else []
    return [_part({"type": "tool-call", **call}) for call in calls if isinstance(call, dict)]


def _is_vercel(part: Any) -> bool:
    return isinstance(part, dict) and (
        "toolCallId" in part or cast("Message", part).get("type") == "reasoning"
    )


def _part(part: Any) -> Any:
    """A part as the GenAI conventions have it, where Vercel or Gemini have it otherwise."""
    if not isinstance(part, dict):
        return part
    part = cast("Message", part)
    if "toolCallId" in part:
        about = {"id": part["toolCallId"], "name": part.get("toolName")}
        if part.get("type") == "tool-result":
            result: Any = part.get("output", part.get("result"))
            if isinstance(result, dict) and "value" in result:
                result = cast("Message", result)["value"]
            return {"type": "tool_call_response", **about, "response": result}
        return {"type": "tool_call", **about, "arguments": part.get("input", part.get("args"))}
    if part.get("type") in {"text", "reasoning"} and "content" not in part and "text" in part:
        return {"type": part["type"], "content": part["text"]}
    if "type" in part:
        return part
    for key, kind in (("function_call", "tool_call"), ("functionCall", "tool_call")):
        if isinstance(part.get(key), dict):
            call = cast("Message", part[key])
            return {"type": kind, **call, "arguments": call.get("args")}
    for key in ("function_response", "functionResponse"):
        if isinstance(part.get(key), dict):
            return {"type": "tool_call_response", **cast("Message", part[key])}
    if isinstance(part.get("text"), str):
        kind = "reasoning" if part.get("thought") else "text"
        return {"type": kind, "content": part["text"]}
    return part
