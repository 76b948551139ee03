"""One piece of a turn, as display and editing need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

PartKind = Literal["text", "thinking", "tool_call", "tool_result", "image", "other"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a turn.

    Attributes:
        text: Text, thinking, or a tool result as plain text.
        refusal: The text is a refusal that the format keeps apart from the answer.
        id: Provider's id of the tool call that this calls or answers.
        name: Tool name.
        arguments: Tool arguments as JSON text with sorted keys.
        is_error: What the format says of a tool result; None where it cannot say.
        media_type: Of an image, where known.
        data: Image content, base64.
        url: Where the image is, when it is not here.
        media: Kind `other`: a document, audio or video.
        json: The native block, where nothing else here holds its content.
    """

    kind: PartKind
    text: str = ""
    refusal: bool = False
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    is_error: bool | None = None
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    media: bool = False
    json: Any = None
