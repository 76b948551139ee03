"""Request heads: what is passed on, what is ours, and how the rest decides the way.

Headers keep their case, order and bytes; only `Host` and the hop-by-hop ones are rewritten, and
our own (`x-tracelake-…`) are not passed on. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

OWN_PREFIX = b"x-tracelake-"


class _Kind(IntEnum):
    """What a header means to the relay."""

    PLAIN = 0
    DROPPED = 1
    OWN = 2
    HOST = 3
    CONNECTION = 4
    UPGRADE = 5
    EXPECT = 6
    TRANSFER_ENCODING = 7
    CONTENT_LENGTH = 8
    ANTHROPIC = 9
    USER_AGENT = 10
    ORIGIN = 11


_KINDS = {
    b"keep-alive": _Kind.DROPPED,
    b"proxy-connection": _Kind.DROPPED,
    b"proxy-authorization": _Kind.DROPPED,
    b"te": _Kind.DROPPED,
    b"host": _Kind.HOST,
    b"connection": _Kind.CONNECTION,
    b"upgrade": _Kind.UPGRADE,
    b"expect": _Kind.EXPECT,
    b"transfer-encoding": _Kind.TRANSFER_ENCODING,
    b"content-length": _Kind.CONTENT_LENGTH,
    b"anthropic-version": _Kind.ANTHROPIC,
    b"x-api-key": _Kind.ANTHROPIC,
    b"user-agent": _Kind.USER_AGENT,
    b"origin": _Kind.ORIGIN,
}
#: A `Connection` header that names these would break the request.
_NEVER_NAMED = frozenset({b"host", b"content-length", b"transfer-encoding"})
#: Names as clients spell them; programs use few, so that most headers cost one look-up.
_spelled: dict[bytes, _Kind] = {}
_SPELLED_MAX = 4096


@dataclass(slots=True)
class RequestHead:
    """What the headers of a request say.

    Attributes:
        lines: The header lines to pass on.
        host_line: Index in `lines` of the `Host` header, whose value is the upstream's to be.
        framing: The lines that tell where the body ends.
        own: Our own headers, and those that decide who is served, by lower-case name.
        named: Headers that `Connection` names; they go no further than here.
    """

    lines: list[bytes] = field(default_factory=list[bytes])
    host_name: bytes = b"Host"
    host_line: int | None = None
    framing: list[bytes] = field(default_factory=list[bytes])
    own: dict[bytes, str] = field(default_factory=dict[bytes, str])
    named: set[bytes] = field(default_factory=set[bytes])
    is_chunked: bool = False
    expects_continue: bool = False
    looks_anthropic: bool = False

    @property
    def asks_for_websocket(self) -> bool:
        """Whether it asks to switch to the WebSocket protocol."""
        return b"upgrade" in self.named and self.own.get(b"upgrade") == "websocket"

    def render(
        self,
        method: bytes,
        target: str,
        *,
        host: str,
        version: str,
        extra: bytes = b"",
        websocket: bool = False,
    ) -> bytes:
        """The head to send to an upstream.

        Args:
            method: As the client sent it.
            target: Path and query to ask for.
            host: Value of `Host`.
            version: The client's HTTP version; a 1.0 client could not read chunks.
            extra: Further header lines.
            websocket: Pass the wish for a WebSocket on.
        """
        lines = self.lines.copy()
        host_line = b"%b: %b\r\n" % (self.host_name, host.encode())
        if self.host_line is None:
            lines.insert(0, host_line)
        else:
            lines[self.host_line] = host_line
        if self.named:
            dropped = self.named - _NEVER_NAMED
            lines = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
        if websocket:
            extra += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        if version == "1.0":
            extra += b"Connection: close\r\n"
        return b"%b %b HTTP/%b\r\n%b%b\r\n" % (
            method,
            target.encode("latin-1"),
            version.encode(),
            b"".join(lines),
            extra,
        )


def read_head(headers: list[tuple[bytes, bytes]]) -> RequestHead:
    """Sort the headers of a request."""
    head = RequestHead()
    lines = head.lines
    for name, value in headers:
        kind = _spelled.get(name)
        if kind is None:
            kind = _kind(name)
        if kind is _Kind.PLAIN:
            lines.append(b"%b: %b\r\n" % (name, value))
        else:
            _note(head, kind, name, value)
    return head


def _note(head: RequestHead, kind: _Kind, name: bytes, value: bytes) -> None:
    if kind is _Kind.DROPPED:
        return
    if kind is _Kind.HOST:
        head.own[b"host"] = value.decode("latin-1")
        head.host_name = name
        if head.host_line is None:
            head.host_line = len(head.lines)
            head.lines.append(b"")  # `render` fills it in
        return
    if kind is _Kind.OWN:
        head.own[name.lower()] = value.decode("latin-1")
        return
    if kind is _Kind.CONNECTION:
        head.named.update(part.strip().lower() for part in value.split(b","))
        return
    if kind is _Kind.UPGRADE:
        head.own[b"upgrade"] = value.decode("latin-1").lower()
        return
    if kind is _Kind.EXPECT:
        head.expects_continue = value.lower() == b"100-continue"
        return
    line = b"%b: %b\r\n" % (name, value)
    head.lines.append(line)
    if kind in (_Kind.TRANSFER_ENCODING, _Kind.CONTENT_LENGTH):
        head.framing.append(line)
        head.is_chunked = head.is_chunked or kind is _Kind.TRANSFER_ENCODING
    elif kind is _Kind.ANTHROPIC:
        head.looks_anthropic = True
    elif kind is _Kind.USER_AGENT:
        head.looks_anthropic = head.looks_anthropic or b"claude" in value.lower()
    elif kind is _Kind.ORIGIN:
        head.own[b"origin"] = value.decode("latin-1")


def _kind(name: bytes) -> _Kind:
    lower = name.lower()
    kind = _KINDS.get(lower, _Kind.PLAIN)
    if lower.startswith(OWN_PREFIX):
        kind = _Kind.OWN
    if len(_spelled) < _SPELLED_MAX:
        _spelled[name] = kind
    return kind
