"""Content blocks of every message format, read into parts.

The formats name their blocks apart (`image`, `image_url`, `input_image`), so one table serves all;
that also reads what compatible servers mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.lenient import (
    array,
    canonical,
    dump,
    mapping,
    name_or_none,
    objects,
    string,
)
from tracelake.wire.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.wire.lenient import JsonObject

#: Blocks that hold a document, sound or film: named, shown as such, compared by digest.
_MEDIA = frozenset(
    {
        "document",
        "document_url",
        "file",
        "file_url",
        "input_file",
        "input_audio",
        "output_audio",
        "audio",
        "audio_url",
        "video",
        "video_url",
        "input_video",
        "container_upload",
    }
)


_IMAGES = frozenset({"image", "image_url", "input_image", "computer_screenshot"})
#: Keys that hold the text of a typed result object, the first of them wins.
_TEXTS = ("text", "logs", "transcript", "message", "error_message", "error_code", "tool_name")
#: Keys that hold what a typed result object is made of.
_NESTED = ("content", "tool_references", "output", "outputs", "results")


def read_blocks(content: Any) -> list[Part]:
    """The parts of a message's content: text, a block, or a list of both."""
    if isinstance(content, str):
        return [Part("text", text=content)] if content else []
    if isinstance(content, dict):
        content = [content]
    parts: list[Part] = []
    for block in array(content):
        if isinstance(block, str):
            parts.append(Part("text", text=block))
        elif isinstance(block, dict):
            parts += _read_block(mapping(block))
    return parts


def _read_block(block: JsonObject) -> list[Part]:
    kind = string(block.get("type"))
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(block)
    if kind.endswith("tool_result"):
        return _tool_result(block)
    if kind.endswith("tool_use"):
        return [_tool_use(block)]
    if not kind and isinstance(block.get("text"), str):
        return _text(block)
    is_media = kind in _MEDIA
    text = _object_text(block) if is_media else string(block.get("text"))
    return [Part("other", text=text, media=is_media, json=block)]


def call_part(call: JsonObject) -> Part:
    """A tool call of the chat kind: a function with its arguments as text, or as an object."""
    target = mapping(call.get("function") or call.get("custom"))
    arguments = target.get("arguments", target.get("input"))
    return Part(
        "tool_call",
        id=name_or_none(call.get("id")),
        name=name_or_none(target.get("name") or call.get("name")),
        arguments=canonical(arguments if arguments != "" else {}),
    )


def result_parts(
    content: Any, call_id: Any, *, name: Any = None, is_error: Any = None
) -> list[Part]:
    """A tool result as plain text, followed by the images and files that it holds."""
    apart = [part for part in read_blocks(content) if _is_no_text(part)]
    result = Part(
        "tool_result",
        text=plain_text(content),
        id=name_or_none(call_id),
        name=name_or_none(name),
        is_error=is_error if isinstance(is_error, bool) else None,
    )
    return [result, *apart]


def _is_no_text(part: Part) -> bool:
    """Whether a part of a tool result is an image, or a file of which no text is known."""
    return part.kind == "image" or (part.media and not part.text)


def plain_text(content: Any) -> str:
    """The content of a tool result as text: texts joined by line breaks; no images, no files."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text for item in array(content) if (text := plain_text(item)))
    if not isinstance(content, dict):
        return dump(content)
    return _object_text(mapping(content))


def _object_text(block: JsonObject) -> str:
    """The text of one object of a tool result; of an unknown one its JSON, so that none is lost."""
    if string(block.get("type")) in _IMAGES:
        return ""
    if "stdout" in block or "stderr" in block:
        return "\n".join(text for key in ("stdout", "stderr") if (text := string(block.get(key))))
    if "type" not in block:
        return string(block["text"]) if list(block) == ["text"] else dump(block)
    if isinstance(block.get("title"), str) and isinstance(block.get("url"), str):
        return f"{block['title']}\n{block['url']}"
    for key in _TEXTS:
        if isinstance(block.get(key), str):
            return block[key]
    source = mapping(block.get("source"))
    if string(source.get("type")) in {"text", "content"}:
        return plain_text(source.get("data") or source.get("content"))
    for key in _NESTED:
        if isinstance(block.get(key), str | list | dict):
            return plain_text(block[key])
    return "" if source or string(block.get("type")) in _MEDIA else dump(block)


def reasoning_parts(message: JsonObject) -> list[Part]:
    """The reasoning that chat-like messages carry beside their content, under any of its names."""
    for key in ("reasoning_content", "reasoning", "thinking"):
        if text := plain_text(message.get(key)):
            return [Part("thinking", text=text)]
    details = objects(message.get("reasoning_details"))
    text = "".join(string(d.get("text")) or string(d.get("summary")) for d in details)
    return [Part("thinking", text=text)] if details else []


def attached_images(images: Any) -> list[Part]:
    """Images beside the content: base64 text (Ollama) or image blocks (generated ones)."""
    parts: list[Part] = []
    for image in array(images):
        if isinstance(image, str):
            parts.append(Part("image", data=image))
        elif isinstance(image, dict):
            parts += _read_block(mapping(image))
    return parts


def audio_parts(audio: Any) -> list[Part]:
    """Spoken answer of the chat format: its transcript as text."""
    spoken = mapping(audio)
    if not any(spoken.get(key) for key in ("data", "transcript", "id")):
        return []
    return [Part("other", text=string(spoken.get("transcript")), media=True, json=spoken)]


def image_at(url: str) -> Part:
    """An image by its URL; a data URL gives its type and content."""
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return Part("image", media_type=head.split(";")[0] or None, data=data)
    return Part("image", url=url)


def _text(block: JsonObject) -> list[Part]:
    text = string(block.get("text"))
    return [Part("text", text=text)] if text else []


def _encrypted(block: JsonObject) -> list[Part]:
    """Text that only the provider reads; servers that do not encrypt send it plain."""
    text = string(block.get("encrypted_content"))
    return [Part("text", text=text)] if " " in text else [Part("other", json=block)]


def _refusal(block: JsonObject) -> list[Part]:
    return [Part("text", text=string(block.get("refusal")), refusal=True)]


def _thinking(block: JsonObject) -> list[Part]:
    content = block.get("thinking", block.get("text", block.get("content")))
    return [Part("thinking", text=plain_text(content), json=block)]


def _redacted(block: JsonObject) -> list[Part]:
    return [Part("thinking", json=block)]


def _tool_use(block: JsonObject) -> Part:
    return Part(
        "tool_call",
        id=name_or_none(block.get("id")),
        name=name_or_none(block.get("name")),
        arguments=canonical(block.get("input")),
    )


def _tool_result(block: JsonObject) -> list[Part]:
    content = block.get("content")
    failed = block.get("is_error")
    if failed is None and isinstance(content, dict):
        failed = _has_failed(mapping(content))
    return result_parts(content, block.get("tool_use_id"), name=block.get("name"), is_error=failed)


def _has_failed(result: JsonObject) -> bool | None:
    """Whether a result of a tool that the provider ran says that it failed; None if it is mute."""
    if string(result.get("type")).endswith("_error"):
        return True
    code = result.get("return_code")
    return code != 0 if isinstance(code, int) else None


def _image(block: JsonObject) -> list[Part]:
    """An image of the Anthropic or the MCP kind."""
    source = mapping(block.get("source")) or block
    if url := string(source.get("url")):
        return [image_at(url)]
    return [
        Part(
            "image",
            media_type=name_or_none(source.get("media_type") or source.get("mimeType")),
            data=name_or_none(source.get("data")),
            json=block,
        )
    ]


def _image_url(block: JsonObject) -> list[Part]:
    """An image of the chat or the Responses kind: by URL, data URL or file id."""
    target = block.get("image_url")
    url = string(target) or string(mapping(target).get("url"))
    return [image_at(url)] if url else [Part("image", json=block)]


_READERS: dict[str, Callable[[JsonObject], list[Part]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "encrypted_content": _encrypted,
    "thinking": _thinking,
    "reasoning": _thinking,
    "reasoning_text": _thinking,
    "summary_text": _thinking,
    "redacted_thinking": _redacted,
    "image": _image,
    "image_url": _image_url,
    "input_image": _image_url,
    "computer_screenshot": _image_url,
}
