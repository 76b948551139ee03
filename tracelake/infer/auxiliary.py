"""Calls that serve a program's housekeeping: never agents, never summed.

Token counts, embeddings and model lists are known by their endpoint. A probe asks for at most one
token. What a chat front end asks for beside the answer (a title, tags, questions to ask next) is
recognised by what it asks for, with no tools and nothing said before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracelake.model import Kind
    from tracelake.wire.call import Atom, Request

_ENDPOINTS: dict[str, tuple[str, Kind]] = {
    "count_tokens": ("token count", "llm"),
    "embeddings": ("embeddings", "embedding"),
    "models": ("model list", "other"),
    "other": ("other endpoint", "other"),
}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_TALK = r"(?:conversation|session|chat|thread|dialog(?:ue)?|topic|(?:user|first|this) message)"
_TITLE = re.compile(
    rf"\btitle\b[^.\n]{{0,100}}\b{_TALK}\b|\b{_TALK}\b[^.\n]{{0,40}}\btitle\b", re.IGNORECASE
)
#: A name for the conversation by another word, or for what it is about, asked for in few words.
_LABEL = re.compile(
    rf"\b(?:name|label|headline|description|summar(?:y|ize|ise)|title)\b[^.\n]{{0,60}}\b{_TALK}\b"
    rf"|\b(?:short|brief|concise|succinct) title\b[^.\n]{{0,60}}\b(?:task|prompt|request)\b"
    rf"|\bsummar(?:y|ize|ise) this \w+ {_TALK}\b",
    re.IGNORECASE,
)
_FEW_WORDS = re.compile(
    r"\b(?:\d+|two|three|four|five|six|seven|eight|ten|few)\b[^.\n]{0,12}\b(?:words?|characters?)\b"
    r"|\b(?:short|brief|concise|succinct) title\b",
    re.IGNORECASE,
)
#: What a chat front end shows beside the answer, asked for above a copy of the conversation.
_HISTORY = r"(?:conversation|dialog(?:ue)?|chat|(?:chat|message)s? history)"
_TAGS = re.compile(
    rf"\b(?:tags?|keywords|categories)\b[^.\n]{{0,80}}\b{_HISTORY}\b"
    rf"|\b{_HISTORY}\b[^.\n]{{0,40}}\b(?:tags|keywords)\b",
    re.IGNORECASE,
)
_NEXT_QUESTIONS = re.compile(
    r"\b(?:suggest|generate|propose|predict|write|list)\b[^.\n]{0,60}\b(?:follow-?\s?up|next)\b"
    rf"[^.\n]{{0,30}}\b(?:questions?|prompts?|messages?|replies)\b[^\n]{{0,160}}\b{_HISTORY}\b",
    re.IGNORECASE,
)
_WISH_CHARS = 1500
_TITLE_PROMPT_CHARS = 6000
_SUMMARY = re.compile(
    r"\bsummar(?:y|ies|i[sz]e|i[sz]ing|i[sz]ation)\b|\bcompact(?:ion|ed|ing)?\b|\bcondens"
    r"|\bcheckpoint\b|\bhand-?off summary\b",
    re.IGNORECASE,
)


def auxiliary_purpose(request: Request, core: Sequence[Atom]) -> tuple[str, Kind] | None:
    """What a call serves and its span's kind, when it is auxiliary; None for an agent's call."""
    known = _ENDPOINTS.get(request.api)
    if known is not None:
        return known
    if request.tools:
        return None
    if any(request.parameters.get(limit) == 1 for limit in _LIMITS):
        return "probe", "llm"
    if any(atom.role == "assistant" for atom in core[:-1]):
        return None
    text = f"{request.system}\n{core[-1].text[-2000:] if core else ''}"
    is_title = _TITLE.search(text) or (_LABEL.search(text) and _FEW_WORDS.search(text))
    if is_title and len(text) <= _TITLE_PROMPT_CHARS:
        return "title", "llm"
    return _wish_of_front_end(request, core)


def _wish_of_front_end(request: Request, core: Sequence[Atom]) -> tuple[str, Kind] | None:
    """Tags or next questions for a conversation that one message tells, under no prompt."""
    if request.system or len(core) != 1:
        return None
    wish = core[0].text[:_WISH_CHARS]
    if _TAGS.search(wish):
        return "tags", "llm"
    return ("next questions", "llm") if _NEXT_QUESTIONS.search(wish) else None


def asks_for_summary(core: Sequence[Atom]) -> bool:
    """Whether the last message asks to sum up the conversation so far."""
    last = core[-1] if core else None
    if last is None or last.role != "user" or last.kind != "text":
        return False
    return _SUMMARY.search(last.text[:8000]) is not None
