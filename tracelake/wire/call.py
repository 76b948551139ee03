"""The neutral form of one provider call, whatever the provider's wire format was.

Native JSON is kept as sent (`messages`, `tools`, `request`), so that a call can be rebuilt to the
same body; atoms are the normalised view that structure inference and replay compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Api = Literal[
    "messages",
    "count_tokens",
    "chat",
    "responses",
    "embeddings",
    "completions",
    "ollama_chat",
    "ollama_generate",
    "models",
    "other",
]
AtomKind = Literal["text", "tool_call", "tool_result", "thinking", "media", "other"]


@dataclass(frozen=True, slots=True)
class Atom:
    """One piece of a conversation.

    Attributes:
        role: system, developer, user or assistant; a tool result has role user.
        text: Text, tool result text, or thinking; for media a digest of the content.
        id: Provider's id of the tool call that this calls or answers.
        name: Tool name.
        arguments: Tool arguments as canonical JSON text (sorted keys), for a tool call.
        is_error: What the provider format says of a result; None where it cannot say.
    """

    role: str
    kind: AtomKind
    text: str = ""
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    is_error: bool | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None where the provider did not say. `input` includes cached tokens."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the program asked.

    Attributes:
        provider: anthropic, openai, azure, groq, … as prices know it.
        system: System prompt as text: the `system` field, the leading system or developer
            messages, or `instructions`.
        messages: Native `messages` or `input` exactly as sent (chat keeps its system messages).
        tools: Native tool definitions as sent, or None.
        parameters: Every other key of the body as sent; holds `system` too where the native
            field is not plain text, so that nothing is lost.
        atoms: The messages, normalised, in order, without `system`.
        tool_names: Names of the defined tools in order.
    """

    api: Api
    provider: str
    model: str | None
    stream: bool
    system: str
    messages: Any
    tools: list[Any] | None
    parameters: dict[str, Any]
    atoms: tuple[Atom, ...]
    tool_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """What the provider answered.

    Attributes:
        model: Model that answered, when it says so.
        text: Text of the answer (first choice; further choices only in `blocks`).
        blocks: Native content: content blocks, choices, output items or embeddings summary.
        atoms: The answer, normalised (first choice).
        finish_reason: As the provider named it.
        response_id: Provider's id of the answer.
        error_type: Class of the error, None when the call succeeded.
        error: Error text.
        cost_usd: US dollars, None when unknown, `cost_note` then says why.
    """

    model: str | None = None
    text: str = ""
    blocks: list[Any] = field(default_factory=list[Any])
    atoms: tuple[Atom, ...] = ()
    finish_reason: str | None = None
    response_id: str | None = None
    usage: Usage = Usage()
    error_type: str | None = None
    error: str | None = None
    cost_usd: float | None = None
    cost_note: str | None = None
