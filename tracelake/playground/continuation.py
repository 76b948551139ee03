"""Going on from an answer that calls tools: the answer and the results as further messages. Pure.

Invariant: the answer goes back as the provider gave it, so that ids, signatures and thinking hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.playground.fields import as_list
from tracelake.wire import conversation, response_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracelake.playground.draft import Draft

_FUNCTION = "function_call"
#: Items of the Responses format that the client answers with text.
_ANSWERED = frozenset({_FUNCTION, "custom_tool_call"})


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that waits for its result.

    Attributes:
        id: As the provider named it; a result must name it too.
        name: Of the tool.
        arguments: JSON text, keys sorted.
    """

    id: str
    name: str
    arguments: str


def calls_of(api: str, blocks: Any) -> tuple[Call, ...]:
    """The calls of an answer that its client must answer; none of those the provider runs."""
    if not isinstance(blocks, list):
        return ()
    parts = response_turn(api, [block for block in blocks if not _is_served(block)]).parts
    return tuple(
        Call(part.id, part.name or "tool", part.arguments or "{}")
        for part in parts
        if part.kind == "tool_call" and part.id
    )


def recorded_results(spans: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """What tools answered in a trace, by name and arguments, as later calls were told it.

    Args:
        spans: LLM spans in start order, JSON columns parsed.
    """
    calls: dict[str, tuple[str, str]] = {}
    results: dict[str, str] = {}
    for span in spans:
        api = (span.get("attributes") or {}).get("api")
        for turn in conversation(api, span.get("messages")):
            for part in turn.parts:
                if part.kind == "tool_call" and part.id:
                    calls[part.id] = (part.name or "tool", part.arguments or "{}")
                elif part.kind == "tool_result" and part.id:
                    results[part.id] = part.text
    return {calls[call_id]: text for call_id, text in results.items() if call_id in calls}


def counterparts(calls: Sequence[Call], recorded: Sequence[Call]) -> dict[str, Call]:
    """For each call the recorded one of the same tool and the same place among its calls, by id."""
    found: dict[str, Call] = {}
    waiting = list(recorded)
    for call in calls:
        match = next((other for other in waiting if other.name == call.name), None)
        if match is not None:
            waiting.remove(match)
            found[call.id] = match
    return found


def continued(draft: Draft, blocks: list[Any], results: Mapping[str, str]) -> Draft:
    """The draft with an answer and the results of its tool calls at its end.

    Args:
        draft: The call that was answered.
        blocks: The answer, native, as `Response.blocks` holds it.
        results: Text by id of the call.
    """
    messages = as_list(draft.api, draft.messages)
    if draft.api == "messages":
        given = [
            {"type": "tool_result", "tool_use_id": call_id, "content": text}
            for call_id, text in results.items()
        ]
        added = [{"role": "assistant", "content": blocks}, {"role": "user", "content": given}]
    elif draft.api == "responses":
        kinds = {block.get("call_id"): block.get("type") for block in blocks}
        outputs = [
            {"type": f"{kinds.get(call_id, _FUNCTION)}_output", "call_id": call_id, "output": text}
            for call_id, text in results.items()
        ]
        added = [*blocks, *outputs]
    else:
        message = _sendable(blocks[0].get("message") or {})
        answers = [
            {"role": "tool", "tool_call_id": call_id, "content": text}
            for call_id, text in results.items()
        ]
        added = [{"role": "assistant", **message}, *answers]
    return draft.edited(messages=[*messages, *added])


def shown_arguments(call: Call) -> str:
    """The arguments of a call as a person reads them."""
    try:
        return json.dumps(json.loads(call.arguments), indent=2, ensure_ascii=False)
    except ValueError:
        return call.arguments


def _is_served(block: Any) -> bool:
    """Whether the provider runs the tool itself, or its result is more than text."""
    kind = str(block.get("type")) if isinstance(block, dict) else ""
    return kind.endswith(("_tool_use", "_call")) and kind not in _ANSWERED


def _sendable(message: dict[str, Any]) -> dict[str, Any]:
    """The message with arguments where a server sent none: no provider takes null back."""
    if not message.get("tool_calls"):
        return message
    return {**message, "tool_calls": [_with_arguments(call) for call in message["tool_calls"]]}


def _with_arguments(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not function or function.get("arguments") is not None:
        return call
    return {**call, "function": {**function, "arguments": "{}"}}
