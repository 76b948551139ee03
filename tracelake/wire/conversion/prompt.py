"""The neutral form of a call, and the notes of what could not be carried over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tracelake.wire.lenient import JsonObject, dump

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["system", "user", "assistant"]
PieceKind = Literal["text", "image", "file", "call", "result"]
#: Marks of what a provider may cache; each provider has marks of its own.
_CACHE_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
#: What users of a tool wrote, where such a key is no mark.
_CONTENT_KEYS = frozenset({"input", "arguments", "input_schema", "parameters"})
#: Ids of tool calls that every provider takes.
_FOREIGN_ID = re.compile(r"[^A-Za-z0-9_-]")
_ID_MAX = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of what was said.

    Attributes:
        text: Text; of a file its text where it is a text file; of a call its arguments as they
            were written.
        id: Of a call, or of the call that a result answers.
        name: Of a tool or a file.
        value: Arguments of a call, parsed; text where they are no JSON.
        media_type: Of an image or a file, empty when unknown.
        data: Content of an image or a file, base64.
        url: Where an image or a file is, when it is not here.
        inside: What a result is made of: text, images, files.
        is_error: Whether a result says that its tool failed.
        is_free_text: The tool takes text, not JSON.
    """

    kind: PieceKind
    text: str = ""
    id: str = ""
    name: str = ""
    value: Any = None
    media_type: str = ""
    data: str = ""
    url: str = ""
    inside: tuple[Piece, ...] = ()
    is_error: bool = False
    is_free_text: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What one side said at once."""

    role: Role
    pieces: tuple[Piece, ...]

    def has(self, *kinds: PieceKind) -> bool:
        """Whether any piece is of one of the kinds."""
        return any(piece.kind in kinds for piece in self.pieces)

    def is_only(self, kind: PieceKind) -> bool:
        """Whether every piece is of the kind."""
        return all(piece.kind == kind for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client runs.

    Attributes:
        schema: JSON schema of its arguments; None for a tool that takes free text.
        grammar: Of a tool that takes free text, as the Responses format writes it.
        strict: Whether the provider guarantees the schema; None where nothing is said.
    """

    name: str
    description: str | None = None
    schema: JsonObject | None = None
    grammar: JsonObject | None = None
    strict: bool | None = None


@dataclass(slots=True)
class Prompt:
    """A call in no format."""

    system: str = ""
    messages: list[Message] = field(default_factory=list[Message])
    tools: list[Tool] = field(default_factory=list[Tool])
    settings: JsonObject = field(default_factory=dict[str, Any])


class Notes:
    """Collects what could not be carried over, and what was changed on the way."""

    def __init__(self) -> None:
        self._lost: dict[str, list[str]] = {}
        self._changed: dict[str, list[str]] = {}

    def lose(self, what: str, name: str = "") -> None:
        """Note something left out; equal ones are counted, names are listed."""
        self._lost.setdefault(what, []).append(name)

    def change(self, what: str, name: str = "") -> None:
        """Note something that goes along in another form."""
        self._changed.setdefault(what, []).append(name)

    def count_cache_marks(self, value: Any) -> None:
        """Note every mark of what may be cached."""
        if isinstance(value, list):
            for item in value:
                self.count_cache_marks(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in _CACHE_MARKS and item is not None:
                    self.lose("cache marks")
                elif (key == "input" and isinstance(item, list)) or key not in _CONTENT_KEYS:
                    self.count_cache_marks(item)

    def lost(self) -> tuple[str, ...]:
        """What was left out, as phrases."""
        return tuple(_phrases(self._lost))

    def changed(self) -> tuple[str, ...]:
        """What was changed, as phrases."""
        return tuple(_phrases(self._changed))


def prepared(messages: list[Message], wanted: str, notes: Notes) -> list[Message]:
    """The messages as the wanted format takes them.

    Calls stand beside what was said with them, ids are such that every provider takes them, and
    results answer calls that are there.
    """
    messages = _with_ids(messages)
    messages = _without_orphans(messages, notes)
    return messages if wanted == "responses" else _merged(messages)


def _merged(messages: list[Message]) -> list[Message]:
    """Neighbours joined where the format wants them as one: calls with their text, results."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if before is not None and before.role == message.role and _belong(before, message):
            found[-1] = replace(before, pieces=before.pieces + message.pieces)
        else:
            found.append(message)
    return found


def _belong(before: Message, after: Message) -> bool:
    if before.role == "assistant":
        return before.has("call") or after.is_only("call")
    return before.is_only("result") and after.is_only("result")


def _with_ids(messages: list[Message]) -> list[Message]:
    """Each call with an id of its own and of the allowed letters, each result with its call's."""
    known: dict[str, str] = {}
    #: Calls without an id wait for the result that names their tool.
    waiting: dict[str, list[str]] = {}

    def named(piece: Piece) -> Piece:
        if piece.kind == "call":
            fresh = _fresh_id(piece.id or f"call_{len(known) + 1}", known)
            known[piece.id or fresh] = fresh
            if not piece.id:
                waiting.setdefault(piece.name, []).append(fresh)
            return replace(piece, id=fresh)
        if piece.kind == "result":
            if not piece.id and waiting.get(piece.name):
                return replace(piece, id=waiting[piece.name].pop(0))
            return replace(piece, id=known.get(piece.id, piece.id))
        return piece

    return [
        replace(message, pieces=tuple(named(piece) for piece in message.pieces))
        for message in messages
    ]


def _fresh_id(wanted: str, known: dict[str, str]) -> str:
    taken = set(known.values())
    plain = _FOREIGN_ID.sub("_", wanted)[:_ID_MAX]
    fresh, number = plain, 2
    while fresh in taken and known.get(wanted) != fresh:
        fresh, number = f"{plain[: _ID_MAX - 4]}_{number}", number + 1
    return fresh


def _without_orphans(messages: list[Message], notes: Notes) -> list[Message]:
    """Results whose call is not there, as text: no provider takes them as results."""
    called: set[str] = set()
    found: list[Message] = []
    for message in messages:
        pieces: list[Piece] = []
        for piece in message.pieces:
            if piece.kind == "result" and piece.id not in called:
                notes.change("tool results without their call, sent as text")
                pieces += piece.inside
            else:
                pieces.append(piece)
            if piece.kind == "call":
                called.add(piece.id)
        found.append(replace(message, pieces=tuple(pieces)))
    return [message for message in found if message.pieces]


def arguments_of(piece: Piece) -> str:
    """The arguments of a call as JSON text."""
    if piece.text:
        return piece.text
    return piece.value if isinstance(piece.value, str) else dump(piece.value)


def text_of(pieces: Iterable[Piece]) -> str:
    """The text pieces, joined as they stand."""
    return "".join(piece.text for piece in pieces if piece.kind == "text")


def _phrases(found: dict[str, list[str]]) -> list[str]:
    phrases: list[str] = []
    for what, names in found.items():
        told = list(dict.fromkeys(name for name in names if name))
        count = f" ({len(names)})" if len(names) > 1 and not told else ""
        phrases.append(f"{what}{count}" + (f": {', '.join(told)}" if told else ""))
    return phrases
