"""Errors as providers and the servers in front of them put them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from tracelake.wire.answer import Failure
from tracelake.wire.lenient import (
    array,
    dump,
    mapping,
    name_or_none,
    objects,
    parse,
    storable,
    string,
)

_MAX_MESSAGE_CHARS = 4000
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
#: Where the message of an error object stands; the first that has text is taken.
_MESSAGES = (
    "message",
    "Message",
    "detail",
    "msg",
    "error_msg",
    "error_description",
    "error",
    "reason",
)
#: Where its class stands.
_KINDS = ("type", "__type", "error_type", "status", "code", "error_code", "name")
#: What `type` says of an object that only wraps the error.
_WRAPPERS = frozenset({"error", "response.failed", "response.error", None})


def failure_of(error: Any, *, kind: str = "error") -> Failure:
    """The failure that a JSON error value tells of.

    Args:
        error: Text, an object of any provider's shape, with or without a wrapper, or a list.
        kind: Class to give when the value names none.
    """
    if isinstance(error, str):
        return Failure(kind, error[:_MAX_MESSAGE_CHARS])
    if isinstance(error, list):
        first = array(error)
        return failure_of(first[0], kind=kind) if first else Failure(kind, "")
    outer = mapping(error)
    inner = outer.get("error") or outer.get("errors")
    if isinstance(inner, dict | list) and inner:
        return failure_of(inner, kind=_kind(outer) or kind)
    return Failure(_kind(outer) or kind, _message(outer)[:_MAX_MESSAGE_CHARS])


def http_failure(status: int, body: bytes) -> Failure:
    """The failure that a response with an error status tells of, whatever its body is."""
    kind = _status_name(status)
    try:
        value = parse(body)
    except ValueError:
        return Failure(kind, page_text(body) or f"HTTP {status}")
    failure = failure_of(storable(value), kind=kind)
    return failure if failure.message else Failure(failure.kind, f"HTTP {status}")


def _kind(error: dict[str, Any]) -> str | None:
    names = [name for key in _KINDS if (name := name_or_none(error.get(key))) not in _WRAPPERS]
    words = [name for name in names if name and not name.isdigit()]
    numbers = [int(name) for name in names if name and name.isdigit()]
    return words[0] if words else _status_name(numbers[0]) if numbers else None


def _message(error: dict[str, Any]) -> str:
    for key in _MESSAGES:
        value = error.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and (details := objects(mapping(value).get("detail"))):
            return "; ".join(_message(detail) for detail in details)  # Mistral
        if isinstance(value, list) and (details := objects(value)):
            return "; ".join(_message(detail) for detail in details)
        if isinstance(value, dict | list) and value:
            return dump(value)
    return dump(error) if error else ""


def page_text(body: bytes) -> str:
    """The text of a page or plain message: its title, else all of it without tags."""
    title = _TITLE.search(body)
    text = (title.group(1) if title else body[: _MAX_MESSAGE_CHARS * 4]).decode("utf-8", "replace")
    return " ".join(_TAG.sub(" ", string(text)).split())[:_MAX_MESSAGE_CHARS]


def _status_name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return f"http_{status}"
