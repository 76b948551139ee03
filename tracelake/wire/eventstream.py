"""Amazon's binary event stream, in which Bedrock streams Anthropic's events; sans-I/O.

Each message: length of all and of the headers (4 bytes each), checksum, headers, payload,
checksum (https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html). The payload is
`{"bytes": base64 of one event}`, or, where a header `:exception-type` says so, an error.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

from tracelake.wire.lenient import JsonObject, parse_object, string

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRELUDE = struct.Struct(">III")
_CHECKSUM_BYTES = 4
_TEXT = 7
#: Lengths of header values by their type; text and bytes tell their own.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def parse_event_stream(body: bytes) -> Iterator[JsonObject]:
    """The events of a body, as far as it came; an exception is given as `{"error": …}`."""
    at = 0
    while at + _PRELUDE.size <= len(body):
        size, header_size, _ = _PRELUDE.unpack_from(body, at)
        start = at + _PRELUDE.size
        if size < _PRELUDE.size + header_size + _CHECKSUM_BYTES or at + size > len(body):
            return
        headers = _headers(body[start : start + header_size])
        payload = parse_object(body[start + header_size : at + size - _CHECKSUM_BYTES]) or {}
        at += size
        kind = headers.get(":exception-type") or headers.get(":error-code")
        if kind:
            message = string(payload.get("message")) or headers.get(":error-message", "")
            yield {"error": {"type": kind, "message": message}}
        elif event := _event(payload):
            yield event


def _event(payload: JsonObject) -> JsonObject | None:
    try:
        return parse_object(base64.b64decode(string(payload.get("bytes"))))
    except ValueError:  # also of text that is not ASCII
        return None


def _headers(data: bytes) -> dict[str, str]:
    """The headers whose value is text."""
    found: dict[str, str] = {}
    at = 0
    while at + 1 < len(data):
        name_end = at + 1 + data[at]
        name = data[at + 1 : name_end].decode("utf-8", "replace")
        kind = data[name_end] if name_end < len(data) else -1
        at = name_end + 1
        if kind in _FIXED:
            at += _FIXED[kind]
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        if kind == _TEXT:
            found[name] = data[at + 2 : at + 2 + size].decode("utf-8", "replace")
        at += 2 + size
    return found
