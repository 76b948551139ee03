"""OpenAI Chat Completions, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.conversion.content import THINKING, data_url, parsed, read_content, read_result
from tracelake.wire.conversion.prompt import (
    Message,
    Notes,
    Piece,
    Prompt,
    Role,
    arguments_of,
    text_of,
)
from tracelake.wire.lenient import JsonObject, mapping, objects, string

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system", "developer": "system"}
_RESULTS = frozenset({"tool", "function"})
_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
#: Keys of a message that are read; any other is named as lost.
_READ = frozenset({"role", "content", "tool_calls", "function_call", "tool_call_id", "refusal"})


def read(body: JsonObject, notes: Notes) -> Prompt:
    """The prompt of a body; leading system messages are its system prompt."""
    said: list[Message] = []
    for message in objects(body.get("messages")):
        role = string(message.get("role"))
        pieces = _pieces(message, role, notes)
        if pieces:
            said.append(Message(_ROLES.get(role, "user"), tuple(pieces)))
    head = next((n for n, message in enumerate(said) if message.role != "system"), len(said))
    system = "\n\n".join(text for m in said[:head] if (text := text_of(m.pieces)))
    return Prompt(system=system, messages=said[head:])


def write(prompt: Prompt, notes: Notes) -> JsonObject:
    """The messages of a body, the system prompt the first of them."""
    said: list[JsonObject] = []
    if prompt.system:
        said.append({"role": "system", "content": prompt.system})
    moved: list[Piece] = []
    for message in prompt.messages:
        if moved and not message.is_only("result"):
            # not before: the results of one round of calls stand together
            said.append({"role": "user", "content": _parts(moved, notes)})
            moved = []
        said += _written(message, notes, moved)
    if moved:
        said.append({"role": "user", "content": _parts(moved, notes)})
    return {"messages": said}


def _pieces(message: JsonObject, role: str, notes: Notes) -> list[Piece]:
    if role in _RESULTS:
        name = string(message.get("name"))
        call_id = message.get("tool_call_id")
        return [read_result(message.get("content"), call_id, notes, name=name)]
    if any(message.get(key) for key in _REASONING):
        notes.lose(THINKING)
    for key in message.keys() - _READ - {*_REASONING}:
        if message[key] not in (None, False, [], ""):
            notes.lose("message keys", key)
    calls = [_call(call) for call in objects(message.get("tool_calls"))]
    if legacy := mapping(message.get("function_call")):
        calls.append(_call({"function": legacy}))
    content = message.get("content")
    pieces = read_content(content, notes) if content or not calls else []
    if refusal := string(message.get("refusal")):
        pieces.append(Piece("text", text=refusal))
    return [*pieces, *calls]


def _call(call: JsonObject) -> Piece:
    target = mapping(call.get("function"))
    if custom := mapping(call.get("custom")):
        name, text = string(custom.get("name")), string(custom.get("input"))
        return Piece(
            "call",
            text=text,
            id=string(call.get("id")),
            name=name,
            value=text,
            is_free_text=True,
        )
    arguments = target.get("arguments")
    return Piece(
        "call",
        text=string(arguments),
        id=string(call.get("id")),
        name=string(target.get("name")),
        value=parsed(arguments),
    )


def _written(message: Message, notes: Notes, moved: list[Piece]) -> list[JsonObject]:
    """The messages of one message: each result is one of its own; images of results are moved."""
    if message.role != "user":
        return _spoken(message, notes)
    said: list[JsonObject] = []
    for piece in message.pieces:
        if piece.kind != "result":
            continue
        if piece.is_error:
            notes.lose("error marks of tool results")
        texts = [part for part in piece.inside if part.kind == "text" or part.text]
        media = [part for part in piece.inside if part not in texts]
        if media:
            notes.change("images and files of tool results, moved to a user message after them")
            moved += media
        said.append(
            {"role": "tool", "tool_call_id": piece.id, "content": _parts(texts, notes) or ""}
        )
    rest = [*moved, *(piece for piece in message.pieces if piece.kind not in {"call", "result"})]
    if len(rest) > len(moved):
        moved.clear()
        said.append({"role": "user", "content": _parts(rest, notes)})
    return said


def _spoken(message: Message, notes: Notes) -> list[JsonObject]:
    texts = [piece for piece in message.pieces if piece.kind == "text"]
    calls = [piece for piece in message.pieces if piece.kind == "call"]
    if len(texts) + len(calls) < len(message.pieces):
        notes.lose("images and files said by the model")
    if not texts and not calls:
        return []
    said: JsonObject = {"role": message.role, "content": _parts(texts, notes) if texts else None}
    if calls:
        said["tool_calls"] = [_written_call(piece) for piece in calls]
    return [said]


def _written_call(piece: Piece) -> JsonObject:
    if piece.is_free_text:
        custom = {"name": piece.name, "input": arguments_of(piece)}
        return {"id": piece.id, "type": "custom", "custom": custom}
    function = {"name": piece.name, "arguments": arguments_of(piece)}
    return {"id": piece.id, "type": "function", "function": function}


def _parts(pieces: Iterable[Piece], notes: Notes) -> Any:
    found = [part for piece in pieces if (part := _part(piece, notes))]
    return found[0]["text"] if len(found) == 1 and found[0]["type"] == "text" else found


def _part(piece: Piece, notes: Notes) -> JsonObject | None:
    if piece.kind == "text":
        return {"type": "text", "text": piece.text}
    if piece.kind == "image":
        return {"type": "image_url", "image_url": {"url": data_url(piece)}}
    if piece.text:
        notes.change("text files, sent as text")
        return {"type": "text", "text": piece.text}
    if piece.url:
        notes.lose("files at an address")
        return None
    name = piece.name or "document.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(piece)}}
