"""When each side of a WebSocket sent what, as it stands in one header of the record."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from tracelake.model import PASSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tracelake.model import Exchange

Side = Literal["request", "response"]
_REQUEST: Final = "request"
_RESPONSE: Final = "response"


def render_passed(stamps: Mapping[Side, Iterable[tuple[int, int]]]) -> str:
    """The header that keeps when each side sent what.

    Args:
        stamps: By side: bytes sent so far, and microseconds since the start, ascending.
    """
    sides: list[str] = []
    for side, pairs in stamps.items():
        length = micros = 0
        words: list[str] = []
        for sent, at in pairs:
            words.append(f"{sent - length}:{at - micros}")
            length, micros = sent, at
        sides.append(" ".join([side, *words]))
    return "; ".join(sides)


def passed(exchange: Exchange) -> list[tuple[Side, bytes, datetime | None]]:
    """The pieces of both sides as they came; without recorded times each side whole."""
    bodies: dict[Side, bytes] = {
        "request": exchange.request_body,
        "response": exchange.response_body,
    }
    pieces: list[tuple[int, int, Side, bytes]] = []
    for text in (exchange.response_header(PASSED) or "").split(";"):
        name, _, stamps = text.strip().partition(" ")
        order, side = (0, _REQUEST) if name == _REQUEST else (1, _RESPONSE)
        length = micros = 0
        for sent, since in re.findall(r"(\d{1,12}):(\d{1,18})", stamps):
            piece = bodies[side][length : length + int(sent)]
            length, micros = length + int(sent), micros + int(since)
            pieces.append((micros, order, side, piece))
        bodies[side] = bodies[side][length:]
    # a client's message goes before what answers it, also within one microsecond
    pieces.sort(key=lambda piece: piece[:2])
    found: list[tuple[Side, bytes, datetime | None]] = [
        (side, piece, exchange.start_time + timedelta(microseconds=micros))
        for micros, _, side, piece in pieces
    ]
    last = found[-1][2] if found else None
    return [*found, *((side, body, last) for side, body in bodies.items() if body)]
