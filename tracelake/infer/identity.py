"""Who speaks: the identity that a system prompt gives an agent.

Two prompts are the same persona when their fingerprints agree, or when they give the same role
("You are …") and mostly consist of the same words, as a prompt with a changing part does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tracelake.wire import fingerprint

_WORD = re.compile(r"\w+")
_ROLE = re.compile(
    r"\b(?:[Yy]ou are|[Yy]ou're|[Aa]ct as|[Yy]ou act as|[Nn]ame is|[Yy]our role is)(?: now)?\s+"
    r"(?:an?\s+|the\s+|our\s+)?([^.,;:!?\n()]{2,80})"
)
#: Where a role turns into a description of what the role is for.
_TAIL = re.compile(
    r"\s+(?:(?:for|in|on|of|with|at|to)\s+(?:an?|all|any|your|our|this|that|which)\b"
    r"|\w+ing\s+(?:an?|the|all|any|your|our|this)\b|that\b|who\b|whose\b|which\b|working\b|running\b|responsible\b|tasked\b|designed\b"
    r"|speciali[sz]ed\b|built\b|and\b|here\b|helping\b|developed\b|created\b|to\b).*"
)
_ROLE_MAX_CHARS = 48
_WORDS_MAX = 3000
_SAME_WORDS = 0.5


@dataclass(frozen=True, slots=True)
class Persona:
    """The identity of a system prompt.

    Attributes:
        fingerprint: Hash with volatile parts masked; empty for an empty prompt.
        role: What "You are …" says, shortened, or None.
        words: Hashes of the prompt's words.
    """

    fingerprint: str
    role: str | None = None
    words: frozenset[int] = field(default_factory=frozenset[int], repr=False)


NOBODY = Persona("")


def role_phrase(system: str) -> str | None:
    """The role that a prompt gives ("You are the researcher." → researcher), or None."""
    matched = _ROLE.search(system[:20_000])
    if matched is None:
        return None
    phrase = _TAIL.sub("", " ".join(matched[1].split())).strip(" \"'`*_<>")
    if len(phrase) > _ROLE_MAX_CHARS:
        phrase = re.split(r"\s+for\s+|\s+in\s+", phrase)[0][:_ROLE_MAX_CHARS]
    return re.sub(r"[\"'`*_]+(?=\s|$)|(?<=\s)[\"'`*_]+", "", phrase).strip() or None


def persona_of(system: str) -> Persona:
    """The persona of a system prompt."""
    if not system.strip():
        return NOBODY
    words: set[int] = set()
    for word in _WORD.findall(system):
        words.add(hash(word))
        if len(words) >= _WORDS_MAX:
            break
    return Persona(fingerprint(system), role_phrase(system), frozenset(words))


def is_same_persona(one: Persona, other: Persona) -> bool:
    """Whether two prompts belong to the same agent identity."""
    if one.fingerprint == other.fingerprint:
        return True
    if not one.fingerprint or not other.fingerprint or one.role != other.role:
        return False
    shared = len(one.words & other.words)
    return shared >= _SAME_WORDS * len(one.words | other.words)


class Personas:
    """The personas of system prompts, each prompt analysed once while it stays in use."""

    def __init__(self, capacity: int = 128) -> None:
        self._known: dict[str, Persona] = {}
        self._capacity = capacity

    def of(self, system: str) -> Persona:
        """The persona of a system prompt, from memory where it is there."""
        persona = self._known.pop(system, None)
        if persona is None:
            persona = persona_of(system)
            if len(self._known) >= self._capacity:
                del self._known[next(iter(self._known))]
        self._known[system] = persona
        return persona
