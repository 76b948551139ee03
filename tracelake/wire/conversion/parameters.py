"""Parameters of a call: the same ones under other names, and those that only one format has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.lenient import JsonObject, array, mapping, string

if TYPE_CHECKING:
    from tracelake.wire.conversion.prompt import Notes

#: Keys that hold the prompt or are converted elsewhere.
_ELSEWHERE = frozenset(
    {
        "system", "messages", "instructions", "input", "tools", "tool_choice",
        "parallel_tool_calls", "stream_options", "cache_control",
    }
)  # fmt: skip
#: Parameters that mean the same under one name in every format.
_SAME = ("model", "stream", "temperature", "top_p")
#: Name here -> key in each format; of several keys the last one that is set is read.
_NAMED: dict[str, dict[str, tuple[str, ...]]] = {
    "limit": {
        "messages": ("max_tokens",),
        "chat": ("max_tokens", "max_completion_tokens"),
        "responses": ("max_output_tokens",),
    },
    "stop": {"messages": ("stop_sequences",), "chat": ("stop",)},
    "user": {"chat": ("user",), "responses": ("user",)},
    "verbosity": {"chat": ("verbosity",)},
    "effort": {"chat": ("reasoning_effort",)},
}
#: Parameters that both formats of OpenAI have.
_OPENAI = frozenset(
    {
        "metadata", "service_tier", "store", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "moderation",
    }
)  # fmt: skip
#: Defaults written out: leaving them out changes nothing.
_DEFAULTS: JsonObject = {"n": 1, "include": [], "background": False, "truncation": "disabled"}
_LIMIT_DEFAULT = 4096
#: Tiers that both formats of OpenAI know; kin have tiers of their own.
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})


def read(body: JsonObject, source: str, wanted: str, notes: Notes) -> JsonObject:
    """Parameters under names of our own; those that the wanted format lacks are noted."""
    found: JsonObject = {key: body[key] for key in _SAME if body.get(key) is not None}
    taken = {*_SAME}
    for name, keys in _NAMED.items():
        for key in keys.get(source, ()):
            taken.add(key)
            if body.get(key) is not None:
                found[name] = body[key]
    taken |= _read_nested(body, source, found, notes)
    for key, value in body.items():
        if key in taken or key in _ELSEWHERE or value is None or _DEFAULTS.get(key, ()) == value:
            continue
        is_shared = key in _OPENAI and "messages" not in {source, wanted}
        if is_shared and (key != "service_tier" or str(value) in _TIERS):
            found[key] = value
        else:
            notes.lose("parameters", key)
    return found


def write(found: JsonObject, wanted: str, notes: Notes) -> JsonObject:
    """The parameters in a format."""
    written: JsonObject = {key: found[key] for key in _SAME if key in found}
    for name, keys in _NAMED.items():
        if name in found and wanted in keys:
            written[keys[wanted][-1]] = found[name]
    written |= {key: found[key] for key in _OPENAI & found.keys()}
    _WRITERS[wanted](found, written, notes)
    return written


def _read_nested(body: JsonObject, source: str, found: JsonObject, notes: Notes) -> set[str]:
    """Parameters that are parts of objects; gives the keys that were read."""
    if source == "messages":
        settings = mapping(body.get("output_config"))
        found |= _set("effort", settings.get("effort"))
        shape = mapping(settings.get("format") or body.get("output_format"))
        found |= _set("shape", {"schema": shape["schema"]} if "schema" in shape else None)
        found |= _set("user", mapping(body.get("metadata")).get("user_id"))
        if body.get("thinking"):
            notes.lose("parameters", "thinking")
        return {"output_config", "output_format", "metadata", "thinking"}
    if source == "chat":
        given = mapping(body.get("response_format"))
        found |= _set("shape", _shape(given, mapping(given.get("json_schema"))))
        return {"response_format"}
    reasoning, text = mapping(body.get("reasoning")), mapping(body.get("text"))
    found |= _set("effort", reasoning.get("effort")) | _set("verbosity", text.get("verbosity"))
    given = mapping(text.get("format"))
    found |= _set("shape", _shape(given, given))
    for key in reasoning.keys() - {"effort"}:
        notes.lose("parameters", f"reasoning.{key}")
    if body.get("include") == ["reasoning.encrypted_content"]:
        # asks for what would be carried to the next call; there is none
        return {"reasoning", "text", "include"}
    return {"reasoning", "text"}


def _shape(given: JsonObject, schema: JsonObject) -> JsonObject | None:
    """The shape an answer must have; None for plain text."""
    if given.get("type") == "json_object":
        return {}
    if given.get("type") != "json_schema" or not schema:
        return None
    names = ("name", "description", "schema", "strict")
    return {name: schema[name] for name in names if schema.get(name) is not None}


def _set(name: str, value: Any) -> JsonObject:
    return {} if value is None else {name: value}


def _write_messages(found: JsonObject, written: JsonObject, notes: Notes) -> None:
    if "max_tokens" not in written:
        written["max_tokens"] = _LIMIT_DEFAULT
        notes.change(f"max_tokens set to {_LIMIT_DEFAULT}: Anthropic demands a limit")
    warmth = written.get("temperature")
    if isinstance(warmth, int | float) and warmth > 1:
        written["temperature"] = 1.0
        notes.change(f"temperature {warmth} lowered to 1: Anthropic takes no more")
    if isinstance(written.get("stop_sequences"), str):
        written["stop_sequences"] = [written["stop_sequences"]]
    shape = found.get("shape")
    if shape and "schema" in shape:
        form = {"type": "json_schema", "schema": shape["schema"]}
        written["output_config"] = {"format": form}
    elif shape is not None:
        notes.lose("parameters", "response_format json_object")
    if user := string(found.get("user")):
        written["metadata"] = {"user_id": user}
    if "effort" in found:
        notes.lose("parameters", "reasoning effort")
    if "verbosity" in found:
        notes.lose("parameters", "verbosity")


def _write_chat(found: JsonObject, written: JsonObject, notes: Notes) -> None:
    if written.get("stream") is True:
        # without it a streamed chat answer reports no usage, and so has no price
        written["stream_options"] = {"include_usage": True}
    _check_effort(written, "reasoning_effort", notes)
    shape = found.get("shape")
    if shape is not None:
        form = {"type": "json_schema", "json_schema": _named(shape)}
        written["response_format"] = form if shape else {"type": "json_object"}


def _write_responses(found: JsonObject, written: JsonObject, notes: Notes) -> None:
    if array(found.get("stop")) or found.get("stop"):
        notes.lose("parameters", "stop sequences")
    effort = {"effort": found["effort"]} if "effort" in found else {}
    _check_effort(effort, "effort", notes)
    if effort:
        written["reasoning"] = effort
    text: JsonObject = {}
    shape = found.get("shape")
    if shape is not None:
        text["format"] = (
            {"type": "json_schema", **_named(shape)} if shape else {"type": "json_object"}
        )
    if "verbosity" in found:
        text["verbosity"] = found["verbosity"]
    if text:
        written["text"] = text


def _check_effort(written: JsonObject, key: str, notes: Notes) -> None:
    if key in written and str(written[key]) not in _EFFORTS:
        notes.lose("parameters", "reasoning effort")
        del written[key]


def _named(shape: JsonObject) -> JsonObject:
    return {"name": "answer", **shape}


_WRITERS = {"messages": _write_messages, "chat": _write_chat, "responses": _write_responses}
