"""One view of a conversation for every provider format: turns of parts.

`conversation` is for display and editing; `atoms_of` flattens turns into what inference and replay
compare. Both come from the same reading, so that what the user sees is what was compared.

Invariant: a turn says by `index` which native message or item it was read from, so that an editor
can change that one; the turn made of a separate system field has none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tracelake.wire import blocks as _blocks
from tracelake.wire import items as _items
from tracelake.wire.call import Atom
from tracelake.wire.lenient import array, dump, mapping, objects, string
from tracelake.wire.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracelake.wire.lenient import JsonObject

Role = Literal["system", "developer", "user", "assistant"]

#: Roles of the message formats as this package names them; a result goes back as the user's.
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "tool": "user",
    "function": "user",
    "tool-response": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool-call": "assistant",
}
#: Type of the block that keeps an answer which could not be read.
UNREAD = "unread"
INSTRUCTING: frozenset[str] = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said at once.

    Attributes:
        index: Place in the native messages or items; None for the separate system field.
    """

    role: str
    parts: tuple[Part, ...]
    index: int | None = None

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks."""
        return "\n".join(part.text for part in self.parts if part.kind == "text" and part.text)


def conversation(api: str | None, messages: Any, system: str | None = None) -> list[Turn]:
    """The turns of a request, in order; results carry the name of the tool that was called.

    Args:
        api: Wire format, or None for a plain list of role and content.
        messages: Native `messages`, `input` or `prompt`: text, messages or items, or None.
        system: System prompt as text, given first unless the messages open with it themselves.
    """
    turns = _named(read_turns(api, messages))
    if system and not (turns and turns[0].role in INSTRUCTING):
        return [Turn("system", (Part("text", text=system),)), *turns]
    return turns


def read_turns(api: str | None, messages: Any) -> list[Turn]:
    """The turns of native messages or items, one for each that says anything."""
    if isinstance(messages, str):
        return [Turn("user", (Part("text", text=messages),), 0)]
    if isinstance(messages, dict):
        messages = [messages]
    if _are_tokens(messages):
        return [Turn("user", (_tokens(messages),), 0)]
    turns: list[Turn] = []
    for index, message in enumerate(array(messages)):
        if isinstance(message, str):
            turns.append(Turn("user", (Part("text", text=message),), index))
        elif _are_tokens(message):
            turns.append(Turn("user", (_tokens(message),), index))
        elif isinstance(message, dict):
            role, parts = _read_message(api, mapping(message))
            if parts:
                turns.append(Turn(role, tuple(parts), index))
    return turns


def _named(turns: list[Turn]) -> list[Turn]:
    """Results with the name of their tool, which some formats tell with the call alone."""
    called: dict[str | None, str | None] = {}
    named: list[Turn] = []
    for turn in turns:
        parts = tuple(
            replace(part, name=part.name or called.get(part.id))
            if part.kind == "tool_result"
            else part
            for part in turn.parts
        )
        called |= {part.id: part.name for part in parts if part.kind == "tool_call" and part.id}
        named.append(replace(turn, parts=parts))
    return named


def _are_tokens(value: Any) -> bool:
    """Whether a prompt or an input is given as the numbers of its tokens."""
    return isinstance(value, list) and bool(value) and all(type(n) is int for n in array(value))


def _tokens(numbers: list[int]) -> Part:
    return Part("other", text=dump(numbers), json=numbers)


def response_turn(api: str, blocks: Sequence[Any]) -> Turn:
    """The answer as one turn of the assistant; of several choices the first.

    Args:
        api: Wire format.
        blocks: Native content as `Response.blocks` holds it.
    """
    parts: list[Part] = [
        Part("other", text=string(block.get("text")), json=block)
        for block in objects(list(blocks))
        if block.get("type") == UNREAD
    ]
    if parts:
        return Turn("assistant", tuple(parts))
    if api in {"chat", "completions"}:
        first = next(iter(objects(list(blocks))), {})
        message = mapping(first.get("message"))
        if not message and isinstance(first.get("text"), str):
            parts.append(Part("text", text=first["text"]))
        parts += _message_parts(message)
    elif api in {"ollama_chat", "ollama_generate"}:
        for message in objects(list(blocks)):
            parts += _message_parts(message)
    elif api in {"messages", "responses"}:
        for block in objects(list(blocks)):
            parts += _read_message(api, block)[1]
    return Turn("assistant", tuple(parts))


def atoms_of(turns: Iterable[Turn]) -> tuple[Atom, ...]:
    """The parts of all turns in order, without empty text."""
    found = (_atom(turn.role, part) for turn in turns for part in turn.parts)
    return tuple(atom for atom in found if atom is not None)


def system_text(turns: Sequence[Turn]) -> str:
    """The text of the system and developer turns that open a conversation."""
    return "\n\n".join(turn.text for turn in leading(turns) if turn.text)


def leading(turns: Sequence[Turn]) -> list[Turn]:
    """The system and developer turns that open a conversation."""
    head: list[Turn] = []
    for turn in turns:
        if turn.role not in INSTRUCTING:
            break
        head.append(turn)
    return head


def _read_message(api: str | None, message: JsonObject) -> tuple[str, list[Part]]:
    """Role and parts of a message, of a Responses item, or of a lone content block."""
    kind = message.get("type")
    is_item = isinstance(kind, str) and kind != "message"
    if is_item and (api == "responses" or "role" not in message):
        item = _items.read_item(message)
        if item is not None:
            return item
        return "assistant", _blocks.read_blocks([message])
    role = string(message.get("role")) or "user"
    return _ROLES.get(role, role), _message_parts(message)


def _message_parts(message: JsonObject) -> list[Part]:
    """The parts of one message of the chat, Anthropic or Ollama kind, whichever keys it has."""
    if string(message.get("role")) in {"tool", "function"}:
        return _blocks.result_parts(
            message.get("content"),
            message.get("tool_call_id"),
            name=message.get("name") or message.get("tool_name"),
        )
    parts = _blocks.reasoning_parts(message)
    parts += _blocks.read_blocks(message.get("content"))
    if refusal := string(message.get("refusal")):
        parts.append(Part("text", text=refusal, refusal=True))
    parts += _blocks.attached_images(message.get("images"))
    parts += _blocks.audio_parts(message.get("audio"))
    calls = array(message.get("tool_calls"))
    legacy = mapping(message.get("function_call"))
    parts += [_blocks.call_part(call) for call in objects(calls)]
    if legacy.get("name"):
        parts.append(_blocks.call_part({"function": legacy}))
    return parts


def _atom(role: str, part: Part) -> Atom | None:
    if part.kind == "text":
        return Atom(role, "text", part.text) if part.text.strip() else None
    if part.kind == "thinking":
        return Atom(role, "thinking", part.text)
    if part.kind == "tool_call":
        return Atom(role, "tool_call", id=part.id, name=part.name, arguments=part.arguments)
    if part.kind == "tool_result":
        return Atom(
            "user", "tool_result", part.text, id=part.id, name=part.name, is_error=part.is_error
        )
    if part.kind == "image":
        return Atom(role, "media", _digest(part.data or part.url or dump(part.json)))
    if part.media:
        return Atom(role, "media", _digest(dump(part.json)))
    return Atom(role, "other", part.text or dump(part.json))


def _digest(content: str) -> str:
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=16).hexdigest()
