"""Request heads: read strictly, passed on as they came.

Every header line keeps its bytes and its place; only `Host` and the hop-by-hop ones are rewritten,
and our own (`x-tracelake-…`) are not passed on. What another server could read differently is
refused, so that nobody hides a second request in a first one (RFC 9112, section 11.2). Pure.
"""

from __future__ import annotations

import re
from typing import Final

OWN_PREFIX = b"x-tracelake-"
HEAD_END = b"\r\n\r\n"

# What a header means to the relay. Zero: nothing, it is passed on.
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
#: Kinds of lines that go no further than here.
_STAYING = frozenset({_CONNECTION, _DROPPED, _OWN, _EXPECT, _UPGRADE})
#: A `Connection` header that names these would break the request.
_NEVER_NAMED = frozenset({b"host", b"content-length", b"transfer-encoding"})
#: Names that most `Connection` headers hold and that no line passed on has.
_NO_LINES = frozenset({b"keep-alive", b"close", b"upgrade"})

_START = re.compile(rb"([A-Z]{3,20}) ([^\x00-\x20\x7f]+) HTTP/1\.([01])")
#: What a start line that is still to come to its end may look like so far.
_START_SO_FAR = re.compile(rb"[A-Z]{0,20}\Z|[A-Z]{3,20} [^\x00-\x1f\x7f]*(?:\r\Z|\r\n|\Z)")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGITS = re.compile(rb"[0-9]{1,18}")
#: Kind by name as clients spell it (colon included), and method, target and version by start
#: line; programs use few, so that nearly every one costs one look-up.
_spelled: dict[bytes, int] = {}
_started: dict[bytes, tuple[bytes, str, str]] = {}
_CACHE_MAX = 4096


class BadHead(ValueError):  # noqa: N818 - reads as a sentence at the raise site
    """A request head that is no well-formed HTTP/1.1."""


class RequestHead:
    """What the head of a request says.

    Attributes:
        method: As the client sent it.
        target: Path and query as the client sent them.
        version: `1.1` or `1.0`.
        raw: The whole head, without its last two line ends.
        lines: The header lines to pass on.
        host_line: Index in `lines` of the `Host` header, whose value is the upstream's to be.
        length: Length of the body as told; None where the head does not tell it.
        length_line: The line that tells it.
        own: Our own headers, and those that decide who is served, by lower-case name.
        named: Headers that `Connection` names; they go no further than here.
    """

    host_line: int | None = None
    host_name: bytes = b"Host"
    length: int | None = None
    length_line: bytes = b""
    named: frozenset[bytes] = frozenset()
    is_chunked = False
    expects_continue = False
    looks_anthropic = False

    def __init__(self, raw: bytes, start: tuple[bytes, str, str], lines: list[bytes]) -> None:
        self.raw = raw
        self.method, self.target, self.version = start
        self.lines = lines
        self.own: dict[bytes, str] = {}

    @property
    def asks_for_websocket(self) -> bool:
        """Whether it asks to switch to the WebSocket protocol."""
        return b"upgrade" in self.named and self.own.get(b"upgrade") == "websocket"

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use its connection again."""
        if self.version == "1.1":
            return b"close" not in self.named
        return b"keep-alive" in self.named and b"close" not in self.named

    def render(
        self, target: str, *, host: str, extra: bytes = b"", websocket: bool = False
    ) -> bytes:
        """The head to send to an upstream.

        A client of HTTP/1.0 could not read chunks, so its version is passed on.

        Args:
            target: Path and query to ask for.
            host: Value of `Host`.
            extra: Further header lines, each with its line end.
            websocket: Pass the wish for a WebSocket on.
        """
        lines = self.lines
        host_line = b"%b: %b" % (self.host_name, host.encode())
        if self.host_line is None:
            lines = [host_line, *lines]
        else:
            lines[self.host_line] = host_line
        if dropped := self.named - _NO_LINES - _NEVER_NAMED:
            lines = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
        if websocket:
            extra += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        if self.version == "1.0":
            extra += b"Connection: close\r\n"
        start = f"{target} HTTP/{self.version}\r\n".encode("latin-1")
        return b"%b %b%b\r\n%b\r\n" % (self.method, start, b"\r\n".join(lines), extra)


def may_become_head(data: bytes | bytearray) -> bool:
    """Whether bytes without the end of a head can still be the beginning of one."""
    return _START_SO_FAR.match(data) is not None


def read_head(raw: bytes) -> RequestHead:
    """Read a request head.

    Args:
        raw: The head up to `HEAD_END`, which is left out.

    Raises:
        BadHead: It is not well-formed, or tells the end of its body in two ways.
    """
    lines = raw.split(b"\r\n")
    breaks = len(lines) - 1
    if raw.count(b"\n") != breaks or raw.count(b"\r") != breaks or b"\0" in raw:
        raise BadHead("a line break or NUL within a line")
    start = lines.pop(0)
    head = RequestHead(raw, _started.get(start) or _learn_start(start), lines)
    known = _spelled.get
    kinds = [known(line[: line.find(b":") + 1]) for line in lines]
    if any(kinds) or None in kinds:
        _note_all(
            head, [_learn(lines[i]) if kind is None else kind for i, kind in enumerate(kinds)]
        )
    return head


def _note_all(head: RequestHead, kinds: list[int]) -> None:
    lines = head.lines
    staying = 0
    for index, kind in enumerate(kinds):
        if not kind:
            continue
        at = index - staying
        name, _, value = lines[at].partition(b":")
        _note(head, kind, name, value.strip(b" \t"), at)
        if kind in _STAYING:
            del lines[at]
            staying += 1


def _note(head: RequestHead, kind: int, name: bytes, value: bytes, index: int) -> None:
    if kind == _LENGTH:
        if head.length is not None or head.is_chunked or not _DIGITS.fullmatch(value):
            raise BadHead("the length of the body is not told in one way")
        head.length, head.length_line = int(value), head.lines[index]
    elif kind == _HOST:
        head.own[b"host"] = value.decode("latin-1")
        if head.host_line is None:
            head.host_line, head.host_name = index, name
    elif kind == _CONNECTION:
        head.named = head.named.union(part.strip().lower() for part in value.split(b","))
    elif kind == _USER_AGENT:
        head.looks_anthropic = head.looks_anthropic or b"claude" in value.lower()
    elif kind == _ANTHROPIC:
        head.looks_anthropic = True
    elif kind == _CHUNKED:
        is_chunked = value.lower() == b"chunked" and head.version == "1.1"
        if head.length is not None or head.is_chunked or not is_chunked:
            raise BadHead("the length of the body is not told in one way")
        head.is_chunked = True
    elif kind == _EXPECT:
        head.expects_continue = value.lower() == b"100-continue"
    elif kind == _UPGRADE:
        head.own[b"upgrade"] = value.decode("latin-1").lower()
    elif kind in (_OWN, _ORIGIN):
        head.own[name.lower()] = value.decode("latin-1")


def _learn_start(start: bytes) -> tuple[bytes, str, str]:
    match = _START.fullmatch(start)
    if match is None:
        raise BadHead("the first line is none of a request")
    method, target, minor = match.groups()
    found = (method, target.decode("latin-1"), f"1.{minor.decode()}")
    if len(_started) < _CACHE_MAX and len(start) < 256:
        _started[start] = found
    return found


def _learn(line: bytes) -> int:
    name, colon, _ = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name):
        raise BadHead("a line that is no header")
    lower = name.lower()
    kind = _OWN if lower.startswith(OWN_PREFIX) else _KINDS.get(lower, _PLAIN)
    if len(_spelled) < _CACHE_MAX and len(name) < 256:
        _spelled[name + colon] = kind
    return kind
