"""Which result answers which tool call, and whether it is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracelake.wire.call import Atom

_HEAD_CHARS = 400
_NAME_WITHIN_CHARS = 120
#: How error results begin, for formats that have no flag of their own.
_ERROR_HEAD = re.compile(
    r"^[\s#*>`!-]*(?:<(?:tool_use_)?error>|exit code:? [1-9]|traceback\b|an error occurred"
    r"|errors?\s*(?:[:!(\[-]|$|\n)|error (?:while|in|at|when|code|executing|running|calling)\b"
    r"|(?:tool \S+|script|command|(?:\S+ )?spawn) failed\b"
    r"|unsupported (?:call|tool|function)\b|(?:unknown|no such) (?:tool|agent)\b"
    r"|fail(?:ed|ure)\b(?!:?\s*0\b)|(?:\w+(?:error|exception)|exception)\s*[:(]"
    r"|\{\s*\"error\"\s*:(?!\s*(?:null|false|\"\"|\{\}|\[\]|0\b))"
    r"|\{\s*\"(?:status|result|type)\"\s*:\s*\"(?:error|fail(?:ed|ure)?)\""
    r"|\{\s*\"(?:success|ok)\"\s*:\s*false\b"
    r"|http error [45]\d\d\b|[45]\d\d (?:client|server) error\b"
    r"|\[errno -?\d+\]|(?:permission denied|command not found|no such file or directory)\b)",
    re.IGNORECASE,
)
#: What an exception says without its name, where a framework sends nothing else.
_EXCEPTION = re.compile(
    r"^[^\n]{0,200}?(?:\bobject (?:has no attribute|is not \w+)\b|\bindex out of range\b"
    r"|\bdivision by zero\b|^name '\w+' is not defined|\binvalid literal for\b"
    r"|\bmissing \d+ required (?:positional|keyword)|\bgot an unexpected keyword argument\b"
    r"|\bunsupported operand type|\b(?:connection|request|read|operation) timed out\b"
    r"|\bconnection (?:refused|reset|error|aborted)\b|\bmax retries exceeded\b"
    r"|\bcannot read propert(?:y|ies) of (?:undefined|null)\b|\bis not a function\b)",
    re.IGNORECASE,
)
_EXCEPTION_CHARS = 300
_ERROR_ANYWHERE = re.compile(
    r"\b(?:process )?exit(?:ed)?(?: with)?(?: status| code)?:? [1-9]\d*\b"
    r"|\bexit_code[\"']?\s*[:=]\s*[1-9]|\bToolException\b|\bfix (?:the errors|your mistakes)\b"
    r"|\bis_error[\"']?\s*[:=]\s*true\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Pairing:
    """A result found for a tool call: `place` of the call among those asked for."""

    place: int
    text: str
    is_error: bool | None
    source: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call that has no result yet."""

    call_id: str | None
    name: str


def looks_like_error(text: str) -> bool:
    """Whether a result reads like an error."""
    head = text[:_HEAD_CHARS]
    is_told = _ERROR_HEAD.search(head) or _ERROR_ANYWHERE.search(head)
    return bool(is_told or (len(text) <= _EXCEPTION_CHARS and _EXCEPTION.search(text)))


def pair_plain_results(wanted: Sequence[Wanted], new: Sequence[Atom]) -> list[Pairing]:
    """Pair tool calls with results that were sent back as ordinary messages.

    Args:
        wanted: Calls of the previous answer without a result, in order.
        new: Atoms of the request after the previous request, the echoed answer included.

    Returns:
        At most one pairing a call: by the call's id in the text, else by name and order, else by
        order alone where there are as many messages as calls.
    """
    texts = [(place, atom) for place, atom in enumerate(new) if _is_plain(atom)]
    if not wanted or not texts:
        return []
    pairings: list[Pairing] = []
    used: set[int] = set()

    def take(index: int, found: tuple[int, Atom], source: str, confidence: float) -> None:
        used.add(found[0])
        pairings.append(Pairing(index, found[1].text, None, source, confidence))

    left = list(range(len(wanted)))
    for index in list(left):
        call_id = wanted[index].call_id
        hit = next((t for t in texts if call_id and call_id in t[1].text), None)
        if hit is not None:
            take(index, hit, "result_text_id", 0.95)
            left.remove(index)
    for index in list(left):
        name = wanted[index].name
        hit = next((t for t in texts if t[0] not in used and _names(name, t, new)), None)
        if hit is not None:
            take(index, hit, "result_text_name", 0.85)
            left.remove(index)
    rest = [t for t in texts if t[0] not in used]
    if left and len(rest) == len(left) and len(left) == len(wanted):
        for index, hit in zip(left, rest, strict=True):
            take(index, hit, "result_text_order", 0.6)
    return sorted(pairings, key=lambda pairing: pairing.place)


def _is_plain(atom: Atom) -> bool:
    return atom.role == "user" and atom.kind == "text"


def _names(name: str, found: tuple[int, Atom], new: Sequence[Atom]) -> bool:
    """Whether a message, or the assistant's line before it, tells the tool's name."""
    place, atom = found
    if name and name in atom.text[:_NAME_WITHIN_CHARS]:
        return True
    before = new[place - 1] if place else None
    return bool(
        name
        and before is not None
        and before.role == "assistant"
        and before.kind == "text"
        and name in before.text
    )
