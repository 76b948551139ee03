"""Request heads: what is passed on, what is ours, and how the rest decides the way.

Headers keep their case, order and bytes; only `Host` and the hop-by-hop ones are rewritten, and
our own (`x-tracelake-…`) are not passed on. Pure.
"""

from __future__ import annotations

from typing import Final

OWN_PREFIX = b"x-tracelake-"


# What a header means to the relay; plain numbers, as they are compared for every header.
_PLAIN: Final = 0
_LENGTH: Final = 1
_HOST: Final = 2
_CONNECTION: Final = 3
_USER_AGENT: Final = 4
_ANTHROPIC: Final = 5
_DROPPED: Final = 6
_OWN: Final = 7
_CHUNKED: Final = 8
_EXPECT: Final = 9
_UPGRADE: Final = 10
_ORIGIN: Final = 11

_KINDS = {
    b"keep-alive": _DROPPED,
    b"proxy-connection": _DROPPED,
    b"proxy-authorization": _DROPPED,
    b"te": _DROPPED,
    b"host": _HOST,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
    b"expect": _EXPECT,
    b"transfer-encoding": _CHUNKED,
    b"content-length": _LENGTH,
    b"anthropic-version": _ANTHROPIC,
    b"x-api-key": _ANTHROPIC,
    b"user-agent": _USER_AGENT,
    b"origin": _ORIGIN,
}
#: A `Connection` header that names these would break the request.
_NEVER_NAMED = frozenset({b"host", b"content-length", b"transfer-encoding"})
#: Names that most `Connection` headers hold and that no line passed on has.
_NO_LINES = frozenset({b"keep-alive", b"close", b"upgrade"})
#: Kind and start of the line by names as clients spell them; programs use few, so that most
#: headers cost one look-up.
_spelled: dict[bytes, tuple[int, bytes]] = {}
_SPELLED_MAX = 4096


class RequestHead:
    """What the headers of a request say.

    Attributes:
        lines: The header lines to pass on.
        host_start: `Host: ` as the client spells it.
        host_line: Index in `lines` of the `Host` header, whose value is the upstream's to be.
        framing: The lines that tell where the body ends.
        own: Our own headers, and those that decide who is served, by lower-case name.
        named: Headers that `Connection` names; they go no further than here.
    """

    __slots__ = (
        "expects_continue",
        "framing",
        "host_line",
        "host_start",
        "is_chunked",
        "lines",
        "looks_anthropic",
        "named",
        "own",
    )

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.host_start = b"Host: "
        self.host_line: int | None = None
        self.framing: list[bytes] = []
        self.own: dict[bytes, str] = {}
        self.named: frozenset[bytes] = frozenset()
        self.is_chunked = False
        self.expects_continue = False
        self.looks_anthropic = False

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
        lines = self.lines
        host_line = self.host_start + host.encode() + b"\r\n"
        if self.host_line is None:
            lines = [host_line, *lines]
        else:
            lines[self.host_line] = host_line
        if dropped := self.named - _NO_LINES - _NEVER_NAMED:
            lines = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
        if websocket:
            extra += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        if version == "1.0":
            extra += b"Connection: close\r\n"
        start = f"{target} HTTP/{version}\r\n".encode("latin-1")
        return b"".join((method, b" ", start, *lines, extra, b"\r\n"))


def read_head(headers: list[tuple[bytes, bytes]]) -> RequestHead:
    """Sort the headers of a request."""
    head = RequestHead()
    lines = head.lines
    known = _spelled.get
    for name, value in headers:
        kind, start = known(name) or _learn(name)
        if kind == _PLAIN:
            lines.append(start + value + b"\r\n")
        elif kind == _LENGTH:
            line = start + value + b"\r\n"
            lines.append(line)
            head.framing.append(line)
        elif kind == _HOST:
            head.own[b"host"] = value.decode("latin-1")
            head.host_start = start
            if head.host_line is None:
                head.host_line = len(lines)
                lines.append(b"")  # `render` fills it in
        else:
            _note(head, kind, name, start, value)
    return head


def _note(head: RequestHead, kind: int, name: bytes, start: bytes, value: bytes) -> None:
    if kind == _CONNECTION:
        names = {part.strip().lower() for part in value.split(b",")}
        head.named = head.named.union(names)
        return
    if kind == _DROPPED:
        return
    if kind == _OWN:
        head.own[name.lower()] = value.decode("latin-1")
        return
    if kind == _UPGRADE:
        head.own[b"upgrade"] = value.decode("latin-1").lower()
        return
    if kind == _EXPECT:
        head.expects_continue = value.lower() == b"100-continue"
        return
    line = start + value + b"\r\n"
    head.lines.append(line)
    if kind == _CHUNKED:
        head.framing.append(line)
        head.is_chunked = True
    elif kind == _ANTHROPIC:
        head.looks_anthropic = True
    elif kind == _USER_AGENT:
        head.looks_anthropic = head.looks_anthropic or b"claude" in value.lower()
    elif kind == _ORIGIN:
        head.own[b"origin"] = value.decode("latin-1")


def _learn(name: bytes) -> tuple[int, bytes]:
    lower = name.lower()
    kind = _OWN if lower.startswith(OWN_PREFIX) else _KINDS.get(lower, _PLAIN)
    found = (kind, name + b": ")
    if len(_spelled) < _SPELLED_MAX:
        _spelled[name] = found
    return found
