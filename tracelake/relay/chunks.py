"""Chunked bodies taken apart, sans-I/O (RFC 9112, section 7.1)."""

from __future__ import annotations

import re

from tracelake.relay.heads import BadHead

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?")
_LINE_MAX_BYTES = 64 * 1024


class ChunkedBody:
    """Reads one chunked body.

    Attributes:
        trailers: The header lines after the last chunk.
    """

    def __init__(self) -> None:
        self.trailers: list[bytes] = []
        self._left = 0
        self._line = b""
        self._after_chunk = False
        self._in_trailers = False

    def feed(self, data: bytes) -> tuple[list[bytes], int | None]:
        """Take in the next bytes.

        Returns:
            The pieces of the body in them, and where in them the body ended; None while it goes on.

        Raises:
            BadHead: They are no chunks.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                self._after_chunk = not self._left
                pieces.append(piece)
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            if not end or len(self._line) > _LINE_MAX_BYTES:
                self._check_length()
                break
            at = end
            line, self._line = self._line, b""
            if self._is_last(line):
                return pieces, at
        return pieces, None

    def _is_last(self, line: bytes) -> bool:
        """Read a line between chunks; whether it ends the body."""
        if not line.endswith(b"\r\n"):
            raise BadHead("a line of a chunked body that does not end in CRLF")
        line = line[:-2]
        if self._in_trailers:
            if line:
                self.trailers.append(line)
            return not line
        if self._after_chunk:
            self._after_chunk = False
            if line:
                raise BadHead("a chunk is longer than it says")
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise BadHead("a chunk without a size")
        self._left = int(size[1], 16)
        self._in_trailers = not self._left
        return False

    def _check_length(self) -> None:
        if len(self._line) > _LINE_MAX_BYTES:
            raise BadHead("a line of a chunked body is too long")
