"""A recorded answer given again with other ids: parsed, replaced, written in the same format.

A stream keeps its events, their order and their number. The pieces of one text (an answer, the
arguments of one tool call) are joined, replaced and cut again in proportion, so that an id that
was split over several pieces comes out right.

Invariants:
- Without anything to replace the bytes come back as they are.
- What a client puts together from the new stream is what it would have put together from the old
  one, with the ids replaced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tracelake.wire.lenient import mapping, objects, parse_object
from tracelake.wire.sse import parse_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.replay.rebind import Substitution

_SSE_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(slots=True)
class _Piece:
    """One piece of a text that a stream sends in pieces: where it stands."""

    holder: dict[str, Any]
    key: str


@dataclass(slots=True)
class _Texts:
    """The texts of a stream, each by the place it belongs to."""

    pieces: dict[tuple[object, ...], list[_Piece]] = field(
        default_factory=dict[tuple[object, ...], list[_Piece]]
    )

    def add(self, place: tuple[object, ...], holder: dict[str, Any], key: str) -> None:
        """Take a piece of text, if it is one."""
        if isinstance(holder.get(key), str):
            self.pieces.setdefault(place, []).append(_Piece(holder, key))


def rerender(body: bytes, substitution: Substitution) -> bytes:
    """An answer with ids replaced.

    Args:
        body: Without content encoding: JSON, a stream of server-sent events or of JSON lines, or
            anything else, in which only bytes are replaced.
        substitution: What to replace.
    """
    if not substitution:
        return body
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_SSE_STARTS):
        return _rerender_events(body, substitution)
    whole = parse_object(body)
    if whole is not None:
        replaced = substitution.value(whole)
        return body if replaced == whole else _dump(replaced).encode()
    lines = body.splitlines()
    documents = [parse_object(line) for line in lines if line.strip()]
    if len(documents) > 1 and all(document is not None for document in documents):
        events = [mapping(document) for document in documents]
        before = [_dump(event) for event in events]
        _replace(events, substitution)
        after = [_dump(event) for event in events]
        return body if before == after else ("\n".join(after) + "\n").encode()
    return substitution.body(body)


def _rerender_events(body: bytes, substitution: Substitution) -> bytes:
    parsed = [(event.event, event.data, parse_object(event.data)) for event in parse_events(body)]
    documents = [document for _, _, document in parsed if document is not None]
    before = [_dump(document) for document in documents]
    _replace(documents, substitution)
    if before == [_dump(document) for document in documents]:
        return body
    written: list[str] = []
    for name, data, document in parsed:
        head = "" if name == "message" else f"event: {name}\n"
        text = data if document is None else _dump(document)
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        written.append(f"{head}{lines}\n")
    return "".join(written).encode()


def _replace(events: list[dict[str, Any]], substitution: Substitution) -> None:
    """Replace in place: texts sent in pieces as wholes, every other text where it stands."""
    texts = _Texts()
    for event in events:
        for find in _FINDERS:
            find(event, texts)
    held = {(id(piece.holder), piece.key) for pieces in texts.pieces.values() for piece in pieces}
    for event in events:
        _replace_leaves(event, substitution, held)
    for pieces in texts.pieces.values():
        olds = [str(piece.holder[piece.key]) for piece in pieces]
        new = substitution.text("".join(olds))
        for piece, text in zip(pieces, cut_like(new, olds), strict=True):
            piece.holder[piece.key] = text


def cut_like(text: str, pieces: list[str]) -> list[str]:
    """The text cut into as many pieces, in proportion to these; as they are where nothing changed.

    Joined, the pieces give the text.
    """
    total = sum(map(len, pieces))
    if text == "".join(pieces):
        return pieces
    if not total:
        return [*[""] * (len(pieces) - 1), text] if pieces else []
    cuts: list[str] = []
    seen = start = 0
    for piece in pieces:
        seen += len(piece)
        end = round(seen * len(text) / total)
        cuts.append(text[start:end])
        start = end
    return cuts


def _replace_leaves(value: Any, substitution: Substitution, held: set[tuple[int, str]]) -> None:
    if isinstance(value, dict):
        holder = cast("dict[str, Any]", value)
        for key, item in holder.items():
            if isinstance(item, str):
                if (id(holder), key) not in held:
                    holder[key] = substitution.text(item)
            else:
                _replace_leaves(item, substitution, held)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        for at, item in enumerate(items):
            if isinstance(item, str):
                items[at] = substitution.text(item)
            else:
                _replace_leaves(item, substitution, held)


def _find_messages(event: dict[str, Any], texts: _Texts) -> None:
    """Anthropic: deltas of a content block."""
    if event.get("type") == "content_block_delta":
        delta = mapping(event.get("delta"))
        kind = delta.get("type")
        for key in ("text", "partial_json", "thinking"):
            texts.add(("messages", event.get("index"), kind, key), delta, key)


def _find_chat(event: dict[str, Any], texts: _Texts) -> None:
    """Chat completions: deltas of a choice, of its tool calls, and text of the older format."""
    for position, choice in enumerate(objects(event.get("choices"))):
        number = choice.get("index", position)
        texts.add(("chat", number, "text"), choice, "text")
        delta = mapping(choice.get("delta"))
        for key in ("content", "refusal", "reasoning", "reasoning_content"):
            texts.add(("chat", number, key), delta, key)
        for at, call in enumerate(objects(delta.get("tool_calls"))):
            place = ("chat", number, "tool", call.get("index", at))
            for kind in ("function", "custom"):
                target = mapping(call.get(kind))
                for key in ("arguments", "input"):
                    texts.add((*place, key), target, key)
        texts.add(("chat", number, "function"), mapping(delta.get("function_call")), "arguments")


def _find_responses(event: dict[str, Any], texts: _Texts) -> None:
    """Responses: deltas of a part or of an item."""
    kind = event.get("type")
    if isinstance(kind, str) and kind.endswith(".delta"):
        parts = (event.get(key) for key in ("output_index", "content_index", "summary_index"))
        texts.add(("responses", kind, *parts), event, "delta")


def _find_ollama(event: dict[str, Any], texts: _Texts) -> None:
    """Ollama: one object a line."""
    if "done" in event:
        texts.add(("ollama", "response"), event, "response")
        texts.add(("ollama", "message"), mapping(event.get("message")), "content")


_FINDERS: tuple[Callable[[dict[str, Any], _Texts], None], ...] = (
    _find_messages,
    _find_chat,
    _find_responses,
    _find_ollama,
)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
