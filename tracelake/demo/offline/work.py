"""What a demo agent sees when it looks back on its conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.demo.offline.style import (
    Section,
    is_understood,
    read_style,
    render,
    sentences,
)

if TYPE_CHECKING:
    from tracelake.demo.offline.conversation import Ask, ToolCall, ToolResult

_STOP_WORDS = frozenset(
    """
    about after again agrees also although answer because been before being check could does each
    every find from have here into just like make makes more most must need needs only other over
    please should some sure than that their them then there these they thing this those through
    under until what when where which while will with would write your
    """.split()  # noqa: SIM905 - a list of strings would be a column of noise
)
_READ_ONLY = re.compile(
    r"do not (?:change|edit|touch|fix)|don't (?:change|edit|touch|fix)|without (?:changing|editing)"
    r"|read[- ]only|only (?:analyse|analyze|explain|report|propose)|no changes",
    re.IGNORECASE,
)


@cache
def standard_prompt(agent: str) -> str:
    """The system prompt that the demo program gives an agent."""
    path = Path(__file__).parent.parent / "prompts" / f"{agent}.md"
    return path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Work:
    """The conversation of one agent, as far as it has come."""

    ask: Ask
    agent: str

    @property
    def assignment(self) -> str:
        """What the agent was asked to do, without the list of files."""
        return self.ask.task.split("\n\nThe repository:", 1)[0].strip()

    @property
    def subject(self) -> str:
        """The assignment without the orchestrator's division of labour, for searching."""
        return self.assignment.split("\n\nYour part is", 1)[0]

    @property
    def is_read_only(self) -> bool:
        """Whether the assignment or the prompt forbids changes."""
        return bool(_READ_ONLY.search(f"{self.assignment}\n{self.added_instructions()}"))

    def done(self, *tools: str) -> list[tuple[ToolCall, ToolResult]]:
        """Calls of these tools that gave a result, in order."""
        return [
            (call, result)
            for call, result in self.ask.steps()
            if call.name in tools and result is not None and not result.is_error
        ]

    def failed(self, *tools: str) -> list[tuple[ToolCall, ToolResult]]:
        """Calls of these tools that failed, in order."""
        return [
            (call, result)
            for call, result in self.ask.steps()
            if call.name in tools and result is not None and result.is_error
        ]

    def tried(self, tool: str, **arguments: str) -> bool:
        """Whether the agent already called this tool with these arguments."""
        return any(
            call.name == tool and arguments.items() <= call.arguments.items()
            for call, _ in self.ask.steps()
        )

    def files_read(self) -> dict[str, str]:
        """Text of each file the agent has read."""
        return {
            str(call.arguments.get("path")): result.text for call, result in self.done("read_file")
        }

    def added_instructions(self) -> str:
        """What the system prompt says beyond the demo program's own."""
        standard = set(sentences(standard_prompt(self.agent)))
        return "\n".join(s for s in sentences(self.ask.system) if s not in standard)

    def restated(self) -> str:
        """The assignment as the agent quotes it when it starts."""
        return f"> {shortened(self.assignment, 600)}"

    def remarks(self) -> list[str]:
        """What was changed in the prompt or the assignment and is not a matter of form.

        The agent's first turn quotes its assignment; a quote that is not today's assignment shows
        that somebody edited it since.
        """
        added = self.added_instructions().splitlines()
        remarks = [f"The prompt also asks: “{s}”" for s in added if not is_understood(s)]
        present = set(sentences(self.ask.system))
        dropped = [s for s in sentences(standard_prompt(self.agent)) if s not in present]
        remarks += [f"The prompt no longer says: “{shortened(s, 160)}”" for s in dropped]
        said = next((t.text for t in self.ask.turns if t.role == "assistant" and t.text), None)
        if said and "\n> " in said and self.restated() not in said:
            remarks.append(f"The assignment now reads: “{shortened(self.assignment, 300)}”")
        if self.ask.last_request != self.ask.task:
            remarks.append(f"You add: “{shortened(self.ask.last_request, 200)}”")
        return remarks

    def voice(self, text: str) -> str:
        """What the agent says along with a tool call, with wishes on form and edits heeded."""
        wishes = (self.added_instructions(), self.assignment, self.ask.last_request)
        style = replace(read_style(*wishes), headings=(), is_json=False, is_bulleted=False)
        parts = [Section("", "\n\n".join([text, *self.remarks()]))]
        return render(parts, style)

    def report(self, *sections: Section) -> str:
        """The agent's last answer, in the form that prompt and assignment ask for."""
        style = read_style(self.ask.system, self.assignment, self.ask.last_request)
        if "markdown" not in self.ask.system.lower():
            style = replace(style, is_markdown=False)
        noted = Section("Noted", "\n".join(f"- {remark}" for remark in self.remarks()))
        return render([s for s in (*sections, noted) if s.body], style)


def keywords(text: str, limit: int = 4) -> list[str]:
    """The words of a text that carry its meaning, most frequent first, then in order."""
    words = [w.lower() for w in re.findall(r"[A-Za-z][A-Za-z_]{3,}", text)]
    kept = [w for w in words if w not in _STOP_WORDS]
    ranked = sorted(dict.fromkeys(kept), key=lambda w: (-kept.count(w), kept.index(w)))
    return ranked[:limit]


def is_about_free_delivery(text: str) -> bool:
    """Whether an assignment concerns the limit for free delivery, which the script knows well."""
    return bool(re.search(r"deliver|free of charge|free shipping|EUR 50", text, re.IGNORECASE))


def search_pattern(text: str) -> str:
    """What to search for to work on an assignment."""
    if is_about_free_delivery(text):
        return "free.?delivery|free of charge"
    return "|".join(re.escape(word) for word in keywords(text)) or "def "


def hits(result: str) -> dict[str, list[str]]:
    """The result of the tool `grep`: matching lines by file."""
    found: dict[str, list[str]] = {}
    for line in result.splitlines():
        if match := re.match(r"([^:\s]+):(\d+): (.*)", line):
            found.setdefault(match[1], []).append(match[3])
    return found


def shortened(text: str, limit: int) -> str:
    """Text on one line, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rsplit(" ", 1)[0] + " …"


def section_of(report: str, *headings: str) -> str:
    """The text under one of these headings of a Markdown report, empty when it has none."""
    for heading in headings:
        pattern = rf"^#+ {re.escape(heading)}\s*$\n(.*?)(?=^#+ |\Z)"
        if match := re.search(pattern, report, re.MULTILINE | re.DOTALL | re.IGNORECASE):
            return match[1].strip()
    return ""
