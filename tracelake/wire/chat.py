"""OpenAI Chat Completions and its many kin: the stream put together, the answer read.

What servers do differently and is read here: tool calls without index, several under one index,
content as a list of blocks, reasoning under three names, usage in a vendor's key, an error within
the stream or within a choice, whole messages instead of deltas, the text told again beside them.
"""

from __future__ import annotations

from typing import Any

from tracelake.wire.answer import Answer, Failure
from tracelake.wire.call import Usage
from tracelake.wire.failure import failure_of
from tracelake.wire.lenient import (
    JsonObject,
    amount,
    array,
    count,
    mapping,
    name_or_none,
    objects,
    parse_object,
    string,
)

#: Fields of a delta that carry the next piece of a text.
_APPENDED = frozenset({"content", "refusal", "reasoning", "reasoning_content", "thinking"})
#: Keys of a choice that have a place of their own, or none.
_APART = frozenset({"index", "delta", "message", "logprobs", "usage"})
#: Keys of a chunk that tell of the whole answer; the last one that says something is kept.
_ABOUT = ("id", "created", "system_fingerprint", "service_tier", "object", "provider")


class ChatStream:
    """Puts the chunks of one streamed completion together."""

    def __init__(self) -> None:
        self._about: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self._usage: JsonObject = {}
        self._error: Any = None

    def feed(self, event: JsonObject) -> None:
        """Take in one chunk."""
        self._about |= {key: event[key] for key in _ABOUT if event.get(key)}
        if event.get("model"):
            self._about["model"] = event["model"]
        usage = mapping(event.get("usage")) or mapping(mapping(event.get("x_groq")).get("usage"))
        self._usage |= usage
        if error := event.get("error") or mapping(event.get("x_groq")).get("error"):
            self._error = error
        elif "choices" not in event and event.get("object") == "error":
            self._error = event
        for position, choice in enumerate(objects(event.get("choices"))):
            index = count(choice.get("index"))
            self._take(position if index is None else index, choice)

    def whole(self) -> JsonObject:
        """The completion as far as it came; `error` holds an error sent within the stream."""
        choices = [_without_places(self._choices[index]) for index in sorted(self._choices)]
        whole: JsonObject = {**self._about, "choices": choices}
        if self._usage:
            whole["usage"] = self._usage
        if self._error is not None:
            whole["error"] = self._error
        if not self._usage and not any(choice.get("finish_reason") for choice in choices):
            whole["_incomplete"] = True
        return whole

    def _take(self, index: int, choice: JsonObject) -> None:
        message: JsonObject = {"role": "assistant", "content": None}
        held = self._choices.setdefault(
            index, {"index": index, "message": message, "finish_reason": None}
        )
        for key, value in choice.items():
            if key == "text":
                held["text"] = string(held.get("text")) + string(value)
            elif key not in _APART and value is not None:
                held[key] = value
        self._usage |= mapping(choice.get("usage"))
        if "delta" not in choice:
            held["message"] |= mapping(choice.get("message"))
        for key, value in mapping(choice.get("delta")).items():
            if value is not None:
                _merge(held["message"], key, value)


def _without_places(choice: JsonObject) -> JsonObject:
    """The choice as an unstreamed answer has it: its tool calls without index."""
    message = mapping(choice.get("message"))
    if "text" in choice:
        is_chat = any(value is not None for key, value in message.items() if key != "role")
        apart = "text" if is_chat else "message"
        choice = {key: value for key, value in choice.items() if key != apart}
    if "tool_calls" not in message:
        return choice
    calls = [
        {key: value for key, value in call.items() if key != "index"}
        for call in objects(message["tool_calls"])
    ]
    return {**choice, "message": {**message, "tool_calls": calls}}


def _merge(message: JsonObject, key: str, value: Any) -> None:
    held = message.get(key)
    if key == "tool_calls":
        calls: list[JsonObject] = message.setdefault(key, [])
        for call in objects(value):
            _merge_call(calls, call)
    elif key == "function_call":
        message[key] = _merged_function(mapping(held), mapping(value))
    elif key == "reasoning_details":
        details: list[JsonObject] = message.setdefault(key, [])
        for detail in objects(value):
            _merge_detail(details, detail)
    elif key == "content" and (isinstance(value, list) or isinstance(held, list)):
        message[key] = _merged_content(held, value)
    elif key in _APPENDED and isinstance(value, str):
        message[key] = string(held) + value
    elif key == "audio":
        message[key] = _merged_audio(mapping(held), mapping(value))
    elif isinstance(value, list):
        message[key] = _merged_list(array(held), array(value))
    else:
        message[key] = value


def _merged_list(held: list[Any], pieces: list[Any]) -> list[Any]:
    """Further entries of a list; one of an index that is there tells more of that entry."""
    entries = list(held)
    for piece in pieces:
        index = mapping(piece).get("index")
        places = (at for at, entry in enumerate(entries) if mapping(entry).get("index") == index)
        place = None if index is None else next(places, None)
        if place is None:
            entries.append(piece)
        else:
            told = {key: value for key, value in mapping(piece).items() if value is not None}
            entries[place] = {**entries[place], **told}
    return entries


def _merge_call(calls: list[JsonObject], call: JsonObject) -> None:
    """Find the call that a piece belongs to, or open a new one."""
    target = _call_of(calls, call)
    if target is None:
        target = {"index": call.get("index"), "id": None, "type": "function"}
        calls.append(target)
    if call.get("id"):
        target["id"] = target["id"] or call["id"]
    for key, value in call.items():
        if key not in {"index", "id", "function", "custom"} and value is not None:
            target[key] = value
    if custom := mapping(call.get("custom")):
        target.pop("function", None)
        target["custom"] = _merged_custom(mapping(target.get("custom")), custom)
    elif "custom" not in target:
        held = mapping(target.get("function"))
        target["function"] = _merged_function(held, mapping(call.get("function")))


def _call_of(calls: list[JsonObject], call: JsonObject) -> JsonObject | None:
    call_id, index = call.get("id"), call.get("index")
    opens = bool(call_id) and bool(mapping(call.get("function")).get("name"))
    if call_id and (same := [held for held in calls if held["id"] == call_id]):
        return same[-1]
    if index is None:
        return calls[-1] if calls and not opens and not _is_another(calls[-1], call) else None
    same = [held for held in calls if held["index"] == index]
    if same and opens and same[-1]["id"]:
        # Some servers give every parallel call the same index; a new id and name open a new one.
        return None
    return same[-1] if same and not _is_another(same[-1], call) else None


def _is_another(held: JsonObject, call: JsonObject) -> bool:
    """Whether a piece without an id begins another call than the one held.

    Some servers send whole calls one after the other, with empty ids and one index or none. A
    piece of the same call has no name, or comes before its arguments are whole.
    """
    before, piece = mapping(held.get("function")), mapping(call.get("function"))
    if not piece.get("name") or not piece.get("arguments") or call.get("id"):
        return False
    arguments = before.get("arguments")
    return isinstance(arguments, dict) or parse_object(string(arguments)) is not None


def _merged_function(held: JsonObject, piece: JsonObject) -> JsonObject:
    arguments = piece.get("arguments")
    name = _merged_name(held, piece)
    if isinstance(arguments, dict):
        return {**held, "name": name, "arguments": arguments}
    told = [text for text in (held.get("arguments"), arguments) if isinstance(text, str)]
    return {"name": name, "arguments": "".join(told) if told else None}


def _merged_name(held: JsonObject, piece: JsonObject) -> Any:
    """The name of a call: told once, told again in every piece, or itself told in pieces."""
    before, now = string(held.get("name")), string(piece.get("name"))
    if not before or not now or held.get("arguments"):
        return before or piece.get("name")
    return now if now.startswith(before) else before + now


def _merged_custom(held: JsonObject, piece: JsonObject) -> JsonObject:
    text = string(held.get("input")) + string(piece.get("input"))
    return {"name": held.get("name") or piece.get("name"), "input": text}


def _merge_detail(details: list[JsonObject], detail: JsonObject) -> None:
    """Append a piece of structured reasoning to the one of the same index and type."""
    for held in details:
        same = held.get("type") == detail.get("type") and held.get("index") == detail.get("index")
        if same and (detail.get("index") is not None or held is details[-1]):
            for key, value in detail.items():
                if key in {"text", "summary", "data"} and isinstance(value, str):
                    held[key] = string(held.get(key)) + value
                elif value is not None:
                    held[key] = value
            return
    details.append(dict(detail))


def _merged_content(held: Any, value: Any) -> list[JsonObject]:
    """Content that comes as blocks, or as text after blocks; neighbours of one type are joined."""
    blocks: list[JsonObject] = []
    for piece in (held, value):
        pieces = [{"type": "text", "text": piece}] if isinstance(piece, str) else objects(piece)
        for block in pieces:
            last = blocks[-1] if blocks else {}
            kind = block.get("type")
            if kind == last.get("type") == "text":
                blocks[-1] = {**last, "text": string(last["text"]) + string(block.get("text"))}
            elif kind == last.get("type") == "thinking":
                joined = _merged_content(last.get("thinking"), block.get("thinking"))
                blocks[-1] = {**last, "thinking": joined}
            elif kind != "text" or block.get("text"):
                blocks.append(block)
    return blocks


def _merged_audio(held: JsonObject, piece: JsonObject) -> JsonObject:
    texts = {
        key: string(held.get(key)) + string(piece.get(key))
        for key in ("data", "transcript")
        if key in held or key in piece
    }
    return {**held, **piece, **texts}


def read_completion(completion: JsonObject) -> Answer:
    """The answer that a whole or partial completion holds."""
    choices = objects(completion.get("choices"))
    first = choices[0] if choices else {}
    usage = mapping(completion.get("usage"))
    return Answer(
        model=name_or_none(completion.get("model")),
        text=_text(first),
        blocks=list(choices),
        finish_reason=name_or_none(first.get("finish_reason")),
        response_id=name_or_none(completion.get("id")),
        usage=read_usage(usage),
        units=_units(usage),
        tier=name_or_none(completion.get("service_tier")),
        reported_cost_usd=amount(usage.get("cost")),
        reasoning_is_apart=_is_apart(usage),
        failure=_failure(completion, choices),
        complete=not completion.get("_incomplete"),
    )


def read_usage(usage: JsonObject) -> Usage:
    """Token counts of the chat or the Responses kind; the input already includes cached tokens."""
    asked = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    given = mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    return Usage(
        input=_first(usage, "prompt_tokens", "input_tokens"),
        output=_first(usage, "completion_tokens", "output_tokens"),
        cache_read=_first(
            {**usage, **asked},
            "cached_tokens",
            "prompt_cache_hit_tokens",
            "num_cached_tokens",
            "cache_read_input_tokens",
        ),
        cache_write=_first({**usage, **asked}, "cache_write_tokens", "cache_creation_input_tokens"),
        reasoning=_first({**usage, **given}, "reasoning_tokens"),
    )


def _is_apart(usage: JsonObject) -> bool:
    """Whether reasoning is counted beside the output (xAI): only the total then holds it."""
    read, total = read_usage(usage), count(usage.get("total_tokens"))
    counts = (read.input, read.output, read.reasoning)
    return bool(read.reasoning) and total is not None and total == sum(n or 0 for n in counts)


def _units(usage: JsonObject) -> dict[str, int]:
    asked = mapping(usage.get("prompt_tokens_details"))
    given = mapping(usage.get("completion_tokens_details"))
    found = {
        "input_audio_tokens": count(asked.get("audio_tokens")),
        "output_audio_tokens": count(given.get("audio_tokens")),
    }
    return {unit: number for unit, number in found.items() if number}


def _first(usage: JsonObject, *keys: str) -> int | None:
    return next((n for key in keys if (n := count(usage.get(key))) is not None), None)


def _text(choice: JsonObject) -> str:
    """The text of a choice: of a legacy completion, of a message, or of its text blocks."""
    message = mapping(choice.get("message"))
    if not message:
        return string(choice.get("text"))
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(
        string(block.get("text")) for block in objects(content) if block.get("type") == "text"
    )


def _refused_quietly(completion: JsonObject) -> list[Any]:
    """What tells of an error in an answer with status 200 and no choices at all."""
    base = mapping(completion.get("base_resp"))  # MiniMax
    if base.get("status_code"):
        return [{"code": base["status_code"], "message": base.get("status_msg")}]
    if completion.get("success") is False:  # Cloudflare, Zhipu
        return [completion.get("errors") or completion]
    return [completion] if "error_code" in completion else []  # Baidu


def _failure(completion: JsonObject, choices: list[JsonObject]) -> Failure | None:
    errors = [completion.get("error"), *(choice.get("error") for choice in choices)]
    if not choices:
        errors += _refused_quietly(completion)
    found = next((error for error in errors if error), None)
    if found is None and completion.get("object") == "error":
        found = completion
    if found:
        return failure_of(found)
    if any(choice.get("finish_reason") == "error" for choice in choices):
        return Failure("error", "the provider ended the answer with an error")
    return None
