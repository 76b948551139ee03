"""What changed: word-level differences of texts and deltas of numbers. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from diff_match_patch import diff_match_patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Op = Literal["same", "removed", "added"]
_OPS: dict[int, Op] = {0: "same", -1: "removed", 1: "added"}
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
#: Beyond these the difference is taken by lines first: comparing words would take seconds.
_WORDS_MAX = 60_000
_TIMEOUT_S = 0.8
_LINES_TIMEOUT_S, _WORDS_TIMEOUT_S, _TIMEOUT_LEAST_S = 0.2, 0.5, 0.005
#: So much that is the same is compared with what differs, so that words are not cut from it.
_CONTEXT_CHARS = 1_000
_CUTS = "\n ,"
#: Private-use and supplementary code points stand for words; surrogates cannot.
_FIRST_CODE, _SURROGATES, _AFTER_SURROGATES, _LAST_CODE = 1, 0xD800, 0xE000, 0x10FFFF


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of text that is the same, removed or added."""

    op: Op
    text: str


def word_diff(before: str, after: str) -> list[Chunk]:
    """The difference by words, cleaned up so that it reads well.

    Two JSON documents are compared by what they say: keys sorted, indented alike.
    Joining `same` and `removed` gives `before` (as compared), `same` and `added` gives `after`.
    """
    before, after = _canonical(before, after)
    if before == after:
        return [Chunk("same", before)] if before else []
    head, tail = _shared_ends(before, after)
    start, end = before[:head], before[len(before) - tail :]
    before, after = before[head : len(before) - tail], after[head : len(after) - tail]
    if _fits(before, after):
        found = _compared(before, after, _words, _TIMEOUT_S)
    else:
        found = _refined(_compared(before, after, _lines, _LINES_TIMEOUT_S))
    return _joined([Chunk("same", start), *found, Chunk("same", end)])


def _shared_ends(before: str, after: str) -> tuple[int, int]:
    """How much both texts start and end with that need not be compared word by word.

    Cut at a line, a word or a mark that both have, and far enough from what differs for the words
    around it to read as if all had been compared.
    """
    shortest = min(len(before), len(after))
    head = _shared(lambda size: before[:size] == after[:size], shortest) - _CONTEXT_CHARS
    if head > 0:
        cuts = (before.rfind(mark, max(head - _CONTEXT_CHARS, 0), head) for mark in _CUTS)
        head = max(cuts) + 1 or head
    head = max(head, 0)
    left = shortest - head
    tail = _shared(lambda size: before[len(before) - size :] == after[len(after) - size :], left)
    place = len(before) - tail + _CONTEXT_CHARS
    if place >= len(before):
        return head, 0
    cuts = (before.find(mark, place, place + _CONTEXT_CHARS) + 1 for mark in _CUTS)
    return head, len(before) - min((cut for cut in cuts if cut), default=place)


def _shared(is_shared: Callable[[int], bool], most: int) -> int:
    """The largest size, up to `most`, of which it holds; it holds of every smaller one."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_shared(middle) else (low, middle - 1)
    return low


def _joined(chunks: Iterable[Chunk]) -> list[Chunk]:
    found: list[Chunk] = []
    for chunk in chunks:
        if not chunk.text:
            continue
        if found and found[-1].op == chunk.op:
            found[-1] = Chunk(chunk.op, found[-1].text + chunk.text)
        else:
            found.append(chunk)
    return found


def _refined(chunks: list[Chunk]) -> list[Chunk]:
    """Lines that took the place of others compared by words; the time is shared by length."""
    total = sum(len(chunk.text) for chunk in chunks if chunk.op != "same") or 1
    found: list[Chunk] = []
    for chunk in chunks:
        if chunk.op == "added" and found and found[-1].op == "removed":
            before = found.pop().text
            share = (len(before) + len(chunk.text)) / total
            timeout_s = max(_TIMEOUT_LEAST_S, _WORDS_TIMEOUT_S * share)
            found += _compared(before, chunk.text, _words, timeout_s)
        else:
            found.append(chunk)
    return found


def _compared(
    before: str, after: str, split: Callable[[str], list[str]], timeout_s: float
) -> list[Chunk]:
    engine = diff_match_patch()
    engine.Diff_Timeout = timeout_s
    codes: dict[str, str] = {}
    encoded = [_encode(split(text), codes) for text in (before, after)]
    words = {code: word for word, code in codes.items()}
    found = engine.diff_main(encoded[0], encoded[1], False)
    # cleaned up while a word is still one character, so that no word is ever split
    engine.diff_cleanupSemantic(found)
    return [Chunk(_OPS[op], "".join(words[code] for code in text)) for op, text in found if text]


@dataclass(frozen=True, slots=True)
class Delta:
    """One number before and after; None where it is unknown."""

    name: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """After minus before."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before


def deltas(before: dict[str, Any], after: dict[str, Any]) -> list[Delta]:
    """Tokens, cost and latency of two LLM spans.

    Args:
        before: Columns of `spans` of the original.
        after: Columns of `spans` of the test.
    """
    names = ("tokens_input", "tokens_output", "cost_usd", "duration_ms", "ttft_ms")
    return [Delta(name, before.get(name), after.get(name)) for name in names]


def tool_calls_text(blocks: Any) -> str:
    """The tool calls of an answer as text to compare: name and arguments, keys sorted."""
    lines: list[str] = []
    for name, arguments in _calls(blocks):
        try:
            value = json.loads(arguments) if isinstance(arguments, str) else arguments
        except (ValueError, RecursionError):
            value = arguments
        shown = value if isinstance(value, str) else _dump(value)
        lines.append(f"{name} {shown}")
    return "\n".join(lines)


def _calls(blocks: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, dict):
            continue
        if block.get("type") in {"tool_use", "server_tool_use"}:
            found.append((str(block.get("name")), block.get("input")))
        elif block.get("type") in {"function_call", "custom_tool_call"}:
            found.append((str(block.get("name")), block.get("arguments", block.get("input"))))
        else:
            message = block.get("message")
            holder = message if isinstance(message, dict) else block
            for call in holder.get("tool_calls") or []:
                function = call.get("function") or {}
                found.append((str(function.get("name")), function.get("arguments")))
    return found


def _canonical(before: str, after: str) -> tuple[str, str]:
    try:
        values = [json.loads(text) for text in (before, after)]
    except (ValueError, RecursionError):
        return before, after
    if not all(isinstance(value, dict | list) for value in values):
        return before, after
    return _dump(values[0]), _dump(values[1])


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _fits(before: str, after: str) -> bool:
    return len(before) + len(after) < _WORDS_MAX * 6


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _encode(words: list[str], codes: dict[str, str]) -> str:
    encoded: list[str] = []
    for word in words:
        code = codes.get(word)
        if code is None:
            code = codes[word] = _code(len(codes))
        encoded.append(code)
    return "".join(encoded)


def _code(number: int) -> str:
    code = number + _FIRST_CODE
    if code >= _SURROGATES:
        code += _AFTER_SURROGATES - _SURROGATES
    if code > _LAST_CODE:
        raise ValueError("too many different words to compare")
    return chr(code)
