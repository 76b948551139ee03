"""Which earlier text stands in a new prompt.

Every phrase worth recognising (an argument of a tool call, an answer, a string inside an answer's
JSON, a line of a plan) is filed under its first words; a new prompt is read once, word by word.
The cost follows the length of the new prompt, not the number of earlier calls.

Words are compared, not characters, so that quoting, escaping, indentation and markdown do not
matter. A phrase without any space, such as a path, only counts when it is all of a message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracelake.infer.state import Call, ToolCall

#: Scripts without spaces count each character as a word.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    r"|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_ITEM = re.compile(r"^\s*(?:(?:[-*\u2022+]|\d{1,3}[.)])\s+)?(?:\[[ xX]\]\s+)?")
_ANCHOR = 3
_PHRASE_MIN_CHARS = 12
_LINE_MIN_WORDS = 4
_PHRASES_PER_TEXT = 200
#: Longer texts are file contents, not tasks.
_PHRASE_MAX_CHARS = 200_000
_PROMPT_READ_CHARS = 400_000
_SOURCES_KEPT = 32


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of an earlier call.

    Attributes:
        tool: The tool call whose argument it was; None for a part of an answer.
        is_whole: It is all of an argument or answer, not a part of it.
        characters: Its length.
        words: Hash of its words.
    """

    call: Call
    tool: ToolCall | None
    is_whole: bool
    characters: int
    words: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase that stands in a prompt; `is_message` when it is all of one message."""

    phrase: Phrase
    is_message: bool


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def phrases_of(value: Any) -> Iterator[tuple[str, bool]]:
    """The strings of a JSON value or text worth recognising, each with whether it is whole.

    Text that is or holds a JSON document gives its strings too, as parts; lines of a list are
    parts as well.
    """
    if isinstance(value, str):
        if len(value) > _PHRASE_MAX_CHARS:
            return
        yield value, True
        for part in _parts(value):
            yield part, False
    elif isinstance(value, dict):
        for item in value.values():
            yield from phrases_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from phrases_of(item)


def _parts(text: str) -> Iterator[str]:
    document = embedded_json(text)
    strings = [part for part, _ in phrases_of(document)] if document else []
    if strings:
        yield from strings
    elif "\n" in text:
        for line in text.splitlines():
            part = _ITEM.sub("", line).strip()
            if len(part) >= _PHRASE_MIN_CHARS and part.count(" ") >= _LINE_MIN_WORDS - 1:
                yield part


def embedded_json(text: str) -> Any:
    """The JSON object or array that a text is or holds, or None."""
    for opening, closing in ("{}", "[]"):
        first, last = text.find(opening), text.rfind(closing)
        if 0 <= first < last:
            try:
                return json.loads(text[first : last + 1])
            except ValueError:
                continue
    return None


class PhraseIndex:
    """Phrases of earlier calls, found by their words."""

    def __init__(self) -> None:
        # first words -> number of words -> all words -> phrases
        self._by_words: dict[int, dict[int, dict[int, list[Phrase]]]] = {}
        self._short: dict[int, list[Phrase]] = {}

    def add(
        self, values: Iterable[Any], call: Call, tool: ToolCall | None, *, known: str = ""
    ) -> None:
        """File the phrases of argument values or answer texts, but not those that were known."""
        seen: set[int] = set()
        for value in values:
            for text, is_whole in phrases_of(value):
                if len(seen) >= _PHRASES_PER_TEXT:
                    return
                words = words_of(text)
                everything = hash(tuple(words))
                if not words or everything in seen:
                    continue
                seen.add(everything)
                if known and text in known:
                    continue
                self._file(
                    words, everything, text, Phrase(call, tool, is_whole, len(text), everything)
                )

    def _file(self, words: Sequence[str], everything: int, text: str, phrase: Phrase) -> None:
        if len(words) < _ANCHOR or len(text) < _PHRASE_MIN_CHARS or " " not in text.strip():
            same = self._short.setdefault(everything, [])
        else:
            anchor = hash(tuple(words[:_ANCHOR]))
            lengths = self._by_words.setdefault(anchor, {})
            same = lengths.setdefault(len(words), {}).setdefault(everything, [])
        same.append(phrase)
        del same[:-_SOURCES_KEPT]

    def search(self, messages: Iterable[str], context: Iterable[str] = ()) -> list[Found]:
        """The phrases that stand in a prompt.

        Args:
            messages: Texts of the prompt's messages.
            context: Further texts, such as the system prompt.
        """
        found: dict[Phrase, bool] = {}
        for text, is_context in (*((m, False) for m in messages), *((c, True) for c in context)):
            words = words_of(text[:_PROMPT_READ_CHARS])
            if not words:
                continue
            if not is_context:
                for phrase in self._short.get(hash(tuple(words)), ()):
                    found[phrase] = True
            if self._by_words:
                self._scan(words, found)
        return [Found(phrase, is_message) for phrase, is_message in found.items()]

    def _scan(self, words: list[str], found: dict[Phrase, bool]) -> None:
        by_words, total = self._by_words, len(words)
        for place, anchor in enumerate(zip(words, words[1:], words[2:], strict=False)):
            lengths = by_words.get(hash(anchor))
            if lengths is None:
                continue
            for length, phrases in lengths.items():
                if place + length > total:
                    continue
                for phrase in phrases.get(hash(tuple(words[place : place + length])), ()):
                    found[phrase] = found.get(phrase, False) or length == total
