"""Which earlier call a request continues.

A request that continues a conversation holds the earlier request as its prefix, then (usually) the
earlier answer. Each call is filed under a key of its request: length, and the atoms at a few fixed
positions. A new request is tried at every place where an answer may begin, last first, so the
cost does not grow with the number of earlier calls.

Core atoms leave out what clients add, move or drop between turns: system and developer messages,
thinking, and reminder blocks. A tool call or result counts by its id, because clients shorten old
results.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracelake.infer.state import Call
    from tracelake.wire.call import Atom

MatchKind = Literal["response_id", "prefix", "echo", "joined", "ids", "answer"]

_REMINDER = re.compile(r"<([\w-]*reminder)>.*?</\1>\s*", re.DOTALL)
_LEFT_OUT = frozenset({"system", "developer"})
_TURNS_TRIED = 400
_SAME_KEY_KEPT = 64
#: An answer shorter than this says too little to recognise a conversation by.
_ANSWER_MIN_CHARS = 40
_ANSWERS_TRIED = 3
#: A message shorter than this says too little to recognise a conversation by its beginning.
_JOINED_MIN_CHARS = 20
_ANSWER_HEAD_CHARS = 60


@dataclass(frozen=True, slots=True)
class Match:
    """The call that a request continues, and how that was seen.

    Attributes:
        added: For `joined`, what follows the earlier last message in the message it is now part of.
    """

    call: Call
    kind: MatchKind
    added: str = ""


def without_reminders(text: str) -> str:
    """Text without reminder blocks, stripped."""
    return _REMINDER.sub("", text).strip() if "reminder>" in text else text.strip()


def core_atoms(atoms: Sequence[Atom]) -> list[Atom]:
    """The atoms that a continued conversation repeats unchanged."""
    return [
        atom
        for atom in atoms
        if atom.kind != "thinking"
        and atom.role not in _LEFT_OUT
        and (atom.kind != "text" or (atom.text != "" and _has_substance(atom.text)))
    ]


def _has_substance(text: str) -> bool:
    return "reminder>" not in text or without_reminders(text) != ""


def atom_key(atom: Atom) -> int:
    """A key under which the same atom is recognised when it is sent again."""
    if atom.kind == "tool_result" and atom.id:
        return hash(("tool_result", atom.id))
    if atom.kind == "tool_call":
        return hash(("tool_call", atom.id, atom.name, atom.arguments))
    return hash((atom.role == "assistant", atom.kind, without_reminders(atom.text), atom.id))


def prefix_key(core: Sequence[Atom], length: int) -> int:
    """A key of the first `length` core atoms."""
    if length == 0:
        return hash(("prefix", 0))
    places = (0, length // 4, length // 2, 3 * length // 4, length - 1)
    return hash((length, *(atom_key(core[place]) for place in places)))


def answer_key(core: Sequence[Atom]) -> int:
    """A key of the core atoms of an answer."""
    return hash(tuple(atom_key(atom) for atom in core))


def _is_said_by_user(atom: Atom) -> bool:
    return atom.kind == "text" and atom.role == "user"


def _message_key(text: str) -> tuple[int, int]:
    """Length of a message and a hash of it."""
    said = without_reminders(text)
    return len(said), hash(said)


def _leads_to(call: Call, added: str) -> bool:
    """Whether added words may follow from an answer: they tell it, or it asks for tools."""
    if call.answer_head:
        return call.answer_head in added
    return bool(call.tools) and not call.is_continued


class ThreadIndex:
    """Calls by the keys under which a continuation finds them."""

    def __init__(self) -> None:
        self._by_request: dict[int, list[Call]] = {}
        self._by_call_id: dict[str, Call] = {}
        self._by_response_id: dict[str, Call] = {}
        self._by_answer: dict[int, Call] = {}
        #: Calls whose request ended with a user's message, by all that stands before it.
        self._by_start: dict[int, list[Call]] = {}
        #: Some request ended with an assistant turn.
        self._has_open_end = False

    def add_request(self, call: Call, core: Sequence[Atom], stored: str | None = None) -> None:
        """File a call under its request, and the conversation that the provider keeps for it."""
        if stored is not None:
            self._by_response_id[stored] = call
        self._has_open_end |= bool(core) and core[-1].role == "assistant"
        same = self._by_request.setdefault(prefix_key(core, len(core)), [])
        same.append(call)
        del same[:-_SAME_KEY_KEPT]
        for atom in core[-_TURNS_TRIED:]:
            if atom.kind == "tool_call" and atom.id:
                self._by_call_id.setdefault(atom.id, call)
        if core and _is_said_by_user(core[-1]):
            call.last_message = _message_key(core[-1].text)
            same = self._by_start.setdefault(prefix_key(core, len(core) - 1), [])
            same.append(call)
            del same[:-_SAME_KEY_KEPT]

    def add_answer(self, call: Call, core: Sequence[Atom], response_id: str | None) -> None:
        """File a call under its answer; sets the answer's key on the call."""
        if response_id:
            self._by_response_id[response_id] = call
        if not core:
            return
        call.answer_key, call.answer_length = answer_key(core), len(core)
        said = next((atom.text for atom in core if atom.kind == "text"), "")
        call.answer_head = said.strip()[:_ANSWER_HEAD_CHARS]
        for atom in core:
            if atom.kind == "tool_call" and atom.id:
                self._by_call_id[atom.id] = call
            elif atom.kind == "text" and len(atom.text) >= _ANSWER_MIN_CHARS:
                self._by_answer[atom_key(atom)] = call

    def find(
        self,
        core: Sequence[Atom],
        *,
        may_link: Callable[[Call], bool],
        is_alike: Callable[[Call], bool],
        stored: str | None = None,
    ) -> Match | None:
        """The call that a request with these core atoms continues, or None.

        Args:
            core: Core atoms of the request.
            may_link: Whether the request may continue a call at all.
            is_alike: Whether a call was made under the same prompt.
            stored: Id of the answer or the conversation that the provider is to go on from.
        """
        if stored is not None:
            known = self._by_response_id.get(stored)
            if known is not None and may_link(known):
                return Match(known, "response_id")
        by_prefix = self._by_prefix(core, may_link)
        joined = self._joined(core, may_link, is_alike)
        if joined is not None and (by_prefix is None or by_prefix.call.start < joined.call.start):
            return joined
        return by_prefix or self._by_parts(core, may_link)

    def find_same(self, core: Sequence[Atom], *, may_link: Callable[[Call], bool]) -> Call | None:
        """The latest call with exactly these core atoms in its request, or None."""
        if not core:
            return None
        same = self._by_request.get(prefix_key(core, len(core)), ())
        return next((call for call in reversed(same) if may_link(call)), None)

    def _by_prefix(self, core: Sequence[Atom], may_link: Callable[[Call], bool]) -> Match | None:
        tried = 0
        for place in range(len(core) - 1, 0, -1):
            if core[place].role != "assistant":
                continue
            # within a run of assistant turns an answer begins only where a request ended so:
            # agents that share a conversation answer each other without a user between
            if core[place - 1].role == "assistant" and not self._has_open_end:
                continue
            tried += 1
            if tried > _TURNS_TRIED:
                return None
            calls = self._by_request.get(prefix_key(core, place))
            found = self._best(core, place, [c for c in calls if may_link(c)]) if calls else None
            if found is not None:
                return found
        return None

    @staticmethod
    def _best(core: Sequence[Atom], place: int, calls: list[Call]) -> Match | None:
        if not calls:
            return None
        full = [
            call
            for call in calls
            if call.answer_key is not None
            and call.answer_key == answer_key(core[place : place + call.answer_length])
        ]
        ranked = sorted(full or calls, key=lambda call: (not call.is_continued, call.start))
        return Match(ranked[-1], "prefix" if full else "echo")

    def _joined(
        self,
        core: Sequence[Atom],
        may_link: Callable[[Call], bool],
        is_alike: Callable[[Call], bool],
    ) -> Match | None:
        """A request whose last message goes on with what the answer led to.

        Clients join messages of one role, write everything into one growing message, or send the
        results of tools as a plain message without repeating the call.
        """
        last = core[-1] if core else None
        if last is None or not _is_said_by_user(last):
            return None
        found: list[tuple[int, Call]] = []
        text = without_reminders(last.text)
        for call in self._by_start.get(prefix_key(core, len(core) - 1), ()):
            length, words = call.last_message or (0, 0)
            is_begun = _JOINED_MIN_CHARS <= length < len(text) and text[length].isspace()
            if is_begun and hash(text[:length]) == words and is_alike(call):
                found.append((length, call))
        for length, call in sorted(found, key=lambda f: (f[0], f[1].start), reverse=True):
            added = text[length:].strip()
            if may_link(call) and call.end is not None and _leads_to(call, added):
                return Match(call, "joined", added)
        if len(core) > 1 and _is_said_by_user(core[-2]):
            for call in reversed(self._by_request.get(prefix_key(core, len(core) - 1), ())):
                is_left = call.end is not None and call.tools and not call.is_continued
                if is_left and may_link(call):
                    return Match(call, "joined", text)
        return None

    def _by_parts(self, core: Sequence[Atom], may_link: Callable[[Call], bool]) -> Match | None:
        """A history that was shortened or rewritten: by tool call ids, else by answers."""
        answers = 0
        for atom in reversed(core[-_TURNS_TRIED:]):
            if atom.kind in ("tool_call", "tool_result") and atom.id:
                known = self._by_call_id.get(atom.id)
                if known is not None and may_link(known):
                    return Match(known, "ids")
            elif atom.role == "assistant" and len(atom.text) >= _ANSWER_MIN_CHARS:
                answers += 1
                known = self._by_answer.get(atom_key(atom))
                if answers <= _ANSWERS_TRIED and known is not None and may_link(known):
                    return Match(known, "answer")
        return None
