"""Replay of one run: each call gets its recorded answer, the edit, or goes live.

The session is what the control proxy asks; it decides with the pure parts (`match`, `rebind`,
`rerender`, `answer`) and adds what needs a clock: completion order and pacing.

Invariants:
- What is answered here never reaches the provider.
- After the edit nothing is answered on the fuzzy level.
- Without live calls allowed, the first call that no recording fits ends the replay.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tracelake.control.call import (
    FORKED_HEADER,
    MATCH_HEADER,
    ORIGINAL_HEADER,
    Answer,
    Call,
    Forward,
)
from tracelake.errors import NoRecordedMatch
from tracelake.replay.answer import Rendered, edited_text, render
from tracelake.replay.difference import describe_nearest, differing_lines, refusal
from tracelake.replay.match import Match, Matcher, Miss
from tracelake.replay.order import CompletionOrder
from tracelake.replay.pace import in_time
from tracelake.replay.rebind import Rebinding
from tracelake.replay.recording import is_model_call
from tracelake.replay.rerender import rerender
from tracelake.replay.streams import dump
from tracelake.replay.tool_result import with_result
from tracelake.wire import read_request, read_response
from tracelake.wire.decode import decode_body
from tracelake.wire.lenient import parse_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping

    from tracelake.control.call import Reply
    from tracelake.model import Exchange
    from tracelake.replay.recording import Recorded, Recording

#: Longest wait for calls that had finished earlier in the recording.
GATE_S = 3.0
_GATE_POLL_S = 0.005
#: Of answers to calls that were in flight together each is given so long after the one before: a
#: program then takes them up in that order.
APART_S = 0.02
#: Longest wait for a call that is made of the answer before and not of this one.
NOTICE_S = 1.0
#: Response headers that are given again: the rest speaks of the recorded connection.
_KEPT = frozenset(
    {"content-type", "content-encoding", "request-id", "x-request-id", "retry-after", "location"}
)

Outcome = Literal["exact", "semantic", "volatile", "fuzzy", "probe", "edited", "live", "refused"]


@dataclass(frozen=True, slots=True)
class Edit:
    """What is changed at the forked span; one of the four, or nothing at all.

    Attributes:
        response_text: The answer is this text.
        response_body: The answer is this, a whole body of the provider's format.
        request_body: This body is sent live instead of the program's.
        result_text: A tool gave this result: the program's request, and every later one that
            carries the result, is sent live with it.
        result_of: Of a tool's result: the id of the tool call.
        result_before: Of a tool's result: the recorded one.
    """

    response_text: str | None = None
    response_body: dict[str, Any] | None = None
    request_body: dict[str, Any] | None = None
    result_text: str | None = None
    result_of: str | None = None
    result_before: str = ""

    @property
    def is_request(self) -> bool:
        """Whether what is sent differs, not what comes back."""
        return self.request_body is not None or self.result_text is not None


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is replayed.

    Attributes:
        span_id: The forked span; None replays without an edit.
        edit: What is changed there; None only marks the place.
        allow_live: Calls without a recording go to the provider; else the replay ends.
        pace: As fast as possible, or as the answers came when recorded.
        fuzzy: Whether nearly equal calls count, before the edit.
        paths: Recorded folders and this run's.
        live_urls: Base URLs to send live calls to, by the upstream's name, instead of the
            upstream that the relay names.
    """

    span_id: str | None = None
    edit: Edit | None = None
    allow_live: bool = True
    pace: Literal["fastest", "recorded"] = "fastest"
    fuzzy: bool = True
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    live_urls: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Served:
    """What became of one call.

    Attributes:
        span_id: Of the new call.
        original_span_id: Of the recorded call; None for a live one.
        detail: Why it went live or was refused, or how a fuzzy match differs; a few lines.
    """

    span_id: str
    outcome: Outcome
    original_span_id: str | None = None
    similarity: float | None = None
    detail: tuple[str, ...] = ()


class ReplaySession:
    """Decides on the calls of one replayed run.

    Args:
        recording: The recorded calls.
        options: How to replay.
        report: Told of every call as it is decided.
        amend: Told of a request that was sent edited: span id and the new body.
    """

    def __init__(
        self,
        recording: Recording,
        options: Options,
        *,
        report: Callable[[Served], None] | None = None,
        amend: Callable[[str, Exchange], None] | None = None,
    ) -> None:
        self.recording = recording
        self.options = options
        self.matcher = Matcher(recording)
        self.rebinding = Rebinding(options.paths)
        self.counts: Counter[str] = Counter()
        self.is_diverged = False
        self.stopped: Served | None = None
        self.report = report
        self._amend = amend
        self._order = CompletionOrder(recording)
        self._in_flight: dict[str, int] = {}
        self._given_s = 0.0

    async def handle(self, call: Call) -> Reply:
        """Decide on one call.

        Raises:
            NoRecordedMatch: No recording fits and live calls are not allowed.
        """
        if call.exchange.header("upgrade"):
            # clients that try a WebSocket first fall back to HTTP on this
            return Answer(426, (("content-type", "text/plain"),), b"replay speaks plain HTTP")
        if self.stopped is not None:
            raise NoRecordedMatch(refusal(self.stopped.detail))
        before_edit = not self.is_diverged
        if not before_edit and (sent := self._with_result(call)) is not None:
            # what was recorded answers another result
            self._tell(call, "live", None, ("carries the edited result of the tool",))
            return self._changed(call, sent, self._marks("live", None))
        found = self.matcher.match(
            call.exchange,
            fuzzy=self.options.fuzzy and before_edit,
            put_back=self.rebinding.backward.body if self.rebinding.backward else None,
            explain=before_edit or not self.options.allow_live,
        )
        if isinstance(found, Miss):
            return self._unmatched(call, found)
        if found.level in {"volatile", "fuzzy"}:
            request = read_request(call.exchange)
            self.rebinding.learn(found.recorded.call.request, request)
        if self._is_edited(found):
            return await self._edited(call, found)
        return await self._recorded(call, found)

    def over(self, call: Call, *, status: int | None) -> None:
        """A call's answer was sent: calls that wait for its turn may go on."""
        del status
        position = self._in_flight.pop(call.exchange.span_id, None)
        if position is not None:
            self._order.over(position)
            self._given_s = time.monotonic()

    @property
    def all_matched(self) -> bool:
        """Whether every call so far was answered from the recording, above the fuzzy level."""
        return self.stopped is None and not (
            self.counts.keys() & {"fuzzy", "live", "refused", "edited"}
        )

    def _is_edited(self, match: Match) -> bool:
        options = self.options
        return options.edit is not None and match.recorded.span_id == options.span_id

    async def _recorded(self, call: Call, match: Match) -> Answer:
        recorded = match.recorded
        exchange = recorded.exchange
        body, headers = exchange.response_body, _kept(exchange)
        if self.rebinding.forward:
            plain = decode_body(body, exchange.response_header("content-encoding"))
            replaced = rerender(plain, self.rebinding.forward)
            if replaced != plain:
                body = replaced
                headers = tuple(pair for pair in headers if pair[0].lower() != "content-encoding")
        if match.level == "probe":
            self.counts["probe"] += 1
            return Answer(exchange.status or 200, headers, body)
        self._remember(call, match, body if body is not exchange.response_body else None)
        await self._wait_for_turn(recorded)
        detail = self._difference(call, match)
        self._tell(call, match.level, match, detail)
        # a client that hung up itself (many do after `[DONE]`) will do so again
        is_cut = exchange.outcome == "upstream_died"
        return Answer(
            exchange.status or 200,
            (*headers, *self._marks(match.level, recorded)),
            self._paced(exchange, body, is_cut=is_cut),
            is_cut=is_cut,
        )

    async def _edited(self, call: Call, match: Match) -> Reply:
        edit, recorded = self.options.edit, match.recorded
        assert edit is not None  # noqa: S101 - what _is_edited has found
        self.is_diverged = True
        self._begin(call, recorded)
        self._tell(call, "edited", match)
        marks = self._marks("edited", recorded)
        if edit.request_body is not None:
            body = self.rebinding.forward.body(dump(edit.request_body).encode())
            return self._changed(call, body, marks)
        if edit.result_text is not None:
            body = self._with_result(call)
            if body is None:
                raise NoRecordedMatch("the call does not carry the result that was edited")
            return self._changed(call, body, marks)
        await self._wait_for_turn(recorded)
        rendered = self._render_edit(edit, call, recorded)
        body = rerender(rendered.body, self.rebinding.forward)
        return Answer(200, (("content-type", rendered.content_type), *marks), body)

    def _with_result(self, call: Call) -> bytes | None:
        """The call's body with the edited result of a tool; None where it carries no such."""
        edit = self.options.edit
        if edit is None or edit.result_text is None:
            return None
        exchange = call.exchange
        body = decode_body(exchange.request_body, exchange.header("content-encoding"))
        changed = with_result(
            parse_object(body) or {},
            call_id=edit.result_of,
            before=self.rebinding.forward.text(edit.result_before),
            text=self.rebinding.forward.text(edit.result_text),
        )
        return None if changed is None else dump(changed).encode()

    def _changed(self, call: Call, body: bytes, marks: tuple[tuple[str, str], ...]) -> Forward:
        """The call sent live with another body, which its span is to show."""
        headers = tuple(
            pair for pair in call.exchange.request_headers if pair[0].lower() != "content-encoding"
        )
        sent = replace(call.exchange, request_body=body, request_headers=headers)
        if self._amend is not None:
            self._amend(call.exchange.span_id, sent)
        return Forward(body, self._live_url(call), marks)

    def _render_edit(self, edit: Edit, call: Call, recorded: Recorded) -> Rendered:
        request = read_request(call.exchange)
        if request is None:
            raise NoRecordedMatch("the edited call is not a model call")
        if edit.response_body is not None:
            return render(edit.response_body, request)
        return render(edited_text(recorded.exchange, request, edit.response_text or ""), request)

    def _unmatched(self, call: Call, miss: Miss) -> Forward:
        detail = (*describe_nearest(miss.nearest), *self.recording.describe_incomplete())
        if not self.options.allow_live and is_model_call(call.exchange):
            self.stopped = self._tell(call, "refused", None, detail)
            raise NoRecordedMatch(refusal(self.stopped.detail))
        if not self.options.allow_live:
            self.counts["probe"] += 1
            raise NoRecordedMatch(f"{call.exchange.path} was not asked for in the recording")
        if is_model_call(call.exchange):
            self.is_diverged = True
            self._tell(call, "live", None, detail)
        return Forward(None, self._live_url(call), self._marks("live", None))

    def _live_url(self, call: Call) -> str | None:
        """Where a live call goes; None for the upstream that the relay names."""
        base = self.options.live_urls.get(call.exchange.upstream)
        if base is None:
            return None
        path = call.exchange.path
        while path.startswith("/v1/"):
            path = path[3:]
        return f"{base.rstrip('/').removesuffix('/v1')}/v1{path}"

    def _remember(self, call: Call, match: Match, body: bytes | None) -> None:
        """Note which conversation the call belongs to, with the answer as it is given now."""
        self._begin(call, match.recorded)
        answer = None
        if body is not None and (request := read_request(call.exchange)) is not None:
            given = replace(match.recorded.exchange, response_body=body, response_headers=())
            answer = read_response(given, request).atoms
        self.matcher.served(call.exchange, match, answer)

    def _begin(self, call: Call, recorded: Recorded) -> None:
        self._in_flight[call.exchange.span_id] = recorded.position
        self._order.came(recorded.position)

    async def _wait_for_turn(self, recorded: Recorded) -> None:
        """Hold an answer until it is its turn; who did not come in time is not waited for again."""
        came_s = time.monotonic()
        deadline = came_s + GATE_S
        while True:
            earlier = self._order.earlier(recorded, among=self._expected)
            beside = [] if self.is_diverged else self._order.beside(recorded)
            if not earlier and not beside:
                break
            if time.monotonic() >= deadline:
                for position in earlier:
                    self._order.over(position)
                for position in beside:
                    self._order.came(position)
                return
            await asyncio.sleep(_GATE_POLL_S)
        latest_s = max(came_s, self._given_s) + NOTICE_S
        while not self.is_diverged and self._order.is_noticed_first(recorded):
            if time.monotonic() >= latest_s:
                break
            await asyncio.sleep(_GATE_POLL_S)
        if self._given_s > came_s:
            await asyncio.sleep(self._given_s + APART_S - time.monotonic())

    @property
    def _expected(self) -> Container[int] | None:
        """Calls that are sure to be answered: all, until the run took another way."""
        return self._in_flight.values() if self.is_diverged else None

    def _marks(self, level: str, recorded: Recorded | None) -> tuple[tuple[str, str], ...]:
        """Our own response headers; the relay records them and keeps them from the client."""
        marks = [(MATCH_HEADER, level), (FORKED_HEADER, self.recording.trace_id)]
        if recorded is not None:
            marks.append((ORIGINAL_HEADER, recorded.span_id))
            offline = recorded.exchange.response_header("x-tracelake-offline")
            if offline is not None:
                marks.append(("x-tracelake-offline", offline))
        return tuple(marks)

    def _difference(self, call: Call, match: Match) -> tuple[str, ...]:
        if match.level != "fuzzy":
            return ()
        request = read_request(call.exchange)
        return tuple(differing_lines(match.recorded.call.request, request))

    def _tell(
        self, call: Call, outcome: Outcome, match: Match | None, detail: tuple[str, ...] = ()
    ) -> Served:
        served = Served(
            call.exchange.span_id,
            outcome,
            match.recorded.span_id if match else None,
            match.similarity if match and match.level == "fuzzy" else None,
            detail,
        )
        self.counts[outcome] += 1
        if self.report is not None:
            self.report(served)
        return served

    def _paced(
        self, exchange: Exchange, body: bytes, *, is_cut: bool
    ) -> bytes | AsyncIterator[bytes]:
        if self.options.pace == "fastest" or is_cut:
            return body
        return in_time(exchange, body)


def _kept(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in exchange.response_headers if pair[0].lower() in _KEPT)
