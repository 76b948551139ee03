"""What the graph needs to know of a span: a few small fields, never a body."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tracelake.model import TERMINAL, from_iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LABEL_CHARS: Final = 120
ERROR_CHARS: Final = 240
#: Kinds drawn as a tool: something called for its result.
TOOL_KINDS: Final = frozenset({"tool", "retriever", "embedding"})
_SPACE = re.compile(r"\s+")

Drawn = Literal["agent", "llm", "tool", "hidden"]


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of a span that the graph shows.

    Attributes:
        drawn: As what; `hidden` spans (chains and the like) only link others to their agent.
        start: Seconds since the epoch; None when unknown.
        end: Seconds since the epoch; None while running.
        answer: Shortened text of the answer, or the tools it calls; empty when there is none.
        cost_usd: US dollars; None when unknown.
    """

    span_id: str
    parent_id: str | None
    kind: str
    drawn: Drawn
    role: str | None
    name: str
    agent: str
    status: str
    start: float | None
    end: float | None
    duration_ms: float | None
    ttft_ms: float | None
    label: str
    answer: str
    error: str
    tokens_input: int | None
    tokens_output: int | None
    cost_usd: float | None
    inferred: bool
    auxiliary: bool
    match: str | None

    @property
    def is_over(self) -> bool:
        """Whether the span has ended, for all that is known."""
        return self.status in TERMINAL

    def has_ended_by(self, moment: float) -> bool:
        """Whether its outcome was there at a moment; an agent hands on what it got at once."""
        if self.drawn == "agent":
            return True
        return self.is_over and (self.end is None or self.end <= moment)

    @property
    def is_error(self) -> bool:
        """Whether it ended in an error."""
        return self.status == "error"


def read_facts(span: Mapping[str, Any]) -> Facts:
    """Read the small fields off a span dict (columns of the table `spans`; any may be absent)."""
    kind: str = span.get("kind") or "other"
    parent = span.get("parent_id")
    drawn: Drawn = "hidden"
    if span.get("duplicate_of"):
        drawn = "hidden"  # the span it repeats is drawn
    elif kind == "agent":
        drawn = "agent"
    elif kind == "llm":
        drawn = "llm"
    elif kind in TOOL_KINDS:
        drawn = "tool"
    elif parent is None:
        drawn = "agent"  # a program without agents: its root stands for it
    status = span.get("status") or "running"
    name = span.get("name") or ""
    agent = span.get("agent_name") or (name if drawn == "agent" else "") or "agent"
    label = {
        "agent": agent,
        "llm": span.get("model") or name or "model",
        "tool": span.get("tool_name") or name or kind,
        "hidden": name,
    }[drawn]
    return Facts(
        span_id=span["span_id"],
        parent_id=parent,
        kind=kind,
        drawn=drawn,
        role=span.get("role"),
        name=shorten(name, LABEL_CHARS),
        agent=shorten(agent, LABEL_CHARS),
        status=status,
        start=_seconds(span.get("start_time")),
        end=_seconds(span.get("end_time")),
        duration_ms=span.get("duration_ms"),
        ttft_ms=span.get("ttft_ms"),
        label=shorten(label, LABEL_CHARS),
        answer=_answer(span) if drawn == "llm" else "",
        error=_error(span) if status == "error" else "",
        tokens_input=span.get("tokens_input"),
        tokens_output=span.get("tokens_output"),
        cost_usd=span.get("cost_usd"),
        inferred=span.get("evidence") == "inferred",
        auxiliary=bool(span.get("auxiliary")),
        match=span.get("match"),
    )


def by_start(facts: Facts) -> tuple[float, bool]:
    """Sorts by start, unknown ones last; an agent before what begins with it."""
    return (facts.start if facts.start is not None else math.inf, facts.drawn != "agent")


def shorten(text: str, chars: int) -> str:
    """One line of at most `chars` characters, an ellipsis where something was left out."""
    line = _SPACE.sub(" ", text[: chars * 4]).strip()
    return line if len(line) <= chars else line[: chars - 1].rstrip() + "…"


def tool_names(blocks: object) -> list[str]:
    """Names of the tools that an answer's content blocks call, in either provider's shape."""
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except ValueError:
            return []
    if not isinstance(blocks, list):
        return []
    names: list[str] = []
    for block in blocks:
        if not isinstance(block, dict):
            continue
        function = block.get("function")
        name = function.get("name") if isinstance(function, dict) else block.get("name")
        if isinstance(name, str) and block.get("type") != "text":
            names.append(name)
    return names


def _answer(span: Mapping[str, Any]) -> str:
    if text := shorten(span.get("response") or "", LABEL_CHARS):
        return text
    if names := tool_names(span.get("response_blocks")):
        return shorten("→ " + ", ".join(names), LABEL_CHARS)
    return _error(span) if span.get("status") == "error" else ""


def _error(span: Mapping[str, Any]) -> str:
    parts = [part for part in (span.get("error_type"), span.get("error")) if part]
    return shorten(": ".join(parts) or "failed without a message", ERROR_CHARS)


def _seconds(moment: datetime | str | None) -> float | None:
    if isinstance(moment, str):
        moment = from_iso(moment)
    return moment.timestamp() if moment is not None else None
