"""Conversations of every convention as messages of the chat format, which the app shows and edits.

    read_messages(value) -> list of messages     JSON text or values, of any of the shapes below
    unnumbered(pairs) -> nested values           `0.message.role` and the like
    choice_of(messages, finish_reason) -> what `response_blocks` holds

Shapes: `{role, parts: [{type, content}]}` (GenAI), `{message: {role, content, contents,
tool_calls}}` (OpenInference), `{role, content, tool_calls}` (chat, traceloop), text, and those of
`shapes`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import orjson

from tracelake.otlp.shapes import chat_shape, conversation_in, is_definition

if TYPE_CHECKING:
    from collections.abc import Iterable

Message = dict[str, Any]
_OPENING = ("[", "{", '"')
#: Beginnings of text that may be JSON, spaces first.
_UNSURE = frozenset({*_OPENING, "", " ", "\n", "\t", "\r"})
_ROLES = frozenset({"system", "user", "assistant", "tool", "developer"})


def parsed(value: Any) -> Any:
    """JSON text as what it stands for; anything else, and text that is no JSON, as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in _OPENING:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def read_messages(value: Any, *, role: str = "user") -> list[Message]:
    """Messages of the chat format.

    Args:
        value: What an instrumentation wrote: text, JSON text, or values.
        role: Of text and of messages without one.
    """
    value = parsed(value)
    if isinstance(value, str):
        return [{"role": role, "content": value}] if value else []
    if isinstance(value, dict):
        inner = conversation_in(value)
        if inner is value:
            return _read_message(value, role)
        value = inner
    if not isinstance(value, list):
        return []
    messages: list[Message] = []
    for item in value:
        if isinstance(item, dict):
            if is_definition(item):
                continue
            messages += _read_message(item, role)
        elif isinstance(item, list):  # batches of one conversation each
            messages += read_messages(item, role=role)
        elif isinstance(item, str):
            messages.append({"role": role, "content": item})
    return messages


def system_text(value: Any) -> str:
    """The text of system instructions: text, or parts of it."""
    value = parsed(value)
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _text(value.get("content", value.get("text")))
    parts = value if isinstance(value, list) else []
    return "\n\n".join(filter(None, (system_text(part) for part in parts)))


def read_tools(value: Any) -> list[Any]:
    """Tool definitions of the chat format."""
    value = parsed(value)
    found: list[Any] = []
    for item in value if isinstance(value, list) else []:
        tool = parsed(item)
        if isinstance(tool, dict) and isinstance(tool.get("tool"), dict):  # OpenInference
            tool = parsed(tool["tool"].get("json_schema", tool["tool"]))
        if not isinstance(tool, dict):
            continue
        if "name" in tool and "function" not in tool:
            function = {key: parsed(part) for key, part in tool.items() if key != "type"}
            for key in ("input_schema", "inputSchema"):
                if key in function:
                    function["parameters"] = function.pop(key)
            tool = {"type": "function", "function": function}
        found.append(tool)
    return found


def choice_of(messages: list[Message], finish_reason: str | None) -> list[Message]:
    """Output messages as the one choice of a chat answer; what several say is put together."""
    if not messages:
        return []
    texts = [text for message in messages if (text := text_of(message))]
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    thoughts = [m["reasoning_content"] for m in messages if m.get("reasoning_content")]
    content: Any = "\n".join(texts) or None
    if len(messages) == 1 and isinstance(messages[0].get("content"), list):
        content = messages[0]["content"]
    message: Message = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    choice: Message = {"index": 0, "message": message}
    return [choice if finish_reason is None else {**choice, "finish_reason": finish_reason}]


def text_of(message: Message) -> str:
    """The text of a message of the chat format."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def unnumbered(pairs: Iterable[tuple[str, Any]]) -> Any:
    """Values whose names are paths (`0.message.role`) as nested lists and objects.

    Gaps in the numbers are closed: exporters drop attributes.
    """
    tree: dict[Any, Any] = {}
    node: Any
    for path, value in pairs:
        steps, last = _steps(path)
        node = tree
        for step in steps:
            below = node.get(step)
            if type(below) is not dict:
                below = node[step] = {} if below is None else {"": below}
            node = below
        node[last] = value
    return _listed(tree)


@functools.lru_cache(maxsize=16384)
def _steps(path: str) -> tuple[tuple[str | int, ...], str | int]:
    """The steps of a path, numbers as such, and the last one; programs have few paths."""
    steps = [int(s) if s.isdecimal() and len(s) < 9 else s for s in path.split(".")]
    return tuple(steps[:-1]), steps[-1]


def _listed(node: dict[Any, Any]) -> Any:
    """The object, or where all its names are numbers a list."""
    numbers = 0
    for key, value in node.items():
        if type(value) is dict:
            node[key] = _listed(value)
        if type(key) is int:
            numbers += 1
    if not numbers:
        return node
    if numbers == len(node):
        return [node[key] for key in sorted(node)]
    return {str(key): value for key, value in node.items()}


def _read_message(item: dict[str, Any], role: str) -> list[Message]:
    inner = item.get("message")
    said = inner if isinstance(inner, dict) and len(item) == 1 else item
    content = said.get("content")
    if isinstance(content, str) and content[:1] not in _UNSURE and _is_plain(said):
        return [{"role": said["role"], "content": content}]
    item = chat_shape(item)
    role = _text(item.get("role")) or role
    if isinstance(item.get("parts"), list):
        return _of_parts(role, item)
    if isinstance(item.get("contents"), list):
        item = {**item, "content": _of_contents(item)}
    message: Message = {"role": role, "content": parsed_content(item.get("content"))}
    for key in ("name", "tool_call_id", "reasoning_content", "refusal", "finish_reason"):
        if item.get(key):
            message[key] = item[key]
    if role == "tool" and "tool_call_id" not in message and item.get("id"):
        message["tool_call_id"] = item["id"]
    calls = parsed(item.get("tool_calls"))
    calls = (
        [_tool_call(call) for call in calls if isinstance(call, dict)]
        if isinstance(calls, list)
        else []
    )
    if calls:
        message["tool_calls"] = calls
    if isinstance(inner, dict) is False and not calls and message["content"] is None:
        return [{**item, "role": role}] if len(item) > 1 else []
    return [message]


def _is_plain(message: dict[str, Any]) -> bool:
    """Whether a message has nothing but a role and content, as nearly all have."""
    role = message.get("role")
    return len(message) == 2 and isinstance(role, str) and role in _ROLES


def parsed_content(content: Any) -> Any:
    """Content of a message: content blocks where its text is the JSON of some, else the text."""
    blocks = parsed(content)
    if isinstance(blocks, list) and all(isinstance(b, dict) and "type" in b for b in blocks):
        return blocks
    return content


def _of_contents(item: dict[str, Any]) -> Any:
    """Content of OpenInference's `contents`; what `tool_calls` says too is left out."""
    parts: list[Message] = []
    for entry in item["contents"]:
        content = entry.get("message_content") if isinstance(entry, dict) else None
        if not isinstance(content, dict):
            continue
        kind = content.get("type")
        image = content.get("image")
        if isinstance(image, dict):
            inner = image.get("image")
            url = inner.get("url") if isinstance(inner, dict) else image.get("url")
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif isinstance(content.get("text"), str) and kind != "tool_use":
            name = "thinking" if kind == "reasoning" else "text"
            parts.append({"type": name, name: content["text"]})
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts or item.get("content")


def _of_parts(role: str, item: dict[str, Any]) -> list[Message]:
    """A message of the GenAI conventions; each tool result is a message of its own."""
    content: list[Message] = []
    calls: list[Message] = []
    results: list[Message] = []
    thoughts: list[str] = []
    for part in item["parts"]:
        if not isinstance(part, dict):
            continue
        match part.get("type"):
            case "text":
                content.append({"type": "text", "text": _text(part.get("content"))})
            case "reasoning" | "thinking":
                thoughts.append(_text(part.get("content")))
            case "tool_call":
                calls.append(_tool_call(part))
            case "tool_call_response":
                said = part.get("response", part.get("result", part.get("content")))
                results.append(
                    {"role": "tool", "tool_call_id": part.get("id"), "content": _text(said)}
                )
            case "blob":
                media = part.get("mime_type") or "application/octet-stream"
                url = f"data:{media};base64,{_text(part.get('content'))}"
                content.append({"type": "image_url", "image_url": {"url": url}})
            case "uri" | "image-url":
                url = part.get("uri") or part.get("url")
                content.append({"type": "image_url", "image_url": {"url": url}})
            case _:
                content.append({"type": "text", "text": _text(part)})
    if not content and not calls and not thoughts and results:
        return results
    only_text = len(content) == 1 and content[0]["type"] == "text"
    message: Message = {"role": role, "content": content[0]["text"] if only_text else content}
    if not content:
        message["content"] = None
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    for key in ("name", "finish_reason"):
        if item.get(key):
            message[key] = item[key]
    return [message, *results]


def _tool_call(call: dict[str, Any]) -> Message:
    """A tool call of any shape as one of the chat format."""
    inner = call.get("tool_call")
    call = inner if isinstance(inner, dict) else call
    function = call.get("function")
    function = function if isinstance(function, dict) else call
    arguments = function.get("arguments", function.get("input", function.get("args")))
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else _text(arguments)
    return {
        "id": call.get("id"),
        "type": "function",
        "function": {"name": _text(function.get("name")), "arguments": arguments},
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value, default=str).decode()
