"""Answers to prompts that are not the demo's: honest, and visibly made from the prompt.

The answer restates the request, does the little a script can do (sums, summaries, choices from a
list, JSON after a schema), says whose role it plays, and follows instructions on form. So an edited
system prompt, message or parameter changes it in a way a reader understands.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
from typing import Any

from tracelake.demo.offline.conversation import Answer, Ask, ToolCall
from tracelake.demo.offline.style import Section, is_understood, read_style, render, sentences
from tracelake.demo.offline.work import keywords, shortened

LABEL = "This is a scripted answer from the offline provider; no model was asked."
_ROLE = re.compile(r"\b[Yy]ou are ((?:an?|the) [^.,;:\n]+)")
_SUM = re.compile(r"(-?\d+(?:\.\d+)?)\s*([-+*/x×])\s*(-?\d+(?:\.\d+)?)")  # noqa: RUF001
_CHOICE = re.compile(
    r"\b(?:one of|as|either|choose|pick)[:\s]+([\w\"' -]+(?:,\s*[\w\"' -]+)*,?\s+or\s+[\w\"'-]+)",
    re.IGNORECASE,
)
_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "x": operator.mul,
    "×": operator.mul,  # noqa: RUF001
    "/": operator.truediv,
}


def answer_generically(ask: Ask) -> Answer:
    """The answer to any request."""
    if ask.tool_choice is not None and (tool := _chosen_tool(ask)):
        return Answer(calls=(tool,))
    if ask.answer_schema:
        value = example_of(ask.answer_schema, ask.last_request)
        return Answer(json.dumps(value, ensure_ascii=False))
    instructions = [s for s in sentences(ask.system) if not _ROLE.match(s)]
    style = read_style(ask.system, ask.last_request)
    noted = [s for s in instructions if not is_understood(s)]
    sections = [
        Section("Answer", _in_role(ask, _core(ask.last_request))),
        Section("Request", _request(ask.last_request)),
        Section("From the conversation", _history(ask)),
        Section("Instructions", _instructions(noted)),
    ]
    wants_json = ask.answer_schema is not None
    if wants_json:
        style = read_style(ask.system, ask.last_request, "answer in JSON")
    text = render([section for section in sections if section.body], style)
    if style.is_json or style.sentences or style.words:
        return Answer(text, thinking=_thinking(ask))
    return Answer(
        f"{text}\n\n*{LABEL}*" if style.is_markdown else f"{text}\n\n{LABEL}",
        thinking=_thinking(ask),
    )


def example_of(schema: dict[str, Any], prompt: str, name: str = "value") -> Any:
    """A value that follows a JSON schema, its texts taken from the prompt.

    Understands objects, arrays, enums, constants, unions (their first member) and the plain types;
    references are not followed.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        named = [v for v in schema["enum"] if str(v).lower() in prompt.lower()]
        return (named or schema["enum"])[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return example_of(schema[union][0], prompt, name)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties") or {}
        return {key: example_of(value, prompt, key) for key, value in properties.items()}
    if kind == "array":
        count = max(1, schema.get("minItems") or 1)
        return [example_of(schema.get("items") or {}, prompt, name)] * count
    if kind in {"integer", "number"}:
        found = re.search(r"\d+", prompt)
        return int(found[0]) if found else schema.get("minimum") or 1
    if kind == "boolean":
        return True
    return None if kind == "null" else f"{name}: {shortened(prompt, 80)}"


def _chosen_tool(ask: Ask) -> ToolCall | None:
    """The call of the tool that the request insists on."""
    tools = [tool for tool in ask.tools if ask.tool_choice in {"*", tool.name}]
    if not tools:
        return None
    arguments = example_of({"type": "object", **tools[0].schema}, ask.last_request)
    return ToolCall(tools[0].name, arguments)


def _in_role(ask: Ask, text: str) -> str:
    """A text, said by whom the system prompt says the model is."""
    role = _ROLE.search(ask.system)
    if not role:
        return text
    said = text if text.startswith("I ") else text[0].lower() + text[1:]
    return f"Speaking as {role[1].strip()}, {said}"


def _core(request: str) -> str:
    """The little of an answer that can be worked out."""
    if match := _SUM.search(request):
        left, sign, right = match.groups()
        if sign == "/" and not float(right):
            return f"{left} cannot be divided by zero."
        value = _OPERATORS[sign](float(left), float(right))
        return f"{left} {sign} {right} = {value:g}."
    if match := _CHOICE.search(request):
        choices = [c.strip(" \"'") for c in re.split(r",|\bor\b", match[1]) if c.strip(" \"'")]
        digest = hashlib.sha256(request.encode()).digest()
        return f"I choose **{choices[digest[0] % len(choices)]}**."
    if re.search(r"\bsummar(?:y|i[sz]e)\b", request, re.IGNORECASE):
        return _summary(request)
    terms = " and ".join(f"*{word}*" for word in keywords(request, 2))
    if not terms:
        return "There is little in the request to work with; a few more words would help."
    if "?" in request:
        question = next((s for s in reversed(sentences(request)) if "?" in s), request)
        return f"Your question “{shortened(question, 160)}” turns on {terms}."
    return f"The request turns on {terms}. I would take it in small steps, and check each."


def _summary(request: str) -> str:
    """The sentences of a text with most of its frequent words, in their order."""
    text = request.split(":", 1)[-1] if ":" in request else request
    parts = sentences(text)
    words = keywords(text, 8)
    ranked = sorted(parts, key=lambda s: -sum(word in s.lower() for word in words))
    kept = [part for part in parts if part in ranked[:2]]
    return "In short: " + " ".join(kept)


def _request(request: str) -> str:
    words = len(request.split())
    return (
        f"> {shortened(request, 280)}\n\n{words} word{'' if words == 1 else 's'}." if words else ""
    )


def _history(ask: Ask) -> str:
    """What came before the last request, and what tools gave."""
    lines: list[str] = []
    earlier = sum(1 for turn in ask.turns[:-1] if turn.role == "user" and turn.text)
    if earlier:
        lines.append(f"- It began with “{shortened(ask.task, 120)}”.")
    said = next((t.text for t in reversed(ask.turns) if t.role == "assistant" and t.text), "")
    if said:
        lines.append(f"- I said last: “{shortened(said, 120)}”")
    for call, result in ask.steps()[-4:]:
        outcome = "has no result yet" if result is None else f"gave “{shortened(result.text, 120)}”"
        failed = " and failed" if result is not None and result.is_error else ""
        lines.append(f"- `{call.name}` {outcome}{failed}.")
    return "\n".join(lines)


def _instructions(instructions: list[str]) -> str:
    """The first instructions of the system prompt, and how many follow."""
    lines = [f"- {shortened(line, 140)}" for line in instructions[:4]]
    if len(instructions) > len(lines):
        left = instructions[len(lines) :]
        digest = hashlib.sha256("\n".join(left).encode()).hexdigest()[:6]
        lines.append(f"- … and {len(left)} more (`{digest}`).")
    return "\n".join(lines)


def _thinking(ask: Ask) -> str:
    terms = ", ".join(keywords(ask.last_request)) or "no particular term"
    return (
        f"The request is about {terms}. The system prompt has {len(sentences(ask.system))} "
        "sentences to observe. I answer first and say afterwards what I went by."
    )
