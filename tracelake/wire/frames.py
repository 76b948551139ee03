"""WebSocket messages out of the bytes of one side of a connection, sans-I/O.

RFC 6455 (frames, masking, fragments, control frames between fragments) and RFC 7692
(permessage-deflate, with and without context takeover).

Invariant: never raises for bytes from the wire. What cannot be read ends the messages; those
before it are given.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTINUATION: Final = 0
_TEXT: Final = 1
_BINARY: Final = 2
_CONTROL: Final = 8
_DEFLATE_TAIL = b"\x00\x00\xff\xff"
#: A bound on what one message may unfold to, against messages made to exhaust memory.
MESSAGE_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Deflate:
    """What was agreed on compression: whether each side starts every message afresh."""

    client_starts_afresh: bool = False
    server_starts_afresh: bool = False


def agreed_deflate(extensions: str | None) -> Deflate | None:
    """What the server's `Sec-WebSocket-Extensions` says of compression; None for no compression."""
    for extension in (extensions or "").lower().split(","):
        name, *parameters = (part.strip() for part in extension.split(";"))
        if name == "permessage-deflate":
            return Deflate(
                client_starts_afresh="client_no_context_takeover" in parameters,
                server_starts_afresh="server_no_context_takeover" in parameters,
            )
    return None


def text_messages(data: bytes, *, deflated: bool, starts_afresh: bool = False) -> list[str]:
    """The whole text messages that one side sent, in order.

    Args:
        data: Everything it sent after the switch of protocols.
        deflated: Compression was agreed on.
        starts_afresh: This side compresses every message for itself.
    """
    found: list[str] = []
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    for opcode, is_deflated, payload in _messages(data):
        if is_deflated:
            if not deflated:
                break
            plain = _inflated(inflater, payload)
            if plain is None:
                break
            if starts_afresh or inflater.eof:
                inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        else:
            plain = payload
        if opcode == _TEXT:
            found.append(plain.decode("utf-8", "replace"))
    return found


def _inflated(inflater: Any, payload: bytes) -> bytes | None:
    try:
        plain: bytes = inflater.decompress(payload + _DEFLATE_TAIL, MESSAGE_MAX_BYTES)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else plain


def _messages(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Opcode, whether it is compressed, and payload of each whole message."""
    opcode, is_deflated = _CONTINUATION, False
    parts: list[bytes] = []
    for is_final, is_first_deflated, frame_opcode, payload in _frames(data):
        if frame_opcode >= _CONTROL:
            continue
        if frame_opcode != _CONTINUATION:
            opcode, is_deflated = frame_opcode, is_first_deflated
            parts = []
        parts.append(payload)
        if is_final:
            yield opcode, is_deflated, b"".join(parts)
            parts = []


def _frames(data: bytes) -> Iterator[tuple[bool, bool, int, bytes]]:
    """Whether it is final, whether it is marked compressed, opcode and payload of each frame."""
    at = 0
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1]
        at += 2
        length = second & 0x7F
        extended = {126: 2, 127: 8}.get(length, 0)
        if extended:
            length = int.from_bytes(data[at : at + extended], "big")
            at += extended
        mask = b""
        if second & 0x80:
            mask = data[at : at + 4]
            at += 4
        if at + length > len(data):
            return
        payload = data[at : at + length]
        at += length
        yield bool(first & 0x80), bool(first & 0x40), first & 0x0F, _unmasked(payload, mask)


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if not mask or not payload:
        return payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(len(payload), "little")
