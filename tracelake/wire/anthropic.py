"""Anthropic Messages: its stream put together, its answer read.

Source of the rules: https://docs.anthropic.com/en/api/messages-streaming. Token counts in
`message_delta` are cumulative and replace those of `message_start`, whose output count is only a
placeholder.
"""

from __future__ import annotations

from typing import Any

from tracelake.wire.answer import Answer
from tracelake.wire.call import Usage
from tracelake.wire.failure import failure_of
from tracelake.wire.lenient import (
    JsonObject,
    array,
    count,
    mapping,
    name_or_none,
    objects,
    parse,
    string,
)

#: Deltas that append text: type of the delta, its key, key of the block.
_APPENDED: dict[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "compaction_delta": ("content", "content"),
}

_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class MessageStream:
    """Puts the events of one streamed message together."""

    def __init__(self) -> None:
        self._message: JsonObject = {}
        self._blocks: dict[int, JsonObject] = {}
        self._inputs: dict[int, str] = {}
        self._usage: JsonObject = {}
        self._counted = False
        self._error: Any = None
        self._ended = False

    def feed(self, event: JsonObject) -> None:
        """Take in one event; what is unknown is passed over."""
        kind = event.get("type")
        if kind == "message_start":
            self._message = dict(mapping(event.get("message")))
            for index, block in enumerate(objects(_blocks(self._message.get("content")))):
                self._blocks[index] = dict(block)
            self._merge_usage(self._message.get("usage"))
            # a message that comes whole, as steps of code that calls tools do, is counted
            self._counted = bool(self._message.get("stop_reason"))
        elif kind == "content_block_start":
            index = self._index(event)
            self._blocks[index] = dict(mapping(event.get("content_block")))
            self._inputs.pop(index, None)
        elif kind == "content_block_delta":
            self._delta(self._index(event), mapping(event.get("delta")))
        elif kind == "content_block_stop":
            self._settle(self._index(event))
        elif kind == "message_delta":
            self._message.update(mapping(event.get("delta")))
            for key in ("context_management", "container"):
                if event.get(key) is not None:
                    self._message[key] = event[key]
            usage = mapping(event.get("usage"))
            self._merge_usage(usage)
            self._counted = self._counted or "output_tokens" in usage
        elif kind == "message_stop":
            self._ended = True
        elif kind == "error" or (kind is None and event.get("error")):
            self._error = event.get("error") or event

    def whole(self) -> JsonObject:
        """The message as far as it came; `error` holds an error sent within the stream."""
        for index in list(self._inputs):
            self._settle(index)
        usage = dict(self._usage)
        if not self._counted:
            usage.pop("output_tokens", None)
            if not any(usage.get(key) for key in _INPUTS):
                usage.pop("input_tokens", None)  # servers that count at the end begin with 0
        whole = {
            **self._message,
            "content": [self._blocks[index] for index in sorted(self._blocks)],
            "usage": usage,
        }
        if self._error is not None:
            whole["error"] = self._error
        if not self._ended and not whole.get("stop_reason"):
            whole["_incomplete"] = True
        return whole

    def _index(self, event: JsonObject) -> int:
        index = count(event.get("index"))
        return max(self._blocks, default=0) if index is None else index

    def _delta(self, index: int, delta: JsonObject) -> None:
        block = self._blocks.setdefault(index, {"type": "text"})
        kind = string(delta.get("type"))
        if kind == "input_json_delta":
            part = string(delta.get("partial_json"))
            self._inputs[index] = self._inputs.get(index, "") + part
        elif kind == "citations_delta":
            block["citations"] = [*array(block.get("citations")), delta.get("citation")]
        elif kind in _APPENDED:
            source, target = _APPENDED[kind]
            block[target] = string(block.get(target)) + string(delta.get(source))

    def _settle(self, index: int) -> None:
        """Read the collected input of a tool call; what was cut off is kept as text."""
        document = self._inputs.pop(index, "")
        if not document:
            return
        block = self._blocks.setdefault(index, {"type": "tool_use"})
        try:
            block["input"] = parse(document)
        except ValueError:
            block["input"] = document

    def _merge_usage(self, usage: Any) -> None:
        """Take over what is told; where all of the input is 0, a 0 for what was told is unknown."""
        told = {k: v for k, v in mapping(usage).items() if v is not None}
        if not any(told.get(key) for key in _INPUTS):
            told = {k: v for k, v in told.items() if v != 0 or not self._usage.get(k)}
        self._usage |= told


def read_message(message: JsonObject) -> Answer:
    """The answer that a whole or partial message holds."""
    content = objects(_blocks(message.get("content")))
    usage = mapping(message.get("usage"))
    error = message.get("error")
    return Answer(
        model=name_or_none(message.get("model")),
        text="".join(string(block.get("text")) for block in content if _is_text(block)),
        blocks=list(content),
        finish_reason=name_or_none(message.get("stop_reason")),
        response_id=name_or_none(message.get("id")),
        usage=read_usage(usage),
        units=_units(usage),
        tier=name_or_none(usage.get("service_tier")),
        failure=failure_of(error) if error else None,
        complete=not message.get("_incomplete"),
    )


def _blocks(content: Any) -> Any:
    """The content as blocks; compatible servers also send plain text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def read_usage(usage: JsonObject) -> Usage:
    """Token counts; `input_tokens` leaves cached tokens out, so they are added."""
    fresh = count(usage.get("input_tokens"))
    read = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    total = None if fresh is None else fresh + (read or 0) + (written or 0)
    details = mapping(usage.get("output_tokens_details"))
    return Usage(
        input=total,
        output=count(usage.get("output_tokens")),
        cache_read=read,
        cache_write=written,
        reasoning=count(details.get("thinking_tokens")),
    )


def _units(usage: JsonObject) -> dict[str, int]:
    written = mapping(usage.get("cache_creation"))
    server = mapping(usage.get("server_tool_use"))
    found = {
        "cache_write_5m_tokens": count(written.get("ephemeral_5m_input_tokens")),
        "cache_write_1h_tokens": count(written.get("ephemeral_1h_input_tokens")),
        "web_searches": count(server.get("web_search_requests")),
    }
    return {unit: number for unit, number in found.items() if number}


def _is_text(block: JsonObject) -> bool:
    return block.get("type") == "text"
