"""Another result for one tool call, in the requests that carry it. Pure.

A tool's result reaches the model inside the next request, and again in every later one of that
conversation. Formats say which call a result belongs to by an id; some programs send results as
plain text, which is then found by what it said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tracelake.wire.lenient import array, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A shorter text could stand anywhere.
_TEXT_MIN_CHARS = 8
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "mcp_call_output"})


def with_result(
    body: Mapping[str, Any], *, call_id: str | None, before: str, text: str
) -> dict[str, Any] | None:
    """The body with this text as the result of a tool call.

    Args:
        body: A request of any format, as JSON; it is not changed.
        call_id: The provider's id of the tool call, where the format has one.
        before: The recorded result.
        text: The result to tell instead.

    Returns:
        The new body, or None when the body does not carry that result.
    """
    for key in ("messages", "input"):
        if not isinstance(body.get(key), list):
            continue
        said = array(body[key])
        found = [_by_id(item, call_id, text) for item in said] if call_id else []
        if not any(item is not None for item in found) and len(before) >= _TEXT_MIN_CHARS:
            found = _by_text(said, before, text)
        if any(item is not None for item in found):
            changed = [old if new is None else new for old, new in zip(said, found, strict=True)]
            return {**body, key: changed}
    return None


def _by_id(item: Any, call_id: str, text: str) -> Any:
    """The message or item with the result of that call replaced, None where it holds none."""
    message = mapping(item)
    if message.get("role") == "tool" and message.get("tool_call_id") == call_id:
        return {**message, "content": text}
    if message.get("type") in _OUTPUTS and message.get("call_id") == call_id:
        return {**message, "output": text}
    blocks = [
        {**mapping(block), "content": text, "is_error": False}
        if mapping(block).get("type") == "tool_result"
        and mapping(block).get("tool_use_id") == call_id
        else None
        for block in array(message.get("content"))
    ]
    if not any(blocks):
        return None
    both = zip(array(message["content"]), blocks, strict=True)
    return {**message, "content": [new or old for old, new in both]}


def _by_text(said: list[Any], before: str, text: str) -> list[Any]:
    """The last message that quotes a result, with the other one in its place."""
    found: list[Any] = [None] * len(said)
    for at in range(len(said) - 1, -1, -1):
        message = mapping(said[at])
        if message.get("role") == "assistant":
            continue
        changed = _replaced(message.get("content"), before, text)
        if changed is not None:
            found[at] = {**message, "content": changed}
            break
    return found


def _replaced(content: Any, before: str, text: str) -> Any:
    if isinstance(content, str):
        return content.replace(before, text) if before in content else None
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        for at, part in enumerate(parts):
            block = mapping(part)
            if isinstance(block.get("text"), str) and before in str(block["text"]):
                changed = {**block, "text": str(block["text"]).replace(before, text)}
                return [*parts[:at], changed, *parts[at + 1 :]]
    return None
