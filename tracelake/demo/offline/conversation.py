"""One form for the requests of all three providers' formats, and for the answers to them.

This is deliberately not `tracelake.wire`: what answers the requests in tests must not share the
code that is tested with them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

Format = Literal["messages", "chat", "responses"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model calls; `id` is empty in an answer, the writer of the format gives it."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call gave."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation; consecutive messages of one role are one turn."""

    role: Literal["user", "assistant"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool the model may call."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, whatever its format was.

    Attributes:
        tool_choice: Name of the tool that must be called, `*` for any of them, None when free.
        answer_schema: JSON schema the answer must follow, `{}` for any JSON, None for free text.
        max_tokens: Longest answer allowed.
        thinks: Whether the answer may open with a thinking block.
        body: The request as sent.
    """

    format: Format
    model: str
    stream: bool
    system: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolDefinition, ...]
    tool_choice: str | None
    answer_schema: dict[str, Any] | None
    max_tokens: int | None
    thinks: bool
    body: dict[str, Any]

    def offers(self, tool: str) -> bool:
        """Whether this tool may be called."""
        return any(definition.name == tool for definition in self.tools)

    @property
    def task(self) -> str:
        """What the user asked first."""
        return next((t.text for t in self.turns if t.role == "user" and t.text), "")

    @property
    def last_request(self) -> str:
        """What the user asked last."""
        return next((t.text for t in reversed(self.turns) if t.role == "user" and t.text), "")

    def steps(self) -> list[tuple[ToolCall, ToolResult | None]]:
        """Every tool call so far with its result, in order; None while it has none."""
        results = {result.call_id: result for turn in self.turns for result in turn.results}
        return [(call, results.get(call.id)) for turn in self.turns for call in turn.calls]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: thinking first, then text, then tool calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    is_cut: bool = field(default=False, kw_only=True)


def read_ask(wire_format: Format, body: dict[str, Any]) -> Ask:
    """Read a request body.

    Raises:
        ValueError: The body is not a request of this format; the message says what is missing.
    """
    if not isinstance(body.get("model"), str):
        raise ValueError("model: field required")  # noqa: TRY004 - what was sent is invalid
    if wire_format == "messages":
        return _read_messages(body)
    return _read_chat(body) if wire_format == "chat" else _read_responses(body)


def estimate_tokens(value: Any) -> int:
    """Roughly how many tokens a value is: four characters each."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return max(1, len(text) // 4) if text else 0


def _text(content: Any) -> str:
    """The text of content that is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part if isinstance(part, str) else part.get("text", "") for part in content]
    return "\n".join(part for part in parts if isinstance(part, str) and part)


def _arguments(text: Any) -> dict[str, Any]:
    """Tool arguments, which models sometimes send as text that is not JSON."""
    if isinstance(text, dict):
        return text
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {"input": text}
    return value if isinstance(value, dict) else {"input": value}


def _merged(turns: list[Turn]) -> tuple[Turn, ...]:
    """Join consecutive turns of one role, as the formats cut them differently."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            last = merged.pop()
            turn = Turn(  # noqa: PLW2901 - the joined turn takes the place of both
                turn.role,
                "\n".join(text for text in (last.text, turn.text) if text),
                last.calls + turn.calls,
                last.results + turn.results,
            )
        merged.append(turn)
    return tuple(merged)


def _read_messages(body: dict[str, Any]) -> Ask:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise ValueError("messages: field required")  # noqa: TRY004
    turns: list[Turn] = []
    for message in messages:
        role = "assistant" if message.get("role") == "assistant" else "user"
        content = message.get("content")
        blocks = content if isinstance(content, list) else []
        calls = tuple(
            ToolCall(b["name"], _arguments(b.get("input")), b["id"])
            for b in blocks
            if b.get("type") == "tool_use"
        )
        results = tuple(
            ToolResult(b["tool_use_id"], _text(b.get("content")), bool(b.get("is_error")))
            for b in blocks
            if b.get("type") == "tool_result"
        )
        text = _text([b for b in blocks if b.get("type") == "text"] if blocks else content)
        turns.append(Turn(role, text, calls, results))
    choice = body.get("tool_choice") or {}
    output_format = (body.get("output_config") or {}).get("format") or {}
    return Ask(
        format="messages",
        model=body["model"],
        stream=bool(body.get("stream")),
        system=_text(body.get("system")),
        turns=_merged(turns),
        tools=tuple(
            ToolDefinition(t["name"], t["input_schema"])
            for t in body.get("tools") or []
            if "input_schema" in t
        ),
        tool_choice={"any": "*", "tool": choice.get("name")}.get(choice.get("type", "")),
        answer_schema=output_format.get("schema"),
        max_tokens=body.get("max_tokens"),
        thinks=(body.get("thinking") or {}).get("type") in {"enabled", "adaptive", "between_tools"},
        body=body,
    )


def _read_chat(body: dict[str, Any]) -> Ask:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise ValueError("messages: field required")  # noqa: TRY004
    system: list[str] = []
    turns: list[Turn] = []
    for message in messages:
        text = _text(message.get("content"))
        if message.get("role") in {"system", "developer"}:
            system.append(text)
        elif message.get("role") == "tool":
            failed = text.startswith("Error")
            turns.append(Turn("user", results=(ToolResult(message["tool_call_id"], text, failed),)))
        elif message.get("role") == "assistant":
            calls = tuple(
                ToolCall(c["function"]["name"], _arguments(c["function"]["arguments"]), c["id"])
                for c in message.get("tool_calls") or []
                if "function" in c
            )
            turns.append(Turn("assistant", text, calls))
        else:
            turns.append(Turn("user", text))
    tools = [t["function"] for t in body.get("tools") or [] if t.get("type") == "function"]
    choice = body.get("tool_choice")
    named = (
        choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
    )
    return Ask(
        format="chat",
        model=body["model"],
        stream=bool(body.get("stream")),
        system="\n".join(system),
        turns=_merged(turns),
        tools=tuple(ToolDefinition(t["name"], t.get("parameters") or {}) for t in tools),
        tool_choice="*" if choice == "required" else named,
        answer_schema=_chat_schema(body.get("response_format") or {}),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        thinks=False,
        body=body,
    )


def _chat_schema(response_format: dict[str, Any]) -> dict[str, Any] | None:
    if response_format.get("type") == "json_schema":
        return response_format.get("json_schema", {}).get("schema", {})
    return {} if response_format.get("type") == "json_object" else None


def _read_responses(body: dict[str, Any]) -> Ask:
    sent = body.get("input") or []
    items = [{"role": "user", "content": sent}] if isinstance(sent, str) else sent
    system = [body.get("instructions") or ""]
    turns: list[Turn] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") in {"system", "developer"}:
            system.append(_text(item.get("content")))
        elif kind == "message":
            role = "assistant" if item.get("role") == "assistant" else "user"
            turns.append(Turn(role, _text(item.get("content"))))
        elif kind in {"function_call", "custom_tool_call"}:
            arguments = _arguments(item.get("arguments") or item.get("input"))
            turns.append(
                Turn("assistant", calls=(ToolCall(item["name"], arguments, item["call_id"]),))
            )
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            text = _text(item.get("output"))
            result = ToolResult(item["call_id"], text, text.startswith("Error"))
            turns.append(Turn("user", results=(result,)))
    tools = [t for t in body.get("tools") or [] if t.get("type") == "function"]
    choice = body.get("tool_choice")
    text_format = (body.get("text") or {}).get("format") or {}
    schemas = {"json_schema": text_format.get("schema", {}), "json_object": {}}
    return Ask(
        format="responses",
        model=body["model"],
        stream=bool(body.get("stream")),
        system="\n".join(text for text in system if text),
        turns=_merged(turns),
        tools=tuple(ToolDefinition(t["name"], t.get("parameters") or {}) for t in tools),
        tool_choice="*"
        if choice == "required"
        else choice.get("name")
        if isinstance(choice, dict)
        else None,
        answer_schema=schemas.get(text_format.get("type", "")),
        max_tokens=body.get("max_output_tokens"),
        thinks=False,
        body=body,
    )
