"""Reading JSON that nobody validated.

Providers leave fields out, send null, or another type. Each accessor here answers with the empty
value of its type instead, so that the parsers of the formats read as the formats do.

Invariant: no function here raises, except `parse` on text that is not JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

import orjson

JsonObject = dict[str, Any]

_DIGITS = re.compile(r"[0-9]{1,15}")

#: Levels of nesting that are kept; no format comes near, and writers of JSON end at 254.
_MAX_DEPTH = 100
_TOO_DEEP = "(nested too deeply)"


def parse(document: bytes | str) -> Any:
    """The value of a JSON document; also what only a tolerant parser reads (NaN, half surrogates).

    Raises:
        ValueError: It is not JSON, or nested too deeply to be read.
    """
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(document, strict=False)
        except RecursionError as error:
            raise ValueError("JSON nested too deeply") from error
    return storable(value) if _may_be_deep(document) else value


def _may_be_deep(document: bytes | str) -> bool:
    if isinstance(document, str):
        return document.count("[") + document.count("{") > _MAX_DEPTH
    return document.count(b"[") + document.count(b"{") > _MAX_DEPTH


def parse_object(document: bytes | str) -> JsonObject | None:
    """The object of a JSON document, or None when it is anything else."""
    try:
        value = parse(document)
    except ValueError:
        return None
    return cast("JsonObject", value) if isinstance(value, dict) else None


def mapping(value: Any) -> JsonObject:
    """The value when it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def array(value: Any) -> list[Any]:
    """The value when it is an array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(value: Any) -> list[JsonObject]:
    """The objects of an array; whatever else stands in it is left out."""
    return [cast("JsonObject", item) for item in array(value) if isinstance(item, dict)]


def string(value: Any) -> str:
    """The value when it is text, else the empty text."""
    return value if isinstance(value, str) else ""


def name_or_none(value: Any) -> str | None:
    """The value when it is text with something in it, or a number, as text; else None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def count(value: Any) -> int | None:
    """A number of tokens: the value when it is a whole number of at least 0, also as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None


def amount(value: Any) -> float | None:
    """The value when it is a number of at least 0, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value >= 0 else None


def dump(value: Any) -> str:
    """The value as JSON text with sorted keys, the same for equal values."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def canonical(arguments: Any) -> str:
    """Tool arguments as JSON text with sorted keys; text that is no JSON is returned as it is."""
    if not isinstance(arguments, str):
        return dump({} if arguments is None else arguments)
    try:
        return dump(parse(arguments))
    except ValueError:
        return arguments


def storable(value: Any) -> Any:
    """The value itself, or a copy that can be written as UTF-8 JSON.

    Streams cut characters beyond the basic plane into halves; halves that met again are joined,
    a lone one becomes the replacement character, numbers beyond 64 bits become floats, and what is
    nested too deeply is left out.
    """
    try:
        orjson.dumps(value)
    except TypeError:
        return _mended(value, 0)
    return value


def _mended(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return _TOO_DEEP
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        pairs = cast("JsonObject", value).items()
        return {_mended(key, depth): _mended(item, depth + 1) for key, item in pairs}
    if isinstance(value, list):
        return [_mended(item, depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**300 else str(value)
    return value
