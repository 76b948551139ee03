"""Server-sent events, sans-I/O.

Follows the "Interpreting an event stream" section of the HTML standard: UTF-8 with an optional byte
order mark, lines ended by LF, CRLF or CR, comments, fields of several lines. Two departures: an
event whose blank line never came is given by `close`, since providers leave it out and a stream
that died is worth what arrived; and a field `error` is the data of an event `error`, since servers
built on llama.cpp tell so why they broke off.

Invariant: the events are the same wherever the borders between chunks fall.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\n|\r\n?")


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its type (`message` when it names none) and its data."""

    event: str
    data: str


class SseParser:
    """Turns bytes into events as they become whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[str] = []
        self._at_start = True
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that this chunk completed."""
        return self._take(self._decoder.decode(chunk), final=False)

    def close(self) -> list[SseEvent]:
        """The event that was under way when the stream ended, if it had any data."""
        events = self._take(self._decoder.decode(b"", final=True), final=True)
        if rest := "".join(self._held):
            self._line(rest)
        self._held = []
        last = self._dispatch()
        return [*events, last] if last else events

    def _take(self, text: str, *, final: bool) -> list[SseEvent]:
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        # The pieces of a long line wait unjoined, or each chunk would copy all before it.
        ends = "\n" in text or "\r" in text or self._holds_cr()
        if not final and not ends:
            self._held.append(text)
            return []
        text = "".join((*self._held, text))
        # A CR at the very end may be the first half of a CRLF: it waits for what follows.
        end = len(text) - 1 if not final and text.endswith("\r") else len(text)
        events: list[SseEvent] = []
        position = 0
        for match in _LINE_END.finditer(text, 0, end):
            line, position = text[position : match.start()], match.end()
            if line:
                self._line(line)
            elif event := self._dispatch():
                events.append(event)
        self._held = [text[position:]]
        return events

    def _holds_cr(self) -> bool:
        return bool(self._held) and self._held[-1].endswith("\r")

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "error":
            self._event = name
            self._data.append(value)

    def _dispatch(self) -> SseEvent | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return SseEvent(event, "\n".join(data)) if data else None


def parse_events(body: bytes) -> list[SseEvent]:
    """The events of a whole body, the unfinished last one included."""
    parser = SseParser()
    return [*parser.feed(body), *parser.close()]
