"""A call of one wire format as a call of another: what a test on another provider's model sends.

A body is read into a neutral prompt (`prompt`) by the module of its format, and written by the
module of the other. What the other format has no place for is left out and named.

Invariants:
- Text, the client's tool calls, their results and images are carried over, in their order.
- Nothing is left out or changed without a note.
- A converted body is valid by the types of the provider's own SDK where the given one was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracelake.wire.conversion import chat, messages, parameters, responses, tools
from tracelake.wire.conversion.prompt import Notes, prepared

if TYPE_CHECKING:
    from typing import Literal

    from tracelake.wire.lenient import JsonObject

    ConvertedApi = Literal["messages", "chat", "responses"]

__all__ = ["Converted", "convert"]

_FORMATS = {"messages": messages, "chat": chat, "responses": responses}


@dataclass(frozen=True, slots=True)
class Converted:
    """A body in another format.

    Attributes:
        body: JSON body of a request.
        lost: What the other format has no place for, one phrase each; empty when all went along.
        changed: What went along in another form, or was added because the format demands it.
    """

    body: JsonObject
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def convert(body: JsonObject, source: ConvertedApi, wanted: ConvertedApi) -> Converted:
    """The body of a call in another format.

    Args:
        body: JSON body as its own provider takes it; it is not changed.
        source: Its format.
        wanted: The format to write; the same one gives the body back.
    """
    if source == wanted:
        return Converted(body)
    notes = Notes()
    notes.count_cache_marks(body)
    prompt = _FORMATS[source].read(body, notes)
    prompt.tools = tools.read(body.get("tools"), notes)
    prompt.settings = parameters.read(body, source, wanted, notes)
    prompt.messages = prepared(prompt.messages, wanted, notes)
    written = parameters.write(prompt.settings, wanted, notes)
    written |= _FORMATS[wanted].write(prompt, notes)
    if prompt.tools:
        written["tools"] = tools.write(prompt.tools, wanted)
    written |= tools.write_choice(tools.read_choice(body), prompt.tools, wanted, notes)
    return Converted(written, notes.lost(), notes.changed())
