"""Anthropic Messages, read and written."""

from __future__ import annotations

from typing import Any

from tracelake.wire.conversion.content import read_content
from tracelake.wire.conversion.prompt import Message, Notes, Piece, Prompt, Role
from tracelake.wire.lenient import JsonObject, objects, string
from tracelake.wire.request import native_system

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system"}


def read(body: JsonObject, notes: Notes) -> Prompt:
    """The prompt of a body; tools and parameters are read elsewhere."""
    said = [
        Message(_ROLES.get(string(message.get("role")), "user"), tuple(pieces))
        for message in objects(body.get("messages"))
        if (pieces := read_content(message.get("content"), notes))
    ]
    return Prompt(system=native_system(body.get("system")), messages=said)


def write(prompt: Prompt, notes: Notes) -> JsonObject:
    """System prompt and messages of a body."""
    written: JsonObject = {"system": prompt.system} if prompt.system else {}
    said: list[JsonObject] = []
    for message in prompt.messages:
        if message.role == "system":
            notes.change("later system messages stay in place; older models refuse them")
        blocks = [block for piece in _ordered(message) if (block := _block(piece, notes))]
        if blocks:
            said.append({"role": message.role, "content": _content(blocks)})
    return {**written, "messages": said}


def _ordered(message: Message) -> list[Piece]:
    """Results first, as the provider wants them."""
    return sorted(message.pieces, key=lambda piece: piece.kind != "result")


def _content(blocks: list[JsonObject]) -> Any:
    is_text = len(blocks) == 1 and blocks[0]["type"] == "text"
    return blocks[0]["text"] if is_text else blocks


def _block(piece: Piece, notes: Notes) -> JsonObject | None:
    if piece.kind == "text":
        return {"type": "text", "text": piece.text}
    if piece.kind == "image":
        return _image(piece, notes)
    if piece.kind == "file":
        return _document(piece, notes)
    if piece.kind == "call":
        return {
            "type": "tool_use",
            "id": piece.id,
            "name": piece.name,
            "input": _input(piece, notes),
        }
    inside = [block for part in piece.inside if (block := _block(part, notes))]
    result = {"type": "tool_result", "tool_use_id": piece.id, "content": _content(inside)}
    return {**result, "is_error": True} if piece.is_error else result


def _input(piece: Piece, notes: Notes) -> JsonObject:
    if isinstance(piece.value, dict):
        return piece.value
    notes.change("arguments that are no JSON object, sent as `input`")
    return {"input": piece.value}


def _image(piece: Piece, notes: Notes) -> JsonObject | None:
    if piece.url:
        return {"type": "image", "source": {"type": "url", "url": piece.url}}
    if piece.media_type not in _IMAGES:
        notes.lose("images of a type that Anthropic does not take", piece.media_type or "unknown")
        return None
    source = {"type": "base64", "media_type": piece.media_type, "data": piece.data}
    return {"type": "image", "source": source}


def _document(piece: Piece, notes: Notes) -> JsonObject | None:
    if piece.url:
        source = {"type": "url", "url": piece.url}
    elif piece.text:
        source = {"type": "text", "media_type": "text/plain", "data": piece.text}
    elif piece.media_type == "application/pdf":
        source = {"type": "base64", "media_type": piece.media_type, "data": piece.data}
    else:
        notes.lose("files of a type that Anthropic does not take", piece.media_type)
        return None
    block: JsonObject = {"type": "document", "source": source}
    return {**block, "title": piece.name} if piece.name else block
