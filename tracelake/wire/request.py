"""What the program asked: a recorded request read into `Request`, and a body built from one again.

The formats differ in the names of two keys, so a table of those drives both directions.

Invariant: `rebuild_body` of an unedited request equals the recorded JSON body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.wire.blocks import attached_images, plain_text
from tracelake.wire.call import Request
from tracelake.wire.conversation import Turn, atoms_of, leading, read_turns, system_text
from tracelake.wire.decode import decode_body, encodings_of
from tracelake.wire.endpoint import api_of, model_in, provider_of, streams_by_path
from tracelake.wire.lenient import (
    JsonObject,
    array,
    mapping,
    name_or_none,
    objects,
    parse_object,
    storable,
)
from tracelake.wire.offered import is_offer, offered_tools, with_offered_tools

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.wire.call import Api

#: Opens a system block by which a client bills its calls; no part of the prompt.
_BILLING = "x-anthropic-billing-header"


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a format keeps its system prompt and its messages."""

    system: str | None
    messages: str | None


_SHAPES: dict[str, _Shape] = {
    "messages": _Shape("system", "messages"),
    "count_tokens": _Shape("system", "messages"),
    "chat": _Shape(None, "messages"),
    "responses": _Shape("instructions", "input"),
    "ollama_chat": _Shape(None, "messages"),
    "ollama_generate": _Shape("system", "prompt"),
    "completions": _Shape(None, "prompt"),
    "embeddings": _Shape(None, "input"),
    "models": _Shape(None, None),
}
_PLAIN = _Shape(None, "messages")
#: What names a tool without a name: the server behind it, else its kind.
_LABELS = ("server_label", "mcp_server_name", "type")


def read_request(exchange: Exchange) -> Request | None:
    """What a recorded exchange asked of a model, or None when it is no such call.

    A body that is no JSON object gives a request without messages, since the call was made.
    """
    api = api_of(exchange.method, exchange.path)
    if api is None:
        return None
    document = decode_body(exchange.request_body, encodings_of(exchange.request_headers))
    body = mapping(storable(parse_object(document) or {}))
    return _read_body(api, provider_of(exchange), body, exchange.path)


def _read_body(api: Api, provider: str, body: JsonObject, path: str) -> Request:
    shape = _SHAPES[api]
    parameters = dict(body)
    given = body.get(shape.system) if shape.system else None
    system = native_system(given)
    messages = parameters.pop(shape.messages, None) if shape.messages else None
    if shape.messages in body and messages is None:
        parameters[str(shape.messages)] = None
    tools, more = body.get("tools"), offered_tools(api, messages)
    if more:
        tools = [*array(tools), *more]
    elif isinstance(tools, list):
        del parameters["tools"]
    turns = read_turns(api, messages)
    head = leading(turns)
    if shape.system and isinstance(given, str) and given and not head:
        # Where messages open with instructions as well, the field stays, to be told from them.
        del parameters[shape.system]
    if not system:
        system, turns = system_text(head), turns[len(head) :]
    if images := attached_images(body.get("images")):
        turns = [*turns, Turn("user", tuple(images))]
    stream = body.get("stream")
    return Request(
        api=api,
        provider=provider,
        model=name_or_none(body.get("model")) or model_in(path),
        stream=streams_by_path(path) or _is_true(stream, default=api.startswith("ollama_")),
        system=system,
        messages=messages,
        tools=array(tools) if isinstance(tools, list) else None,
        parameters=parameters,
        atoms=() if api == "embeddings" else atoms_of(turns),
        tool_names=tool_names(tools if isinstance(tools, list) else body.get("functions")),
    )


def _is_true(value: Any, *, default: bool) -> bool:
    return default if value is None else value is True


def rebuild_body(
    api: str,
    parameters: JsonObject,
    system: str | None,
    messages: Any,
    tools: list[Any] | None,
) -> JsonObject:
    """The JSON body of a call: the inverse of `read_request`, for edited parts too.

    Args:
        api: Wire format.
        parameters: As `Request.parameters`.
        system: System prompt as text. Where it differs from what `parameters` and `messages` hold,
            it takes the place of that.
        messages: Native messages, input or prompt; None leaves the key as `parameters` has it.
        tools: Native tool definitions, those that items of `messages` offer included; None leaves
            all as `parameters` and `messages` have it.
    """
    shape = _SHAPES.get(api, _PLAIN)
    body = dict(parameters)
    more = offered_tools(api, messages)
    if tools is not None and not more:
        body["tools"] = tools
    elif tools is not None and tools != [*array(body.get("tools")), *more]:
        body.pop("tools", None)
        messages = with_offered_tools(messages, tools)
    if messages is not None and shape.messages:
        body[shape.messages] = messages
    wanted = system or ""
    native = native_system(parameters.get(shape.system)) if shape.system else ""
    held = native or system_text(leading(read_turns(api, messages)))
    if wanted == held:
        return body
    if shape.system and (native or not held):
        if wanted:
            body[shape.system] = wanted
        else:
            body.pop(shape.system, None)
    elif shape.messages:
        body[shape.messages] = _with_system(api, messages, wanted)
    return body


def tool_names(tools: Any) -> tuple[str, ...]:
    """The names of tool definitions of any format, in order; tools in a namespace one by one."""
    names: list[str] = []
    for tool in objects(tools):
        if isinstance(tool.get("tools"), list):
            names += tool_names(tool["tools"])
            continue
        target = mapping(tool.get("function") or tool.get("custom")) or tool
        label = _first(target.get("name"), *(tool.get(key) for key in _LABELS))
        if name := name_or_none(label):
            names.append(name)
    return tuple(names)


def _first(*values: Any) -> Any:
    return next((value for value in values if value), None)


def native_system(value: Any) -> str:
    """The text of a native system field: text itself, or its blocks joined."""
    if isinstance(value, str):
        return value
    texts = (plain_text(block) for block in array(value))
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))


def _with_system(api: str, messages: Any, system: str) -> Any:
    """The messages with one system message, of the role they had, in place of the leading ones."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    native = array(messages)
    head = leading(read_turns(api, native))
    end = 1 + (head[-1].index or 0) if head else 0
    offers, kept = [item for item in native[:end] if is_offer(item)], native[end:]
    if not system:
        return [*offers, *kept]
    role = head[0].role if head else "system"
    return [*offers, {"role": role, "content": system}, *kept]
