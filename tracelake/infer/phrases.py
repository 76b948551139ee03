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
#: `Action Input: find the way` or `ASK(guide): find the way` in plain text,
#: `agent(task="find the way")` in code.
_LABELLED = re.compile(r"^[*_`#\s]*[A-Za-z@][\w ()@.-]{0,40}[*_`]*:[*_`]*\s+(\S.*)$")
#: `Final Answer: …` at the end of an answer that thinks aloud: programs hand on what follows alone.
_CONCLUSION = re.compile(
    r"\n[*_`#\s]*(?:(?:my|the)\s+)?(?:final\s+)?(?:answer|result|conclusion)[*_`]*:[*_`]*\s+(\S.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,80}>")
_QUOTED = re.compile(r"\"([^\"\n]{12,2000})\"|(?<!\w)'([^'\n]{12,2000})'")
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
class Place:
    """Where a phrase stands in a prompt: number of the text, first word, one past the last."""

    text: int
    first: int
    end: int

    def holds(self, other: Place) -> bool:
        """Whether another, shorter phrase stands inside this one."""
        return (
            self.text == other.text
            and self.first <= other.first
            and other.end <= self.end
            and self.end - self.first > other.end - other.first
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase that stands in a prompt, with its places; `is_message` when it is all of one."""

    phrase: Phrase
    is_message: bool
    places: tuple[Place, ...] = ()


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def phrases_of(value: Any) -> Iterator[tuple[str, bool]]:
    """The strings of a JSON value or text worth recognising, each with whether it is whole.

    What a text ends with after `Final Answer:` counts as whole too. Text that is or holds a JSON
    document gives its strings too, as parts; lines of a list and quoted strings, as in code, are
    parts as well.
    """
    if isinstance(value, str):
        if len(value) > _PHRASE_MAX_CHARS:
            return
        yield value, True
        concluded = _CONCLUSION.search(value)
        if concluded is not None:
            yield concluded[1], True
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
        return
    lines = [_ITEM.sub("", _TAG.sub(" ", line)) for line in text.splitlines()]
    lines = lines if len(lines) > 1 else []
    labelled = [matched[1] for line in lines if (matched := _LABELLED.match(line))]
    quoted = [matched[1] or matched[2] for matched in _QUOTED.finditer(text)]
    for part in map(str.strip, (*lines, *labelled, *quoted)):
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
    ) -> int:
        """File the phrases of argument values or answer texts, but not those that were known.

        Returns:
            How many parts were filed that can be found inside a longer text.
        """
        seen: set[int] = set()
        parts = 0
        for value in values:
            for text, is_whole in phrases_of(value):
                if len(seen) >= _PHRASES_PER_TEXT:
                    return parts
                words = words_of(text)
                everything = hash(tuple(words))
                if not words or everything in seen:
                    continue
                seen.add(everything)
                if known and text in known:
                    continue
                phrase = Phrase(call, tool, is_whole, len(text), everything)
                parts += self._file(words, text, phrase) and not is_whole
        return parts

    def _file(self, words: Sequence[str], text: str, phrase: Phrase) -> bool:
        is_short = len(words) < _ANCHOR or len(text) < _PHRASE_MIN_CHARS or " " not in text.strip()
        if is_short:
            same = self._short.setdefault(phrase.words, [])
        else:
            anchor = hash(tuple(words[:_ANCHOR]))
            lengths = self._by_words.setdefault(anchor, {})
            same = lengths.setdefault(len(words), {}).setdefault(phrase.words, [])
        same.append(phrase)
        del same[:-_SOURCES_KEPT]
        return not is_short

    def search(self, messages: Iterable[str], context: Iterable[str] = ()) -> list[Found]:
        """The phrases that stand in a prompt.

        Args:
            messages: Texts of the prompt's messages.
            context: Further texts, such as the system prompt.
        """
        found: dict[Phrase, list[Place]] = {}
        messages_found: set[Phrase] = set()
        texts = (*((m, False) for m in messages), *((c, True) for c in context))
        for number, (text, is_context) in enumerate(texts):
            words = words_of(text[:_PROMPT_READ_CHARS])
            everything = Place(number, 0, len(words))
            for phrase in self._short.get(hash(tuple(words)), ()) if not is_context else ():
                found.setdefault(phrase, []).append(everything)
                messages_found.add(phrase)
            for phrase, place in self._scan(words, number):
                found.setdefault(phrase, []).append(place)
                if place == everything:
                    messages_found.add(phrase)
        return [Found(phrase, phrase in messages_found, tuple(at)) for phrase, at in found.items()]

    def _scan(self, words: list[str], number: int) -> Iterator[tuple[Phrase, Place]]:
        by_words, total = self._by_words, len(words)
        if not by_words:
            return
        for first, anchor in enumerate(zip(words, words[1:], words[2:], strict=False)):
            lengths = by_words.get(hash(anchor))
            if lengths is None:
                continue
            for length, phrases in lengths.items():
                end = first + length
                if end > total:
                    continue
                for phrase in phrases.get(hash(tuple(words[first:end])), ()):
                    yield phrase, Place(number, first, end)
