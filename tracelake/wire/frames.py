"""WebSocket messages out of the bytes of one side of a connection, sans-I/O.

RFC 6455 (frames, masking, fragments, control frames between fragments) and RFC 7692
(permessage-deflate, with and without context takeover).

Invariant: never raises for bytes from the wire. What cannot be read ends the messages; those
before it are given.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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


class MessageReader:
    """Reads the text messages of one side, as its bytes come.

    Args:
        deflated: Compression was agreed on.
        starts_afresh: This side compresses every message for itself.

    Attributes:
        taken: Bytes that were given so far.
    """

    def __init__(self, *, deflated: bool, starts_afresh: bool = False) -> None:
        self.taken = 0
        self._deflated = deflated
        self._starts_afresh = starts_afresh
        self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._data = bytearray()
        self._opcode, self._is_deflated = _CONTINUATION, False
        self._parts: list[bytes] = []
        self._is_broken = False

    def feed(self, data: bytes) -> list[str]:
        """The text messages that these bytes complete."""
        self.taken += len(data)
        if self._is_broken:
            return []
        self._data += data
        found: list[str] = []
        read = 0
        for is_final, is_first_deflated, opcode, payload, read in _frames(self._data):  # noqa: B007
            if opcode >= _CONTROL:
                continue
            if opcode != _CONTINUATION:
                self._opcode, self._is_deflated = opcode, is_first_deflated
                self._parts = []
            self._parts.append(payload)
            if not is_final:
                continue
            plain = self._plain(b"".join(self._parts))
            self._parts = []
            if plain is None:
                self._is_broken = True
                break
            if self._opcode == _TEXT:
                found.append(plain.decode("utf-8", "replace"))
        del self._data[:read]
        if self._is_broken or len(self._data) > MESSAGE_MAX_BYTES:
            self._is_broken = True
            self._data.clear()
        return found

    def _plain(self, payload: bytes) -> bytes | None:
        """A message without its compression; None where it cannot be read."""
        if not self._is_deflated:
            return payload
        if not self._deflated:
            return None
        try:
            plain = self._inflater.decompress(payload + _DEFLATE_TAIL, MESSAGE_MAX_BYTES)
        except zlib.error:
            return None
        if self._inflater.unconsumed_tail:
            return None
        if self._starts_afresh or self._inflater.eof:
            self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        return plain


def plain_frame(text: bytes) -> bytes:
    """A text message as one frame, neither masked nor compressed."""
    size = len(text)
    if size < 126:
        return bytes((0x80 | _TEXT, size)) + text
    if size < 1 << 16:
        return bytes((0x80 | _TEXT, 126)) + size.to_bytes(2, "big") + text
    return bytes((0x80 | _TEXT, 127)) + size.to_bytes(8, "big") + text


def readers(extensions: str | None) -> tuple[MessageReader, MessageReader]:
    """Readers of the client's and of the server's messages, by what they agreed on."""
    deflate = agreed_deflate(extensions)
    if deflate is None:
        return MessageReader(deflated=False), MessageReader(deflated=False)
    return (
        MessageReader(deflated=True, starts_afresh=deflate.client_starts_afresh),
        MessageReader(deflated=True, starts_afresh=deflate.server_starts_afresh),
    )


def _frames(data: bytearray) -> Iterator[tuple[bool, bool, int, bytes, int]]:
    """Each whole frame: is it final, is it marked compressed, opcode, payload, where it ends."""
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
            mask = bytes(data[at : at + 4])
            at += 4
        if at + length > len(data):
            return
        payload = _unmasked(bytes(data[at : at + length]), mask)
        at += length
        yield bool(first & 0x80), bool(first & 0x40), first & 0x0F, payload, at


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if not mask or not payload:
        return payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(len(payload), "little")
