"""OpenAI Responses, read and written."""

from __future__ import annotations

from typing import Any

from tracelake.wire.conversion.content import (
    SERVED,
    THINKING,
    data_url,
    parsed,
    read_content,
    read_result,
)
from tracelake.wire.conversion.prompt import (
    Message,
    Notes,
    Piece,
    Prompt,
    Role,
    arguments_of,
    text_of,
)
from tracelake.wire.lenient import JsonObject, array, mapping, string

_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system", "developer": "system"}
_CALLS = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def read(body: JsonObject, notes: Notes) -> Prompt:
    """The prompt of a body; instructions, else leading system messages, are its system prompt."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else array(given)
    said: list[Message] = []
    for item in items:
        if isinstance(item, str):
            said.append(Message("user", (Piece("text", text=item),)))
        elif isinstance(item, dict) and (message := _item(mapping(item), notes)):
            said.append(message)
    head = next((n for n, message in enumerate(said) if message.role != "system"), len(said))
    texts = [string(body.get("instructions")), *(text_of(m.pieces) for m in said[:head])]
    return Prompt(system="\n\n".join(text for text in texts if text), messages=said[head:])


def write(prompt: Prompt, notes: Notes) -> JsonObject:
    """Instructions and input of a body."""
    written: JsonObject = {"instructions": prompt.system} if prompt.system else {}
    items: list[JsonObject] = []
    for message in prompt.messages:
        items += _written(message, notes)
    return {**written, "input": items}


def _item(item: JsonObject, notes: Notes) -> Message | None:
    kind = string(item.get("type"))
    if kind in _CALLS:
        return Message("assistant", (_call(item, is_free_text=kind == "custom_tool_call"),))
    if kind in _OUTPUTS:
        result = read_result(item.get("output"), item.get("call_id"), notes)
        return Message("user", (result,))
    if kind in {"", "message"}:
        pieces = read_content(item.get("content"), notes)
        role = _ROLES.get(string(item.get("role")), "user")
        return Message(role, tuple(pieces)) if pieces else None
    if kind == "reasoning":
        notes.lose(THINKING)
    elif kind.endswith(("_call", "_call_output", "_output")):
        notes.lose(SERVED, string(item.get("name")) or kind)
    else:
        notes.lose("items of other kinds", kind)
    return None


def _call(item: JsonObject, *, is_free_text: bool) -> Piece:
    text = string(item.get("input" if is_free_text else "arguments"))
    return Piece(
        "call",
        text=text,
        id=string(item.get("call_id")),
        name=string(item.get("name")),
        value=text if is_free_text else parsed(text),
        is_free_text=is_free_text,
    )


def _written(message: Message, notes: Notes) -> list[JsonObject]:
    """The items of one message: what was said, then calls and results, in order."""
    items: list[JsonObject] = []
    said: list[Piece] = []

    def tell() -> None:
        if said:
            items.append({"role": message.role, "content": _content(message.role, said, notes)})
            said.clear()

    for piece in message.pieces:
        if piece.kind in {"call", "result"}:
            tell()
            items.append(_written_call(piece) if piece.kind == "call" else _output(piece, notes))
        elif message.role == "user" or piece.kind == "text":
            said.append(piece)
        else:
            notes.lose("images and files said by the model")
    tell()
    return [item for item in items if item.get("content", True) != []]


def _written_call(piece: Piece) -> JsonObject:
    if piece.is_free_text:
        return {
            "type": "custom_tool_call",
            "call_id": piece.id,
            "name": piece.name,
            "input": arguments_of(piece),
        }
    return {
        "type": "function_call",
        "call_id": piece.id,
        "name": piece.name,
        "arguments": arguments_of(piece),
    }


def _output(piece: Piece, notes: Notes) -> JsonObject:
    if piece.is_error:
        notes.lose("error marks of tool results")
    inside = _content("user", list(piece.inside), notes)
    return {"type": "function_call_output", "call_id": piece.id, "output": inside}


def _content(role: str, pieces: list[Piece], notes: Notes) -> Any:
    if role != "user":
        # what a model said goes back as plain text: its parts are outputs with ids of their own
        return text_of(pieces)
    parts = [part for piece in pieces if (part := _part(piece, notes))]
    return parts[0]["text"] if len(parts) == 1 and "text" in parts[0] else parts


def _part(piece: Piece, notes: Notes) -> JsonObject | None:
    if piece.kind == "text":
        return {"type": "input_text", "text": piece.text}
    if piece.kind == "image":
        return {"type": "input_image", "detail": "auto", "image_url": data_url(piece)}
    if piece.text:
        notes.change("text files, sent as text")
        return {"type": "input_text", "text": piece.text}
    if piece.url:
        return {"type": "input_file", "file_url": piece.url}
    name = piece.name or "document.pdf"
    return {"type": "input_file", "filename": name, "file_data": data_url(piece)}
