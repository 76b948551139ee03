"""The recorded calls of one trace, in order, with the conversation that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tracelake.replay.canonical import Canonical, TextForms
from tracelake.wire import read_response
from tracelake.wire.decode import decode_body
from tracelake.wire.endpoint import api_of
from tracelake.wire.lenient import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tracelake.model import Exchange
    from tracelake.wire import Atom


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One recorded call that was answered.

    Attributes:
        position: Place in the recording, by start.
        end_time: When its answer was complete, UTC.
        is_call: A model call; False for a probe (`HEAD /`, a list of models).
    """

    position: int
    call: Canonical
    end_time: datetime
    is_call: bool

    @property
    def exchange(self) -> Exchange:
        """Request and response as recorded."""
        return self.call.exchange

    @property
    def span_id(self) -> str:
        """Id of the exchange and of its `llm` span."""
        return self.call.exchange.span_id


class Recording:
    """What a trace's program asked and was answered.

    Args:
        trace_id: The trace.
        exchanges: Its exchanges, in any order; those without an answer are left out, and so are
            those whose request is not whole, since nothing can be told to repeat it.
        threads: Conversation of a span where it is known, by span id; the others are found out
            by which call continues which.

    Attributes:
        incomplete: The exchanges whose request is not whole.
    """

    def __init__(
        self,
        trace_id: str,
        exchanges: Iterable[Exchange],
        *,
        threads: Mapping[str, str] | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.forms = TextForms()
        self._threads = dict(threads or {})
        listed = list(exchanges)
        self.incomplete = tuple(one for one in listed if is_incomplete(one))
        answered = [x for x in listed if x.status is not None and not is_incomplete(x)]
        answered.sort(key=lambda one: (one.start_time, one.span_id))
        self.calls: tuple[Recorded, ...] = tuple(
            Recorded(
                position,
                Canonical(exchange, self.forms),
                exchange.end_time or exchange.start_time,
                is_call=is_model_call(exchange),
            )
            for position, exchange in enumerate(answered)
        )

    def __len__(self) -> int:
        return len(self.calls)

    def find(self, span_id: str) -> Recorded | None:
        """The call of that span, or None."""
        return next((one for one in self.calls if one.span_id == span_id), None)

    def describe_incomplete(self) -> tuple[str, ...]:
        """Which recorded calls cannot be repeated, in a line; nothing when all can."""
        if not self.incomplete:
            return ()
        ids = ", ".join(one.span_id for one in self.incomplete[:3])
        more = ", …" if len(self.incomplete) > 3 else ""
        number = len(self.incomplete)
        calls = "1 recorded call" if number == 1 else f"{number} recorded calls"
        line = f"{calls} broke off before all of the request was there, so no call can repeat it: "
        return (f"{line}{ids}{more}",)

    @cached_property
    def threads(self) -> tuple[str, ...]:
        """The conversation of each call, by position."""
        if all(one.span_id in self._threads for one in self.calls if one.is_call):
            return tuple(self._threads.get(one.span_id, one.span_id) for one in self.calls)
        ends = ThreadEnds()
        found: list[str] = []
        for one in self.calls:
            known = self._threads.get(one.span_id)
            thread = known or ends.thread_of(one.call) or one.span_id
            ends.served(one.call, answer_atoms(one), thread)
            found.append(thread)
        return tuple(found)

    @cached_property
    def predecessors(self) -> tuple[int | None, ...]:
        """The call before each call in its conversation, by position; None for a first one."""
        last: dict[str, int] = {}
        found: list[int | None] = []
        for one, thread in zip(self.calls, self.threads, strict=True):
            found.append(last.get(thread))
            last[thread] = one.position
        return tuple(found)


def is_model_call(exchange: Exchange) -> bool:
    """Whether an exchange asks a model something; decided by method and path alone."""
    return exchange.method == "POST" and api_of(exchange.method, exchange.path) is not None


def is_incomplete(exchange: Exchange) -> bool:
    """Whether less of a request was received than its head announced.

    So it is when the client or its connection was gone, or the provider could not be reached,
    before the body had come in. A body that redaction shortened is whole.
    """
    announced = exchange.header("content-length") or ""
    if not announced.isdecimal() or len(exchange.request_body) >= int(announced):
        return False
    body = decode_body(exchange.request_body, exchange.header("content-encoding"))
    return parse_object(body) is None


class ThreadEnds:
    """Tells which conversation a call continues, by what was said in it before."""

    def __init__(self) -> None:
        self._threads: dict[bytes, str] = {}

    def served(self, call: Canonical, answer: Iterable[Atom], thread: str) -> None:
        """Remember that a call of this conversation got this answer."""
        self._threads[call.extended(answer)] = thread

    def thread_of(self, call: Canonical) -> str | None:
        """The conversation whose history is the longest beginning of this call, or None."""
        if not self._threads:
            return None
        return next(
            (self._threads[end] for end in reversed(call.chain) if end in self._threads), None
        )


def answer_atoms(recorded: Recorded) -> tuple[Atom, ...]:
    """What the recorded answer said."""
    request = recorded.call.request
    return () if request is None else read_response(recorded.exchange, request).atoms
