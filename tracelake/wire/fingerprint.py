"""Hashes of prompts and tool sets, the same for all that differ only in what varies by run."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

from tracelake.wire.lenient import dump, objects

#: What a run puts into a prompt, most telling first: each is replaced by its mark.
_VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^x-anthropic-billing-header.*$", re.MULTILINE), ""),
    (re.compile(r"<env>.*?</env>", re.DOTALL), "<env>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"(?<![\w/.])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+\-]+){2,}[/\\]?"), "<path>"),
    (
        re.compile(
            r"\b(?:mon|tues?|wed(?:nes)?|thurs?|fri|sat(?:ur)?|sun)(?:day)?\b,?\s*(?=\w+\s+\d)",
            re.IGNORECASE,
        ),
        "",
    ),
    (
        re.compile(
            r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
            r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?\s+\d",
            re.IGNORECASE,
        ),
        "<month> 0",
    ),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\b\w*_[0-9A-Za-z]*\d[0-9A-Za-z]{15,}\b"), "<id>"),
    (re.compile(r"\d+"), "0"),
)
_SPACE = re.compile(r"\s+")


@lru_cache(maxsize=256)
def masked(text: str) -> str:
    """The text with ids, dates, paths and numbers replaced by marks and white space collapsed."""
    for pattern, mark in _VOLATILE:
        text = pattern.sub(mark, text)
    return _SPACE.sub(" ", text).strip()


def fingerprint(system: str) -> str:
    """16 hexadecimal digits that stand for a system prompt; the empty text for an empty one."""
    template = masked(system)
    return _digest(template) if template else ""


def tools_fingerprint(tools: Any) -> str:
    """16 hexadecimal digits that stand for a set of tools, whatever their order; "" for none."""
    definitions = sorted(dump(_without_caching(tool)) for tool in objects(tools))
    return _digest(masked("\n".join(definitions))) if definitions else ""


def _without_caching(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool definition without the cache mark, which moves from call to call."""
    return {key: value for key, value in tool.items() if key != "cache_control"}


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
