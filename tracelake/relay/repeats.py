"""Heads that repeat on a connection: what was decided for one holds for the next.

Programs send the same head again and again, but for the length of the body. Comparing the bytes
takes a small part of the time of reading them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelake.relay.heads import RequestHead
    from tracelake.relay.routing import Route
    from tracelake.relay.upstream import Pool

_LENGTH_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class RepeatedHead:
    """A head, cut at the digits of its `Content-Length`, and what was decided for it.

    Attributes:
        before: The head up to the digits.
        after: What follows them.
        sent_before: The head sent upstream, up to the digits.
        sent_after: What follows them.
    """

    method: bytes
    route: Route
    pool: Pool
    before: bytes
    after: bytes
    sent_before: bytes
    sent_after: bytes

    def digits(self, raw: bytes) -> bytes | None:
        """The digits of the length if a head is this one again, else None."""
        if not raw.startswith(self.before) or not raw.endswith(self.after):
            return None
        digits = raw[len(self.before) : len(raw) - len(self.after)]
        return digits if digits.isdigit() and len(digits) <= _LENGTH_MAX_DIGITS else None

    def render(self, digits: bytes) -> bytes:
        """The head to send to the upstream."""
        return self.sent_before + digits + self.sent_after


def repeated(head: RequestHead, rendered: bytes, route: Route, pool: Pool) -> RepeatedHead | None:
    """What is to be known of a head when it comes again; None for one that needs a closer look."""
    line = head.length_line
    if not line or not line[-1:].isdigit() or head.expects_continue or not head.keeps_alive:
        return None
    named = line[: len(line) - len(str(head.length))]
    before, _, after = head.raw.partition(b"\r\n" + line)
    sent_before, _, sent_after = rendered.partition(b"\r\n" + line)
    return RepeatedHead(
        head.method,
        route,
        pool,
        before + b"\r\n" + named,
        after,
        sent_before + b"\r\n" + named,
        sent_after,
    )
