"""The call under edit: a recorded LLM span, or a call from scratch, and what was changed.

Invariant: the body of an unedited draft equals the recorded JSON body.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from tracelake.errors import QueryError
from tracelake.model import Exchange
from tracelake.wire import read_request, rebuild_body

if TYPE_CHECKING:
    from collections.abc import Mapping

DraftApi = Literal["messages", "chat", "responses"]
#: Formats that can be edited and sent, and the provider that speaks each.
PROVIDER_OF: dict[DraftApi, str] = {
    "messages": "anthropic",
    "chat": "openai",
    "responses": "openai",
}
#: The key of the body that bounds the answer, per format.
MAX_TOKENS_KEY: dict[DraftApi, str] = {
    "messages": "max_tokens",
    "chat": "max_completion_tokens",
    "responses": "max_output_tokens",
}
#: Path of a call as a relay records it, per format.
PATHS: dict[DraftApi, str] = {
    "messages": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
#: Parameters with a control of their own; the others are edited as JSON.
PLAIN_PARAMETERS = frozenset(
    {"model", "stream", "temperature", "top_p", "max_tokens", *MAX_TOKENS_KEY.values()}
)


@dataclass(frozen=True, slots=True)
class Draft:
    """One call as it would be sent.

    Attributes:
        api: Wire format.
        provider: As prices know it.
        system: System prompt as text.
        messages: Native messages or input; a plain string where the format allows it.
        tools: Native tool definitions; None sends no such key, an empty list an empty one.
        parameters: Every other key of the body, `model` and `stream` included.
    """

    api: DraftApi
    provider: str
    system: str
    messages: Any
    tools: list[Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def model(self) -> str:
        """The model asked for, empty when none is named."""
        return str(self.parameters.get("model") or "")

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is asked for as a stream."""
        return self.parameters.get("stream") is True

    def body(self) -> dict[str, Any]:
        """The JSON body to send."""
        return rebuild_body(self.api, self.parameters, self.system, self.messages, self.tools)

    def edited(self, **changes: Any) -> Draft:
        """A copy with other values."""
        return replace(self, **changes)

    def with_parameter(self, name: str, value: Any) -> Draft:
        """A copy with one parameter set, or taken out where the value is None."""
        parameters = {key: kept for key, kept in self.parameters.items() if key != name}
        if value is not None:
            parameters = {**self.parameters, name: value}
        return replace(self, parameters=parameters)


def scratch(api: DraftApi = "messages", *, model: str = "") -> Draft:
    """An empty call of a format."""
    parameters: dict[str, Any] = {"model": model, "stream": True, MAX_TOKENS_KEY[api]: 1024}
    if api == "chat":
        # without it a streamed chat answer reports no usage, and so has no price
        parameters["stream_options"] = {"include_usage": True}
    return Draft(
        api=api,
        provider=PROVIDER_OF[api],
        system="",
        messages=[{"role": "user", "content": ""}],
        parameters=parameters,
    )


def draft_of(span: Mapping[str, Any]) -> Draft:
    """The call that a recorded LLM span made.

    A model that only the path named goes into the body: the path is not repeated.

    Args:
        span: Columns of `spans`, JSON columns parsed or as text.

    Raises:
        QueryError: The span is no LLM call, or of a format that cannot be sent again.
    """
    if span.get("kind") != "llm":
        raise QueryError(f"span {span.get('span_id')!r} is not an LLM call: pick one in Live")
    attributes = _json(span.get("attributes")) or {}
    provider = str(span.get("provider") or "")
    api = attributes.get("api") or ("messages" if provider == "anthropic" else "chat")
    if api not in PROVIDER_OF:
        raise QueryError(f"a call of the format {api!r} cannot be edited here")
    parameters = _json(span.get("request")) or {}
    if "model" not in parameters and span.get("model"):
        parameters = {"model": span["model"], **parameters}
    messages = _json(span.get("messages"))
    return Draft(
        api=api,
        provider=provider or PROVIDER_OF[api],
        system=str(span.get("system") or ""),
        messages=[] if messages is None else messages,
        tools=_json(span.get("tools")),
        parameters=dict(parameters),
    )


def draft_of_body(api: DraftApi, provider: str, body: Mapping[str, Any]) -> Draft:
    """The draft that a JSON body makes.

    Args:
        api: Its wire format.
        provider: As prices know it.
        body: As it would be sent.
    """
    exchange = Exchange(
        span_id="draft",
        start_time=_NO_TIME,
        method="POST",
        path=PATHS[api],
        upstream=provider,
        request_headers=(),
        request_body=json.dumps(body, ensure_ascii=False).encode(),
    )
    request = read_request(exchange)
    if request is None:
        raise QueryError(f"a call of the format {api!r} cannot be edited here")
    return Draft(
        api=api,
        provider=provider,
        system=request.system or "",
        messages=[] if request.messages is None else request.messages,
        tools=None if request.tools is None else list(request.tools),
        parameters=dict(request.parameters),
    )


def changes(original: Draft, edited: Draft) -> tuple[str, ...]:
    """What differs, as names: system, messages, tools, and parameters by their own names."""
    names = [
        name
        for name in ("system", "messages", "tools")
        if (getattr(original, name) or None) != (getattr(edited, name) or None)
    ]
    keys = {**original.parameters, **edited.parameters}
    names += [key for key in keys if original.parameters.get(key) != edited.parameters.get(key)]
    return tuple(names)


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
