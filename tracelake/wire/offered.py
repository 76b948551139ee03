"""Tools that the Responses format takes as items of the input, beside or in place of its field.

An item `additional_tools` offers its tools from its place in the conversation on. Source:
https://platform.openai.com/docs/api-reference/responses/create (input items).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.lenient import array, objects

if TYPE_CHECKING:
    from tracelake.wire.lenient import JsonObject

_ITEM = "additional_tools"


def is_offer(item: Any) -> bool:
    """Whether an item of the input offers tools."""
    return isinstance(item, dict) and item.get("type") == _ITEM  # pyright: ignore[reportUnknownMemberType]


def offered_tools(api: str, messages: Any) -> list[Any]:
    """The tools that items of the input offer, in order."""
    if api != "responses" or not isinstance(messages, list):
        return []
    offers = (item for item in objects(messages) if is_offer(item))
    return [tool for item in offers for tool in array(item.get("tools"))]


def with_offered_tools(messages: list[Any], tools: list[Any]) -> list[Any]:
    """The input with these tools in its first offer, and no other offer."""
    changed: list[Any] = []
    left: list[Any] | None = tools
    for item in messages:
        if not is_offer(item):
            changed.append(item)
        elif left is not None:
            offer: JsonObject = {**item, "tools": left}
            changed.append(offer)
            left = None
    return changed
