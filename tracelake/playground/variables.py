"""Placeholders of a prompt, `{{name}}`, and the values put in their place before it is sent. Pure.

Invariant: a placeholder without a value is sent as it is written, so that a recorded prompt which
merely shows such text stays as it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracelake.playground.draft import Draft

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}", re.ASCII)
#: Content that is no text to fill in: encoded media and what a provider signed.
_OPAQUE = frozenset({"data", "signature", "encrypted_content", "url", "image_url"})


def names_of(draft: Draft) -> tuple[str, ...]:
    """The variables of the system prompt and the messages, each once, in order."""
    texts = (draft.system, *_texts(draft.messages))
    found = (match[1] for text in texts if "{{" in text for match in _VARIABLE.finditer(text))
    return tuple(dict.fromkeys(found))


def filled(draft: Draft, values: Mapping[str, str]) -> Draft:
    """The draft with every variable that has a value replaced by it.

    Args:
        draft: With placeholders.
        values: By name; an empty value counts as none.
    """
    known = {name: value for name, value in values.items() if value}
    if not known:
        return draft
    return draft.edited(
        system=_fill(draft.system, known), messages=_fill_all(draft.messages, known)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _OPAQUE:
                yield from _texts(item)


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


def _fill_all(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, list):
        return [_fill_all(item, values) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in _OPAQUE else _fill_all(item, values) for key, item in value.items()
        }
    return value
