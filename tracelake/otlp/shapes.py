"""Messages as frameworks write them down, made into ones of the chat format.

    conversation_in(value) -> the list of messages inside of a request or answer, or the value
    chat_shape(item) -> one message with `role`, `content` or `parts`, and `tool_calls`

Shapes: LangChain (`{lc, id, kwargs}`, `{type: human, data}`, generations), Vercel's AI SDK (parts
`tool-call`, `tool-result`), Gemini (`parts` without a type), Bedrock's Converse (`toolUse`,
`toolResult`), items of OpenAI's Responses, a choice of the chat format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Collection

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
#: Those that tell by themselves what they are in.
_SURE: Final = frozenset({"generations", "choices"})
#: Parts of Bedrock's Converse, which have no type but a name.
_NAMED: Final = frozenset({"text", "toolUse", "toolResult", "reasoningContent"})
#: Items of OpenAI's Responses that are no messages.
_ITEMS: Final = frozenset({"function_call", "function_call_output", "reasoning"})


def conversation_in(value: Message) -> Any:
    """The list of messages in a request or an answer of any framework; else the value itself."""
    for key in _HOLDERS:
        held = value.get(key)
        if isinstance(held, list) and (key in _SURE or not ("role" in value or "type" in value)):
            return held
    if value.get("object") == "response" and isinstance(value.get("output"), list):
        return value["output"]
    asked = value.get("input")
    if isinstance(asked, str | list) and "instructions" in value:  # a request to Responses
        items: list[Any] = (
            [{"role": "user", "content": asked}] if isinstance(asked, str) else [*asked]
        )
        told = value["instructions"]
        return [{"role": "system", "content": told}, *items] if isinstance(told, str) else items
    return value


def definitions_in(value: Any) -> list[Any]:
    """Tool definitions inside of a request, or among its messages, where Langfuse puts them."""
    if isinstance(value, dict):
        tools = cast("Message", value).get("tools")
        return cast("list[Any]", tools) if isinstance(tools, list) else []
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Message", item)["content"] for item in items if is_definition(item)]


def is_definition(item: Any) -> bool:
    """Whether a message is none, but the definition of a tool."""
    content = cast("Message", item).get("content") if isinstance(item, dict) else None
    return isinstance(content, dict) and "function" in content and "role" in item


def chat_shape(item: Message) -> Message:
    """A message of the chat format."""
    if isinstance(item.get("message"), dict):  # a choice, a generation, OpenInference
        outer, item = item, cast("Message", item["message"])
        about = outer.get("generation_info")
        about = cast("Message", about) if isinstance(about, dict) else outer
        if why := outer.get("finish_reason") or about.get("finish_reason"):
            item = {**item, "finish_reason": why}
    if isinstance(item.get("kwargs"), dict) and isinstance(item.get("id"), list) and item["id"]:
        named = str(cast("list[Any]", item["id"])[-1]).lower()
        ended = {"finish_reason": item["finish_reason"]} if "finish_reason" in item else {}
        item = {"role": _ROLES.get(named, named), **ended, **cast("Message", item["kwargs"])}
    elif isinstance(item.get("data"), dict) and _is_one_of(item.get("type"), _TYPES):
        item = {"role": item["type"], **cast("Message", item["data"])}
    elif "role" not in item and "content" in item and _is_one_of(item.get("type"), _TYPES):
        item = {**item, "role": item["type"]}
    if _is_one_of(item.get("role"), _ROLES):
        item = {**item, "role": _ROLES[item["role"]]}
    if _is_one_of(item.get("type"), _ITEMS) and "role" not in item:
        return _of_item(item)
    content = _named_parts(item.get("content"))
    if content is not None:
        return {**item, "content": None, "parts": [_of_named(part) for part in content]}
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


def _is_one_of(value: Any, known: Collection[str]) -> bool:
    """Whether a value, whatever it is, is one of these texts."""
    return isinstance(value, str) and value in known


def _of_item(item: Message) -> Message:
    """An item of OpenAI's Responses as a message."""
    call_id = item.get("call_id")
    if item["type"] == "function_call_output":
        return {"role": "tool", "tool_call_id": call_id, "content": item.get("output")}
    if item["type"] == "function_call":
        return {"role": "assistant", "content": None, "tool_calls": [{**item, "id": call_id}]}
    told = item.get("summary") or item.get("content")
    thoughts = cast("list[Any]", told) if isinstance(told, list) else []
    parts = [{"type": "reasoning", "content": t.get("text")} for t in thoughts if _is_text(t)]
    return {"role": "assistant", "parts": parts}


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(cast("Message", part).get("text"), str)


def _named_parts(content: Any) -> list[Message] | None:
    """The parts of content in the form of Bedrock's Converse; None for content of another form."""
    if isinstance(content, str):
        if not content.startswith('[{"'):
            return None
        try:
            content = orjson.loads(content)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(content, list) or not content:
        return None
    parts = cast("list[Any]", content)
    named = all(isinstance(part, dict) and part.keys() <= _NAMED for part in parts)
    return parts if named else None


def _of_named(part: Message) -> Message:
    """A part of Bedrock's Converse as one of the GenAI conventions."""
    if isinstance(used := part.get("toolUse"), dict):
        call = cast("Message", used)
        about = {"id": call.get("toolUseId"), "name": call.get("name")}
        return {"type": "tool_call", **about, "arguments": call.get("input")}
    if isinstance(returned := part.get("toolResult"), dict):
        result = cast("Message", returned)
        said = result.get("content")
        blocks = cast("list[Any]", said) if isinstance(said, list) else []
        if blocks and all(map(_is_text, blocks)):
            said = "\n".join(block["text"] for block in blocks)
        return {"type": "tool_call_response", "id": result.get("toolUseId"), "response": said}
    if isinstance(thought := part.get("reasoningContent"), dict):
        told = cast("Message", thought).get("reasoningText")
        text: Any = cast("Message", told).get("text") if isinstance(told, dict) else told
        return {"type": "reasoning", "content": text}
    return {"type": "text", "content": part.get("text")}


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
