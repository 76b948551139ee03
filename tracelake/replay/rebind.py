"""Ids of the recorded run and what they are in this run.

A recorded answer names things of the first run: an agent that the client gave an id, a temporary
folder, the working directory. This run has others. Wherever a call matched although such an id
differed, old and new are paired, and later answers are given with the new ones.

Invariants:
- An old id has one new id; the first pairing stays.
- Replacing is by whole id: nothing is replaced inside a longer word.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, cast

from tracelake.replay.spellings import spelled
from tracelake.replay.volatile import ids_of, mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracelake.wire import Atom, Request

#: What stands before the first letter of a word: in JSON text also an escaped control character,
#: whose letter is no part of the word; in a URL an escaped byte. Stated after that first letter,
#: so that a search can skip to it.
_BEFORE = r"(?:(?<![0-9A-Za-z].)|(?<=\\[bfnrt].)|(?<=\\u[0-9A-Fa-f]{4}.)|(?<=%[0-9A-Fa-f]{2}.))"
_AFTER_ID = r"(?![0-9A-Za-z])"
#: `/a/proj` is another folder than `/a/proj-old` and `/a/proj.git`.
_AFTER_PATH = r"(?![0-9A-Za-z_-]|\.\w)"


class Substitution:
    """Replaces whole words by others, in text and in JSON text; paths in all their spellings."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = {old: new for old, new in pairs.items() if old and old != new}
        for old, new in list(self._pairs.items()):
            for written, fresh in spelled(old, new):
                self._pairs.setdefault(written, fresh)
        for old, new in list(self._pairs.items()):
            for ascii_only in (True, False):
                escaped = json.dumps(old, ensure_ascii=ascii_only)[1:-1]
                self._pairs.setdefault(escaped, json.dumps(new, ensure_ascii=ascii_only)[1:-1])
        self._pattern = re.compile(_any_of(self._pairs), re.DOTALL) if self._pairs else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str) -> str:
        """The text with every old word replaced."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._pairs[found.group()], text)

    def body(self, body: bytes) -> bytes:
        """A body in UTF-8 with every old word replaced; other bytes stay as they are."""
        if self._pattern is None:
            return body
        text = body.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def value(self, value: Any) -> Any:
        """A JSON value with every old word replaced in texts and whole numbers; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            new = self._pairs.get(str(value), "")
            return int(new) if new.isdecimal() else value
        if isinstance(value, list):
            return [self.value(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in cast("dict[str, Any]", value).items()}
        return value


def _any_of(words: Iterable[str]) -> str:
    """A pattern of whole words, the longest first, by their first letter."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        after = _AFTER_PATH if "/" in word else _AFTER_ID
        rests.setdefault(word[0], []).append(re.escape(word[1:]) + after)
    return "|".join(f"{re.escape(one)}{_BEFORE}(?:{'|'.join(of)})" for one, of in rests.items())


class Rebinding:
    """What is known of old and new ids so far.

    Args:
        pairs: Known from the start: recorded working directory and this run's.
    """

    def __init__(self, pairs: Mapping[str, str] | None = None) -> None:
        self._pairs: dict[str, str] = dict(pairs or {})
        self.forward = Substitution(self._pairs)
        self.backward = Substitution(_reversed(self._pairs))

    @property
    def pairs(self) -> dict[str, str]:
        """Old ids and their new ones."""
        return dict(self._pairs)

    def learn(self, recorded: Request | None, new: Request | None) -> int:
        """Pair the ids of two calls that say the same; the number of new pairs."""
        if recorded is None or new is None:
            return 0
        found = {
            old: fresh
            for old, fresh in pair_ids(recorded, new)
            if old not in self._pairs and self.forward.text(old) != fresh
        }
        if found:
            self._pairs.update(found)
            self.forward = Substitution(self._pairs)
            self.backward = Substitution(_reversed(self._pairs))
        return len(found)


def pair_ids(recorded: Request, new: Request) -> list[tuple[str, str]]:
    """Ids that stand at the same place of two calls and differ: (recorded, new), in order."""
    pairs = _pair_in_texts(recorded.system, new.system)
    for before, after in _aligned(recorded.atoms, new.atoms):
        pairs += _pair_in_texts(before.text, after.text)
        pairs += _pair_in_texts(before.arguments or "", after.arguments or "")
    return list(dict.fromkeys(pairs))


def _pair_in_texts(before: str, after: str) -> list[tuple[str, str]]:
    """Pairs from lines whose masked forms are equal."""
    if before == after:
        return []
    old_lines, new_lines = before.splitlines(), after.splitlines()
    old_masked, new_masked = [mask(line) for line in old_lines], [mask(line) for line in new_lines]
    pairs: list[tuple[str, str]] = []
    for a, b in _equal_places(old_masked, new_masked):
        found = zip(ids_of(old_lines[a]), ids_of(new_lines[b]), strict=False)
        pairs += [(old, new) for old, new in found if old and new and old != new]
    return pairs


def _aligned(before: Sequence[Atom], after: Sequence[Atom]) -> Iterable[tuple[Atom, Atom]]:
    """Atoms that stand for each other: of equal kind, in order, said to the same effect."""
    old_kinds = [(a.role, a.kind, a.name) for a in before]
    new_kinds = [(a.role, a.kind, a.name) for a in after]
    for a, b in _equal_places(old_kinds, new_kinds):
        yield before[a], after[b]


def _equal_places(before: Sequence[Any], after: Sequence[Any]) -> Iterable[tuple[int, int]]:
    if before == after:
        return [(at, at) for at in range(len(before))]
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return [(a + at, b + at) for a, b, size in blocks for at in range(size)]


def _reversed(pairs: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in reversed(list(pairs.items()))}
