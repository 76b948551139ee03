"""OpenAI Responses: the stream put together, the answer read.

The final event repeats the whole response; when the stream died before it, the items are rebuilt
from their deltas. Source of the event names: https://platform.openai.com/docs/api-reference/
responses-streaming.
"""

from __future__ import annotations

from typing import Any

from tracelake.wire.answer import Answer, Failure
from tracelake.wire.chat import read_usage
from tracelake.wire.failure import failure_of
from tracelake.wire.lenient import (
    JsonObject,
    amount,
    array,
    count,
    mapping,
    name_or_none,
    objects,
    string,
)

#: Events that end a response and repeat it whole.
FINAL = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.done",
    }
)
_SNAPSHOTS = frozenset({"response.created", "response.in_progress", "response.queued"})
#: Deltas of the text of a part: end of the event's name, key of the list, type and key of the part.
_PART_TEXTS: dict[str, tuple[str, str, str]] = {
    "response.output_text": ("content", "output_text", "text"),
    "response.refusal": ("content", "refusal", "refusal"),
    "response.reasoning_text": ("content", "reasoning_text", "text"),
    "response.reasoning": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("summary", "summary_text", "text"),
    "response.reasoning_summary": ("summary", "summary_text", "text"),
}
#: Deltas of a text field of the item itself.
_ITEM_TEXTS: dict[str, tuple[str, str]] = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}
_DELTA, _DONE = ".delta", ".done"


class ResponseStream:
    """Puts the events of one streamed response together."""

    def __init__(self) -> None:
        self._response: JsonObject = {}
        self._items: dict[int, JsonObject] = {}
        self._error: Any = None
        self._ended = False

    def feed(self, event: JsonObject) -> None:
        """Take in one event; what is unknown is passed over."""
        kind = string(event.get("type"))
        if kind in FINAL:
            self._response = {**self._response, **mapping(event.get("response"))}
            self._ended = True
        elif kind in _SNAPSHOTS:
            self._response = {**self._response, **mapping(event.get("response"))}
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            self._items[self._place(event)] = _copied(mapping(event.get("item")))
        elif kind in {"response.content_part.added", "response.content_part.done"}:
            self._set_part(event, "content", "content_index")
        elif kind.startswith("response.reasoning_summary_part."):
            self._set_part(event, "summary", "summary_index")
        elif kind == "response.output_text.annotation.added":
            part = self._part(event, "content", "content_index", "output_text")
            part["annotations"] = [*array(part.get("annotations")), event.get("annotation")]
        elif kind.endswith((_DELTA, _DONE)):
            self._text(event, kind)
        elif kind == "error" or (not kind and event.get("error")):
            self._error = event.get("error") or event

    def whole(self) -> JsonObject:
        """The response as far as it came; `error` holds an error sent within the stream."""
        whole = dict(self._response)
        if not objects(whole.get("output")) and self._items:
            whole["output"] = [self._items[place] for place in sorted(self._items)]
        if self._error is not None:
            whole["error"] = self._error
        if not self._ended:
            whole["_incomplete"] = True
        return whole

    def _place(self, event: JsonObject) -> int:
        place = count(event.get("output_index"))
        return max(self._items, default=0) if place is None else place

    def _item(self, event: JsonObject, kind: str) -> JsonObject:
        item_id = event.get("item_id")
        place = self._place(event)
        held = self._items.get(place)
        if held and item_id and held.get("id") not in (None, item_id) and held.get("type") != kind:
            # some servers give several items one place, and announce none of them
            same = (at for at, item in self._items.items() if item.get("id") == item_id)
            place = next(same, max(self._items) + 1)
        return self._items.setdefault(place, {"type": kind, "id": item_id})

    def _part(self, event: JsonObject, key: str, index_key: str, kind: str) -> JsonObject:
        item = self._item(event, "message" if kind in {"output_text", "refusal"} else "reasoning")
        parts: list[Any] = item.setdefault(key, [])
        # A part that was never announced comes next, whatever number it claims.
        index = min(count(event.get(index_key)) or 0, len(parts))
        if index == len(parts):
            parts.append({"type": kind})
        part = mapping(parts[index])
        parts[index] = part
        return part

    def _set_part(self, event: JsonObject, key: str, index_key: str) -> None:
        given = mapping(event.get("part"))
        part = self._part(event, key, index_key, string(given.get("type")) or "output_text")
        part.clear()
        part.update(given)

    def _text(self, event: JsonObject, kind: str) -> None:
        """A piece of text, or all of it when it is done."""
        done = kind.endswith(_DONE)
        name = kind.removesuffix(_DONE).removesuffix(_DELTA)
        if name in _PART_TEXTS:
            key, part_kind, field = _PART_TEXTS[name]
            index_key = "summary_index" if key == "summary" else "content_index"
            target = self._part(event, key, index_key, part_kind)
        elif name in _ITEM_TEXTS:
            item_kind, field = _ITEM_TEXTS[name]
            target = self._item(event, item_kind)
        else:
            return
        if not done:
            target[field] = string(target.get(field)) + string(event.get("delta"))
        elif isinstance(event.get(field), str):
            target[field] = event[field]


def _copied(item: JsonObject) -> JsonObject:
    """The item with lists of its own, which deltas may extend."""
    return {
        key: [dict(part) for part in objects(value)] if key in {"content", "summary"} else value
        for key, value in item.items()
        if value is not None or key not in {"content", "summary"}
    }


def read_response_object(response: JsonObject) -> Answer:
    """The answer that a whole or partial response holds."""
    output = objects(response.get("output"))
    usage = mapping(response.get("usage"))
    searches = sum(_is_search(item) for item in output)
    return Answer(
        model=name_or_none(response.get("model")),
        text=_text(output),
        blocks=list(output),
        finish_reason=_finish_reason(response),
        response_id=name_or_none(response.get("id")),
        usage=read_usage(usage),
        units={"web_searches": searches} if searches else {},
        tier=name_or_none(response.get("service_tier")),
        reported_cost_usd=amount(usage.get("cost")),
        failure=_failure(response),
        complete=not response.get("_incomplete"),
    )


def _is_search(item: JsonObject) -> bool:
    """Whether an item is a web search that is billed; opening a page found is not."""
    action = mapping(item.get("action")).get("type", "search")
    return item.get("type") == "web_search_call" and action == "search"


def _text(output: list[JsonObject]) -> str:
    return "".join(
        string(part.get("text"))
        for item in output
        if item.get("type") == "message"
        for part in objects(item.get("content"))
        if part.get("type") == "output_text"
    )


def _finish_reason(response: JsonObject) -> str | None:
    """Why it is incomplete where it is, else its status."""
    why = name_or_none(mapping(response.get("incomplete_details")).get("reason"))
    return why or name_or_none(response.get("status"))


def _failure(response: JsonObject) -> Failure | None:
    if error := response.get("error"):
        return failure_of(error)
    if response.get("status") == "failed":
        return Failure("response_failed", "the provider marked the response as failed")
    return None
