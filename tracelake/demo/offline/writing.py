"""What the writers of the three formats share: pieces of a stream, ids, usage."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracelake.demo.offline.conversation import Answer, Ask, estimate_tokens

#: Makes an id that starts with the given prefix.
NewId = Callable[[str], str]

_WORDS = re.compile(r"\S*\s*")


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a stream, and how many characters of answer it carries (which take time)."""

    data: str
    chars: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage of one call; `input` counts every input token, cached ones included."""

    input: int
    output: int
    cache_read: int
    cache_write: int


def event(name: str | None, data: dict[str, Any], chars: int = 0) -> Piece:
    """One server-sent event, named or not."""
    head = f"event: {name}\n" if name else ""
    return Piece(f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n", chars)


def in_chunks(text: str, words: int = 3) -> list[str]:
    """Text cut as models stream it: a few words at a time."""
    parts = [part for part in _WORDS.findall(text) if part]
    return ["".join(parts[i : i + words]) for i in range(0, len(parts), words)]


def arguments_text(arguments: dict[str, Any]) -> str:
    """Tool arguments as JSON text."""
    return json.dumps(arguments, ensure_ascii=False)


def count_tokens(ask: Ask, answer: Answer) -> Tokens:
    """Usage of a call, estimated from its text.

    What was sent up to the last answer of the model counts as read from the cache: it was sent
    before. Anthropic caches only where a request asks for it, and says what it writes.
    """
    fixed = estimate_tokens(ask.system) + estimate_tokens(
        [{"name": tool.name, "schema": tool.schema} for tool in ask.tools] or ""
    )
    turns = [
        estimate_tokens(turn.text)
        + sum(estimate_tokens(call.arguments) + 8 for call in turn.calls)
        + sum(estimate_tokens(result.text) + 8 for result in turn.results)
        for turn in ask.turns
    ]
    answers = [i for i, turn in enumerate(ask.turns) if turn.role == "assistant"]
    resent = fixed + sum(turns[: answers[-1]]) if answers else 0
    total = fixed + sum(turns)
    wrote = estimate_tokens(answer.text) + estimate_tokens(answer.thinking)
    wrote += sum(estimate_tokens(call.arguments) + 12 for call in answer.calls)
    if ask.format != "messages":
        return Tokens(total, max(1, wrote), resent // 128 * 128, 0)
    if '"cache_control"' not in json.dumps(ask.body):
        return Tokens(total, max(1, wrote), 0, 0)
    return Tokens(total, max(1, wrote), resent, max(0, total - resent - 4))
