"""Content blocks of every format read into pieces.

The formats name their blocks apart, so one table serves all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.blocks import image_at, plain_text
from tracelake.wire.conversion.prompt import Notes, Piece
from tracelake.wire.lenient import JsonObject, array, mapping, parse, string

if TYPE_CHECKING:
    from collections.abc import Callable

THINKING = "thinking and its signatures"
SERVED = "tools that the provider runs, with their calls and results"
_STORED = "files stored at the provider"
#: The first letters of base64 tell the type of an image.
_MAGIC = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklGR": "image/webp"}
_PDF = "application/pdf"


def read_content(content: Any, notes: Notes) -> list[Piece]:
    """The pieces of a message's content: text, or a list of blocks and texts."""
    if isinstance(content, str):
        return [Piece("text", text=content)]
    pieces: list[Piece] = []
    for block in array(content):
        if isinstance(block, str):
            pieces.append(Piece("text", text=block))
        elif isinstance(block, dict):
            pieces += _read_block(mapping(block), notes)
    return pieces


def read_result(content: Any, call_id: Any, notes: Notes, **more: Any) -> Piece:
    """A tool result; what is neither text nor media in it becomes text, so that none is lost."""
    inside: list[Piece] = []
    if content is None or isinstance(content, str):
        inside.append(Piece("text", text=content or ""))
    for block in array(content):
        kind = string(mapping(block).get("type"))
        if isinstance(block, str) or kind in _READERS:
            inside += read_content([block], notes)
        else:
            inside.append(Piece("text", text=plain_text([block])))
    if isinstance(content, dict):
        inside.append(Piece("text", text=plain_text(content)))
    return Piece("result", id=string(call_id), inside=tuple(inside), **more)


def parsed(arguments: Any) -> Any:
    """Arguments of a call as a value; text that is no JSON stays text."""
    if not isinstance(arguments, str):
        return {} if arguments is None else arguments
    try:
        return parse(arguments) if arguments.strip() else {}
    except ValueError:
        return arguments


def data_url(piece: Piece) -> str:
    """Content of a piece as a data URL, or the place where it is."""
    return piece.url or f"data:{piece.media_type};base64,{piece.data}"


def _read_block(block: JsonObject, notes: Notes) -> list[Piece]:
    kind = string(block.get("type"))
    if reader := _READERS.get(kind):
        return reader(block, notes)
    if kind.endswith(("_tool_use", "_tool_result")):
        # the result is named by its kind, the call by its tool: one of them is enough
        notes.lose(SERVED, string(block.get("name")))
    elif not kind and isinstance(block.get("text"), str):
        return _text(block, notes)
    else:
        notes.lose("content of other kinds", kind or "unnamed")
    return []


def _text(block: JsonObject, notes: Notes) -> list[Piece]:
    if block.get("citations") or block.get("annotations"):
        notes.lose("citations of text")
    return [Piece("text", text=string(block.get("text")))]


def _refusal(block: JsonObject, _notes: Notes) -> list[Piece]:
    return [Piece("text", text=string(block.get("refusal")))]


def _thinking(_block: JsonObject, notes: Notes) -> list[Piece]:
    notes.lose(THINKING)
    return []


def _tool_use(block: JsonObject, _notes: Notes) -> list[Piece]:
    name, call_id = string(block.get("name")), string(block.get("id"))
    return [Piece("call", id=call_id, name=name, value=parsed(block.get("input")))]


def _tool_result(block: JsonObject, notes: Notes) -> list[Piece]:
    failed = block.get("is_error") is True
    return [read_result(block.get("content"), block.get("tool_use_id"), notes, is_error=failed)]


def _image(block: JsonObject, notes: Notes) -> list[Piece]:
    source = mapping(block.get("source")) or block
    if source.get("file_id"):
        notes.lose(_STORED)
        return []
    data, url = string(source.get("data")), string(source.get("url"))
    media_type = string(source.get("media_type") or source.get("mimeType"))
    return [Piece("image", media_type=media_type or _guess(data), data=data, url=url)]


def _image_url(block: JsonObject, notes: Notes) -> list[Piece]:
    target = block.get("image_url")
    url = string(target) or string(mapping(target).get("url"))
    if not url:
        notes.lose(_STORED)
        return []
    detail = block.get("detail") or mapping(target).get("detail")
    if detail and detail != "auto":
        notes.lose("detail level of images")
    part = image_at(url)
    data = part.data or ""
    media_type = part.media_type or _guess(data)
    return [Piece("image", media_type=media_type, data=data, url=part.url or "")]


def _document(block: JsonObject, notes: Notes) -> list[Piece]:
    source, name = mapping(block.get("source")), string(block.get("title"))
    kind = source.get("type")
    if kind == "content":
        return read_content(source.get("content"), notes)
    if kind == "text":
        text = string(source.get("data"))
        return [Piece("file", text=text, name=name, media_type="text/plain")]
    if kind == "url":
        return [Piece("file", url=string(source.get("url")), name=name)]
    if kind == "base64":
        media_type = string(source.get("media_type"))
        return [Piece("file", data=string(source.get("data")), media_type=media_type, name=name)]
    notes.lose(_STORED)
    return []


def _file(block: JsonObject, notes: Notes) -> list[Piece]:
    """A file of the chat or the Responses kind."""
    target = mapping(block.get("file")) or block
    name, url = string(target.get("filename")), string(target.get("file_url"))
    if url:
        return [Piece("file", url=url, name=name)]
    content = string(target.get("file_data"))
    if not content:
        notes.lose(_STORED)
        return []
    head, comma, data = content.partition(",")
    media_type = head.removeprefix("data:").split(";")[0] if comma else _PDF
    return [Piece("file", data=data if comma else content, media_type=media_type, name=name)]


def _document_url(block: JsonObject, _notes: Notes) -> list[Piece]:
    target = block.get("document_url")
    url = string(target) or string(mapping(target).get("url"))
    return [Piece("file", url=url, name=string(block.get("document_name")))]


def _served(block: JsonObject, notes: Notes) -> list[Piece]:
    notes.lose(SERVED, string(block.get("name")))
    return []


def _guess(data: str) -> str:
    return next((kind for head, kind in _MAGIC.items() if data.startswith(head)), "")


_READERS: dict[str, Callable[[JsonObject, Notes], list[Piece]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
    "reasoning": _thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _served,
    "image": _image,
    "image_url": _image_url,
    "input_image": _image_url,
    "document": _document,
    "document_url": _document_url,
    "file": _file,
    "input_file": _file,
}
