"""Native messages as pieces that a person can edit, and the edits put back.

Text is edited as text; what is not text (tool calls, images, results with structure) as JSON.
Invariant: putting back what was not edited changes nothing.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

Path = tuple[str | int, ...]
#: Keys of a content block that hold its text, by the type of the block.
_TEXT_KEYS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "thinking": "thinking",
    "refusal": "refusal",
    "tool_result": "content",
}
#: Keys of a message or item that hold text when they are plain strings.
_PLAIN_KEYS = ("content", "output", "refusal")
#: Roles that a message may be given, per format.
ROLES: dict[str, tuple[str, ...]] = {
    "messages": ("user", "assistant"),
    "chat": ("user", "assistant", "system", "developer", "tool"),
    "responses": ("user", "assistant", "system", "developer"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One editable piece of a message.

    Attributes:
        path: Keys and indices from the message to the value; empty for the whole message.
        kind: text, or json for a value edited as JSON.
        label: What it is, for example `tool_use grep`.
        value: The text, or the JSON text, indented.
    """

    path: Path
    kind: Literal["text", "json"]
    label: str
    value: str

    def of(self, message: Any) -> Field:
        """The same piece of a message that was edited since: with the value it has there."""
        held = message
        for step in self.path:
            held = held[step]
        return replace(self, value=dump(held) if self.kind == "json" else held)


def fields_of(message: Any) -> tuple[Field, ...]:
    """The editable pieces of one native message or item, in order."""
    if isinstance(message, str):
        return (Field((), "text", "text", message),)
    if not isinstance(message, dict):
        return (Field((), "json", "item", dump(message)),)
    found = [
        Field((key,), "text", "text" if key == "content" else key, message[key])
        for key in _PLAIN_KEYS
        if isinstance(message.get(key), str)
    ]
    content = message.get("content")
    if isinstance(content, list):
        found += [_block_field(index, block) for index, block in enumerate(content)]
    if message.get("tool_calls"):
        found.append(Field(("tool_calls",), "json", "tool calls", dump(message["tool_calls"])))
    if not found:
        found.append(Field((), "json", str(message.get("type") or "message"), dump(message)))
    return tuple(found)


def with_field(message: Any, field: Field, value: str) -> Any:
    """The message with one piece set to an edited value.

    Raises:
        ValueError: The piece is edited as JSON and the value is none; says where.
    """
    if value == field.value:
        return message
    new: Any = value
    if field.kind == "json":
        new = from_json(value, field.label)
    if not field.path:
        return new
    changed = copy.deepcopy(message)
    holder = changed
    for step in field.path[:-1]:
        holder = holder[step]
    holder[field.path[-1]] = new
    return changed


def from_json(text: str, what: str, *, kind: type[list[Any] | dict[str, Any]] | None = None) -> Any:
    """The value of JSON that a person typed.

    Args:
        text: As it was typed.
        what: Names it in the message.
        kind: Of the value, where only one will do.

    Raises:
        ValueError: It is no JSON, or of another kind; says where.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{what} is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise ValueError(f"{what} is nested too deeply to read") from error
    if kind is not None and not isinstance(value, kind):
        wanted = "list" if kind is list else "object"
        raise ValueError(f"{what} is not a JSON {wanted}")
    return value


def new_message(api: str, role: str = "user", text: str = "") -> dict[str, Any]:
    """A message to add to a conversation of a format."""
    if api == "responses":
        kind = "output_text" if role == "assistant" else "input_text"
        return {"role": role, "content": [{"type": kind, "text": text}]}
    return {"role": role, "content": text}


def as_list(api: str, messages: Any) -> list[Any]:
    """Messages as a list; a plain string becomes the user's only message."""
    if isinstance(messages, str):
        return [new_message(api, "user", messages)]
    return list(messages or [])


def role_of(message: Any) -> str:
    """The role of a message, or the type of an item that has none."""
    if not isinstance(message, dict):
        return "user"
    return str(message.get("role") or message.get("type") or "user")


def dump(value: Any) -> str:
    """JSON for editing: indented, as written, nothing escaped that need not be."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _block_field(index: int, block: Any) -> Field:
    if isinstance(block, str):
        return Field(("content", index), "text", "text", block)
    kind = str(block.get("type") or "block") if isinstance(block, dict) else "block"
    key = _TEXT_KEYS.get(kind)
    if key and isinstance(block.get(key), str):
        return Field(("content", index, key), "text", kind.replace("_", " "), block[key])
    name = block.get("name") if isinstance(block, dict) else None
    label = f"{kind.replace('_', ' ')} {name}" if name else kind.replace("_", " ")
    return Field(("content", index), "json", label, dump(block))
