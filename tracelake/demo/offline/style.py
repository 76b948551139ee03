"""Instructions on form: reading them from a prompt, and obeying them.

A script cannot follow every instruction. What it understands (length, lists, headings, JSON,
language, plain text, capitals) it obeys; what it does not, the answer names, so that every edit of
a prompt shows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = {"one": 1, "a single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT = r"(one|a single|two|three|four|five|six|\d{1,3})"
_SENTENCES = re.compile(rf"\b{_COUNT}(?: short| brief)? sentences?\b", re.IGNORECASE)
_WORDS = re.compile(
    r"(?:at most|under|below|no more than|fewer than|maximum(?: of)?|within|up to|in) (\d{1,4})"
    r" words",
    re.IGNORECASE,
)
_BULLETS = re.compile(r"\bbullet(?:s|ed)?\b|\bbullet[- ]points?\b", re.IGNORECASE)
_NUMBERED = re.compile(r"\bnumbered (?:list|points|steps)\b", re.IGNORECASE)
_JSON = re.compile(
    r"\b(?:in|as|as an?|with|only|valid) (?:valid )?JSON\b(?! files?\b)", re.IGNORECASE
)
_CAPITALS = re.compile(r"\b(?:upper ?case|all caps|capital letters)\b", re.IGNORECASE)
_PLAIN = re.compile(r"\bplain text\b|\b(?:no|without) markdown\b", re.IGNORECASE)
_MARKDOWN = re.compile(r"\bmarkdown\b", re.IGNORECASE)
_HEADINGS = re.compile(r"\bunder the headings? ([A-Z][^.:;\n]*)")
_LANGUAGE = re.compile(r"\b(?:in|into|to) (French|German|Spanish)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“`*(])")
_UNDERSTOOD = (
    _SENTENCES,
    _WORDS,
    _BULLETS,
    _NUMBERED,
    _JSON,
    _CAPITALS,
    _PLAIN,
    _MARKDOWN,
    _HEADINGS,
    _LANGUAGE,
)

#: Headings and set phrases in the languages the script has words for.
_TRANSLATIONS: dict[str, dict[str, str]] = {
    "french": {
        "Answer": "Réponse",
        "Cause": "Cause",
        "Change": "Modification",
        "Documentation": "Documentation",
        "Documentation and tests": "Documentation et tests",
        "From the conversation": "Dans la conversation",
        "Instructions": "Consignes",
        "Noted": "Noté",
        "Open points": "Points ouverts",
        "Promise": "Promesse",
        "Request": "Demande",
        "Result": "Résultat",
        "Test run": "Exécution des tests",
        "Tests": "Tests",
        "What changed": "Ce qui a changé",
        "What was wrong": "Ce qui n'allait pas",
        "": "Réponse en français ; les citations restent dans leur langue.",
    },
    "german": {
        "Answer": "Antwort",
        "Cause": "Ursache",
        "Change": "Änderung",
        "Documentation": "Dokumentation",
        "Documentation and tests": "Dokumentation und Tests",
        "From the conversation": "Aus dem Gespräch",
        "Instructions": "Vorgaben",
        "Noted": "Vermerkt",
        "Open points": "Offene Punkte",
        "Promise": "Zusage",
        "Request": "Anfrage",
        "Result": "Ergebnis",
        "Test run": "Testlauf",
        "Tests": "Tests",
        "What changed": "Was geändert wurde",
        "What was wrong": "Was falsch war",
        "": "Antwort auf Deutsch; Zitate bleiben in ihrer Sprache.",
    },
    "spanish": {
        "Answer": "Respuesta",
        "Cause": "Causa",
        "Change": "Cambio",
        "Documentation": "Documentación",
        "Documentation and tests": "Documentación y pruebas",
        "From the conversation": "De la conversación",
        "Instructions": "Instrucciones",
        "Noted": "Anotado",
        "Open points": "Puntos abiertos",
        "Promise": "Promesa",
        "Request": "Petición",
        "Result": "Resultado",
        "Test run": "Ejecución de las pruebas",
        "Tests": "Pruebas",
        "What changed": "Qué ha cambiado",
        "What was wrong": "Qué estaba mal",
        "": "Respuesta en español; las citas quedan en su idioma.",
    },
}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an answer: a heading, and Markdown below it."""

    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer is to look; what is None or empty was not asked for."""

    headings: tuple[str, ...] = ()
    sentences: int | None = None
    words: int | None = None
    language: str | None = None
    is_bulleted: bool = False
    is_numbered: bool = False
    is_json: bool = False
    is_capitals: bool = False
    is_markdown: bool = True


def read_style(*texts: str) -> Style:
    """The instructions on form in some texts; a later text overrules an earlier one."""
    text = "\n".join(texts)
    sentences = _SENTENCES.findall(text)
    words = _WORDS.findall(text)
    headings = _HEADINGS.findall(text)
    languages = _LANGUAGE.findall(text)
    named = re.split(r",\s*(?:and\s+)?|\s+and\s+", headings[-1]) if headings else []
    return Style(
        headings=tuple(name.strip() for name in named if name.strip()),
        sentences=_number(sentences[-1]) if sentences else None,
        words=int(words[-1]) if words else None,
        language=languages[-1].lower() if languages else None,
        is_bulleted=bool(_BULLETS.search(text)),
        is_numbered=bool(_NUMBERED.search(text)),
        is_json=bool(_JSON.search(text)),
        is_capitals=bool(_CAPITALS.search(text)),
        is_markdown=not _PLAIN.search(text),
    )


def is_understood(sentence: str) -> bool:
    """Whether a sentence of a prompt is an instruction on form that `render` obeys."""
    return any(pattern.search(sentence) for pattern in _UNDERSTOOD)


def sentences(text: str) -> list[str]:
    """The sentences of a text; line breaks between paragraphs and list items end one, too."""
    found: list[str] = []
    for line in re.split(r"\n\s*\n|\n(?=\s*[-*#>\d])", text):
        joined = " ".join(line.split())
        found += [part for part in _SENTENCE_END.split(joined) if part]
    return found


def render(sections: Sequence[Section], style: Style) -> str:
    """Write an answer in the form asked for, the most important section first.

    A section without a heading is written without one.
    """
    parts = [_named(part, index, style) for index, part in enumerate(sections)]
    if style.is_json:
        keys = {_key(part.heading) or "text": _value(part.body) for part in parts}
        return json.dumps(keys, ensure_ascii=False, indent=2)
    if style.sentences is not None:
        text = " ".join(_flat(parts)[: style.sentences])
    elif style.is_bulleted or style.is_numbered:
        text = "\n".join(
            f"{f'{number}.' if style.is_numbered else '-'} **{part.heading}:** {_plain(part.body)}"
            for number, part in enumerate((part for part in parts if _plain(part.body)), 1)
        )
    else:
        text = "\n\n".join(
            f"### {part.heading}\n\n{part.body}" if part.heading else part.body for part in parts
        )
    if style.language:
        text = f"{_TRANSLATIONS[style.language]['']}\n\n{text}"
    if not style.is_markdown:
        text = re.sub(r"^#+ (.*)$", r"\1:", text, flags=re.MULTILINE)
        text = re.sub(r"```\w*\n?|\*\*|`", "", text)
    if style.words is not None:
        text = _shortened(text, style.words)
    return text.upper() if style.is_capitals else text


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def _named(part: Section, index: int, style: Style) -> Section:
    """A section under the heading that the prompt gives it, or in the language it asks for."""
    heading = part.heading
    if heading and style.language:
        heading = _TRANSLATIONS[style.language].get(heading, heading)
    if index < len(style.headings):
        heading = style.headings[index]
    return Section(heading, part.body)


def _key(heading: str) -> str:
    return re.sub(r"\W+", "_", heading.lower()).strip("_")


def _plain(body: str) -> str:
    """A body on one line, its code blocks left out."""
    text = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    return " ".join(re.sub(r"^\s*(?:[-*>]|#+)\s+", "", text, flags=re.MULTILINE).split())


def _value(body: str) -> str | list[str]:
    """A body as a JSON value: a list where it is one."""
    lines = body.splitlines()
    if lines and all(line.startswith("- ") for line in lines):
        return [line.removeprefix("- ") for line in lines]
    return _plain(body) or re.sub(r"```\w*\n?", "", body).strip()


def _flat(parts: Sequence[Section]) -> list[str]:
    """Every sentence of an answer, the first of each section before the second of any."""
    columns = [sentences(_plain(part.body)) for part in parts]
    return [
        column[row]
        for row in range(max((len(column) for column in columns), default=0))
        for column in columns
        if row < len(column)
    ]


def _shortened(text: str, words: int) -> str:
    """The first words of a text, its layout kept."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return text if len(ends) <= words else text[: ends[words - 1]].rstrip(",;:") + " …"
