"""Request bodies held to the types of the providers' own SDKs, more strictly than those do.

The SDKs declare their parameters as TypedDicts, and pydantic neither looks into an `Iterable` nor
minds a key too many; here every item is looked at and every unknown key is an error.
"""

from __future__ import annotations

import collections.abc
import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typing_extensions as te
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

_TYPES: dict[str, tuple[Any, Any]] = {
    "messages": (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming),
    "chat": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
    "responses": (ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming),
}
#: Parameters that the API takes of most models, though the newest SDK no longer declares them.
_STILL_TAKEN = {"messages": {"temperature", "top_p"}}
_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence)


def problems(api: str, body: dict[str, Any]) -> list[str]:
    """Where a body breaks the types of its SDK; empty when it is valid."""
    kept = {key: value for key, value in body.items() if key not in _STILL_TAKEN.get(api, set())}
    return _problems(_TYPES[api][body.get("stream") is True], kept, api)


def _problems(wanted: Any, value: Any, at: str) -> list[str]:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted is Any or wanted is object:
        return []
    if origin in (te.Required, te.NotRequired, te.Annotated):
        return _problems(arguments[0], value, at)
    if origin in (Union, types.UnionType):
        return _of_union(arguments, value, at)
    if origin is Literal:
        return [] if value in arguments else [f"{at}: {value!r} is none of {arguments}"]
    if te.is_typeddict(wanted):
        return _of_object(wanted, value, at)
    if wanted is dict or origin in (dict, collections.abc.Mapping):
        return [] if isinstance(value, dict) else [f"{at}: no object"]
    if origin in _LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
        if not isinstance(value, list):
            return [f"{at}: no list"]
        found = (_problems(arguments[0], item, f"{at}[{n}]") for n, item in enumerate(value))
        return [problem for item in found for problem in item]
    return _of_plain(wanted, value, at)


def _of_union(options: tuple[Any, ...], value: Any, at: str) -> list[str]:
    found = [_problems(option, value, at) for option in options]
    # the nearest option tells best what is wrong
    return min(found, key=len)


def _of_object(wanted: Any, value: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: no object"]
    fields, required = _fields(wanted)
    found = [f"{at}: {key} is missing" for key in required - value.keys()]
    found += [f"{at}: {key} is no key of {wanted.__name__}" for key in value.keys() - fields.keys()]
    for key in fields.keys() & value.keys():
        found += _problems(fields[key], value[key], f"{at}.{key}")
    return found


@cache
def _fields(wanted: Any) -> tuple[dict[str, Any], frozenset[str]]:
    hints = get_type_hints(wanted, include_extras=True)
    required = {key for key, hint in hints.items() if get_origin(hint) is te.Required}
    return hints, frozenset(required)


def _of_plain(wanted: Any, value: Any, at: str) -> list[str]:
    if wanted is None or wanted is type(None):
        return [] if value is None else [f"{at}: not null"]
    if wanted is float:
        wanted = (int, float)
    if isinstance(value, bool) and wanted is not bool:
        return [f"{at}: a truth value"]
    # of other generics, such as a path, nothing but the kind matters
    kinds = get_origin(wanted) or wanted
    return [] if isinstance(value, kinds) else [f"{at}: {type(value).__name__}, not {wanted}"]
