"""What varies from run to run inside a text: ids, dates, times, durations, temporary folders.

Invariants:
- A text and its masked form have the same number of lines.
- `tokens_of(a)` and `tokens_of(b)` pair one to one wherever `mask(a) == mask(b)`.
"""

from __future__ import annotations

import re

_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AaPp][Mm]\b)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? )?"

#: Kind, whether the program takes it over from an answer (an id), pattern. First that fits wins.
_KINDS: tuple[tuple[str, bool, str], ...] = (
    ("tmp", True, r"(?:/private)?(?:/tmp|/var/tmp|/var/folders/\w\w/[\w+]+/T)/[\w.+@-]+"),
    (
        "uuid",
        True,
        r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])",
    ),
    (
        "date",
        False,
        r"\b(?:19|20)\d\d-\d\d-\d\d(?:[T _]" + _CLOCK + _ZONE + r")?"
        r"|"
        + _DAY
        + r"\b"
        + _MONTH
        + r" \d{1,2}(?:, | )(?:"
        + _CLOCK
        + _ZONE
        + r" ?)?(?:20\d\d\b)?"
        r"|" + _DAY + r"\b\d{1,2} " + _MONTH + r" 20\d\d\b(?:,? " + _CLOCK + _ZONE + r")?"
        r"|\b\d{1,2}/\d{1,2}/20\d\d\b(?:,? " + _CLOCK + _ZONE + r")?",
    ),
    ("time", False, r"(?<![\w:.])" + _CLOCK + _ZONE + r"(?![\w:])"),
    (
        "duration",
        False,
        (
            r"(?:\w*duration|elapsed|took|latency|time)\w*\\*[\"']? ?[:=] ?\d+(?:\.\d+)?"
            r"(?:[eE][+-]?\d+)?(?: ?m?s\b)?"
            r"|(?<![\w.])\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|secs?|seconds?|mins?|minutes?)\b"
        ),
    ),
    # how much of an output was shown depends on the paths in it
    ("count", False, r"token_count\\*[\"']? ?[:=] ?\d+"),
    # ids that are too short, or of digits alone, are known by the word before them
    (
        "keyed",
        True,
        (
            r"(?i:(?:session|process|chunk|cell|request|job|shell|thread|span)[ _-]?id|pid)"
            r"\\*[\"']?(?: ?[:=])? ?\\*[\"']?(?P<value>[0-9]{4,20}|[0-9a-f]{6,64})(?![\w-])"
        ),
    ),
    ("address", False, r"\b0x[0-9a-fA-F]{6,16}\b"),
    ("port", False, r"(?<=127\.0\.0\.1:)\d{2,5}\b|(?<=localhost:)\d{2,5}\b"),
    ("epoch", False, r"(?<![\w.])1[6-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![\w])"),
    (
        "hex",
        True,
        r"(?<![0-9A-Za-z])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{6,64}(?![0-9A-Za-z])",
    ),
    (
        "id",
        True,
        r"(?<![0-9A-Za-z])[A-Za-z]{1,16}[_-](?=[0-9A-Za-z]*\d)[0-9A-Za-z]{16,64}(?![0-9A-Za-z])",
    ),
)
#: Everything volatile begins a word; this guard spares the alternatives at all other places.
_ANY = re.compile(
    r"(?<![0-9A-Za-z])(?=[/0-9A-Za-z])(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, _, pattern in _KINDS)
    + ")"
)
#: And everything volatile but a folder's name holds a digit: most lines need no closer look.
_SUSPECT = re.compile(r"[0-9]|/tmp/|/var/")
#: In JSON text the letter of an escaped line break or tab is no part of the word after it.
_ESCAPED_BREAK = re.compile(r"(?<=\\[nrt])(?=[/0-9A-Za-z])")
_REBOUND = frozenset(name for name, rebound, _ in _KINDS if rebound)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)


def mask(text: str) -> str:
    """The text with everything volatile replaced by the name of its kind."""
    if not _SUSPECT.search(text):
        return text
    lines = text.splitlines(keepends=True)
    return "".join(_mask_line(line) if _SUSPECT.search(line) else line for line in lines)


def _mask_line(line: str) -> str:
    return "".join(_ANY.sub(_mark, piece) for piece in _pieces(line))


def _pieces(text: str) -> list[str]:
    return _ESCAPED_BREAK.split(text) if "\\" in text else [text]


def _mark(found: re.Match[str]) -> str:
    kind = str(found.lastgroup)
    return f"{found.group()[: -len(found['value'])]}<id>" if kind == "keyed" else f"<{kind}>"


def ids_of(text: str) -> list[str | None]:
    """The volatile places of a text in order: an id's text, None for what is no id."""
    return [
        (found["value"] or found.group()) if found.lastgroup in _REBOUND else None
        for piece in _pieces(text)
        for found in _ANY.finditer(piece)
    ]


def without_reminders(text: str) -> str:
    """The text without the reminders that a client slips into messages."""
    return _REMINDER.sub("", text) if "<system-reminder>" in text else text
