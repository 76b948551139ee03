"""Who speaks: the identity that a system prompt gives an agent.

Two prompts are the same persona when their fingerprints agree, or when they give the same role
("You are …") and one only adds to the other, or they are long, differ little and come with the same
tools, or tell their reader the same name and offer the same tools; but not when they are offered
quite different tools. Inside one conversation, where a prompt
with a changing part is the rule and another agent the exception, half of the words are enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from tracelake.wire import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_ROLE = re.compile(
    r"\b(?:(?:[Yy]ou are|[Yy]ou're|[Aa]ct as|[Nn]ame is|[Yy]our role is)(?: now)?\s+"
    r"(?:an?\s+|the\s+|our\s+)?|(?:[Aa]nswer|[Rr]eply|[Rr]espond|[Ss]peak|[Ww]ork|[Ss]erve) as\s+"
    r"(?:an?|the|our)\s+)([^.,;:!?\n()]{2,80})"
)
#: Where a role turns into a description of what the role is for.
_TAIL = re.compile(
    r"\s+(?:(?:for|in|on|of|with|at|to)\s+(?:an?|all|any|your|our|this|that|which)\b"
    r"|\w+ing\s+(?:an?|the|all|any|your|our|this)\b|that\b|who\b|whose\b|which\b|working\b|running\b|responsible\b|tasked\b|designed\b"
    r"|speciali[sz]ed\b|built\b|and\b|here\b|helping\b|developed\b|created\b|to\b).*"
)
_OWN_NAME = re.compile(
    r"\b[Yy]our (?:\w+ )?name is\s+([^.,;:!?\n()]{2,80})"
    r"|\b[Yy]ou(?: are|'re) (?:an?\s+|the\s+)?(?:[\w-]+ ){0,4}(?:named|called)\s+"
    r"[\"'`*]*([\w][\w .-]{0,60}?)[\"'`*]*(?=[.,;:!?\n()]|$| who\b| that\b| and\b)"
)
_NAMED = re.compile(r"\b(?:named|called)\b")
#: Words after "You are" that tell what is asked, or where one stands, and not who one is.
_NO_ROLE = re.compile(
    r"(?:about|able|allowed|asked|at|being|currently|equipped|expected|free|given|going|in|inside"
    r"|interacting|invited|not|on|only|part|permitted|presented|provided|required|responsible"
    r"|running|shown|supposed|talking|tasked|to|told|under|using|welcome|with|within|working)\b",
    re.IGNORECASE,
)
_ROLES_TRIED = 4
_SENTENCE_ENDS = re.compile(r"(?:[.!?>][\"'*)]*\s+|\n[\s#*>-]*)$")
_ROLE_MAX_CHARS = 48
_ROLE_WITHIN_CHARS = 20_000
_NAME_WITHIN_CHARS = 300
_GENERIC = frozenset(
    {
        "a", "agent", "agents", "ai", "an", "and", "assistant", "autonomous", "bot", "chatbot",
        "class", "expert", "friendly", "general", "helpful", "intelligent", "knowledgeable",
        "language", "large", "llm", "model", "powerful", "professional", "purpose", "skilled",
        "smart", "specialist", "useful", "world",
    }
)  # fmt: skip
_WORDS_MAX = 3000
_SAME_WORDS = 0.8
_SAME_WORDS_IN_CONVERSATION = 0.5
_SAME_WORDS_OF_NAMED = 0.5
#: A prompt of fewer words differs from another one by its task, not by a changing part.
_LONG_WORDS = 40
#: A prompt of fewer words says too little for a longer one to be counted as its extension.
_TELLING_WORDS = 6


@dataclass(frozen=True, slots=True)
class Persona:
    """The identity of a system prompt.

    Attributes:
        fingerprint: Hash with volatile parts masked; empty for an empty prompt.
        role: What "You are …" says, shortened, or None.
        words: Hashes of the prompt's words, lower case.
        tools: Names of the tools it is offered.
        name: The name that the first message gives its reader, or None.
        own_name: The same of the prompt itself.
    """

    fingerprint: str
    role: str | None = None
    words: frozenset[int] = field(default_factory=frozenset[int], repr=False)
    tools: frozenset[str] = frozenset()
    name: str | None = None
    own_name: str | None = None


NOBODY = Persona("")


def role_phrase(system: str) -> str | None:
    """The role that a prompt gives ("You are the researcher." → researcher), or None.

    A name says more than a role that any agent may have ("You are a helpful assistant").
    """
    head = system[:_ROLE_WITHIN_CHARS]
    found = enumerate(islice(_ROLE.finditer(head), _ROLES_TRIED))
    # further on only whole sentences count: "if you are done" and "clerk: You are …" tell nothing
    said = (m for n, m in found if n == 0 or _opens_sentence(head, m.start()))
    role = next((_tidy_role(m[1]) for m in said if not _NO_ROLE.match(m[1])), None)
    is_told = role is not None and (is_generic(role) or _NAMED.search(role) is not None)
    return (own_name(head) or role) if is_told else role


def _opens_sentence(text: str, place: int) -> bool:
    return _SENTENCE_ENDS.search(text[max(place - 20, 0) : place]) is not None


def own_name(text: str) -> str | None:
    """The name that a prompt tells its reader to have ("You are an agent named X"), or None."""
    matched = _OWN_NAME.search(text[:_ROLE_WITHIN_CHARS])
    return _tidy_role(matched[1] or matched[2]) if matched else None


def is_generic(role: str) -> bool:
    """Whether a role is one that any agent may have."""
    return all(word in _GENERIC for word in re.findall(r"[a-z]+", role.lower()))


def _tidy_role(text: str) -> str | None:
    phrase = _TAIL.sub("", " ".join(text.split())).strip(" \"'`*_<>")
    if len(phrase) > _ROLE_MAX_CHARS:
        phrase = re.split(r"\s+for\s+|\s+in\s+", phrase)[0][:_ROLE_MAX_CHARS]
    return re.sub(r"[\"'`*_]+(?=\s|$)|(?<=\s)[\"'`*_]+", "", phrase).strip() or None


def persona_of(system: str, tools: Iterable[str] = ()) -> Persona:
    """The persona of a system prompt and the names of the tools offered with it."""
    offered = frozenset(tools)
    if not system.strip():
        return Persona("", None, frozenset(), offered) if offered else NOBODY
    words: set[int] = set()
    for word in _WORD.findall(system.lower()):
        words.add(hash(word))
        if len(words) >= _WORDS_MAX:
            break
    return Persona(
        fingerprint(system),
        role_phrase(system),
        frozenset(words),
        offered,
        own_name=own_name(system),
    )


def is_same_persona(one: Persona, other: Persona) -> bool:
    """Whether two prompts belong to the same agent identity."""
    if one.tools and other.tools and not one.tools & other.tools:
        return False
    if one.name and other.name and one.name != other.name:
        return False
    if one.fingerprint == other.fingerprint:
        return True
    if one.role is None or one.role != other.role or is_generic(one.role):
        return False
    shared = len(one.words & other.words)
    fewer, more = sorted((len(one.words), len(other.words)))
    if fewer >= _TELLING_WORDS and shared == fewer:
        return True
    if one.own_name and one.own_name == other.own_name and one.tools == other.tools:
        # the rest of the prompt may be what the agent works on
        return shared >= _SAME_WORDS_OF_NAMED * fewer
    has_tools = bool(one.tools) and one.tools == other.tools
    return has_tools and fewer >= _LONG_WORDS and shared >= _SAME_WORDS * (fewer + more - shared)


def is_same_speaker(one: Persona, other: Persona) -> bool:
    """Whether two prompts of one conversation belong to the same agent."""
    if is_same_persona(one, other) or one.fingerprint == other.fingerprint:
        return True
    if one.role is None or one.role != other.role:
        return False
    needed = _SAME_WORDS if is_generic(one.role) else _SAME_WORDS_IN_CONVERSATION
    return len(one.words & other.words) >= needed * len(one.words | other.words)


class Personas:
    """The personas of system prompts, each prompt analysed once while it stays in use."""

    def __init__(self, capacity: int = 128) -> None:
        self._known: dict[tuple[str, tuple[str, ...], str | None], Persona] = {}
        self._capacity = capacity

    def of(self, system: str, tools: tuple[str, ...] = (), *, first_message: str = "") -> Persona:
        """The persona of a system prompt and tools, from memory where it is there.

        A message that opens with the name of its reader tells apart those of one system prompt.
        """
        name = own_name(first_message[:_NAME_WITHIN_CHARS])
        persona = self._known.pop((system, tools, name), None)
        if persona is None:
            persona = replace(persona_of(system, tools), name=name)
            if len(self._known) >= self._capacity:
                del self._known[next(iter(self._known))]
        self._known[system, tools, name] = persona
        return persona
