"""Scripted agent programs: what they send and get, and the tree they really are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.corpus.infer_support import fold, moments, running
from tracelake.infer import Inference
from tracelake.model import Exchange, derived_id
from tracelake.wire import Atom, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
CLIENT: dict[str, Any] = {
    "host": "127.0.0.1",
    "pid": 7,
    "started": 100,
    "command": ["python", "/srv/report.py"],
}


def say(role: str, text: str) -> Atom:
    """A plain message."""
    return Atom(role, "text", text)


def use(call_id: str | None, name: str, **arguments: Any) -> Atom:
    """A tool call."""
    return Atom("assistant", "tool_call", "", call_id, name, json.dumps(arguments, sort_keys=True))


def got(call_id: str | None, text: str, *, is_error: bool | None = None) -> Atom:
    """A tool result."""
    return Atom("user", "tool_result", text, call_id, is_error=is_error)


def at(milliseconds: float) -> datetime:
    """A moment of a scripted run."""
    return START + timedelta(milliseconds=milliseconds)


@dataclass(frozen=True, slots=True)
class Step:
    """One scripted call."""

    exchange: Exchange
    request: Request
    response: Response


@dataclass(slots=True)
class Script:
    """Scripted calls in the order in which they are written."""

    client: dict[str, Any] = field(default_factory=lambda: dict(CLIENT))
    steps: list[Step] = field(default_factory=list[Step])

    def call(
        self,
        start: float,
        end: float,
        atoms: Iterable[Atom],
        answer: Iterable[Atom] = (),
        *,
        system: str = "You are the planner.",
        api: Any = "messages",
        headers: dict[str, str] | None = None,
        tools: list[Any] | None = None,
        parameters: dict[str, Any] | None = None,
        outcome: str = "ok",
        status: int = 200,
        error: str | None = None,
        response_id: str | None = None,
        **changes: Any,
    ) -> str:
        """Add a call; its span id."""
        span_id = derived_id("script", len(self.steps), self.client.get("pid") or 0)
        exchange = Exchange(
            span_id,
            at(start),
            "POST",
            "/v1/messages",
            "anthropic",
            tuple((headers or {}).items()),
            b"",
            end_time=at(end),
            first_byte_time=at(start),
            status=status,
            outcome=outcome,
            client=self.client,
        )
        answered = tuple(answer)
        text = "".join(atom.text for atom in answered if atom.kind == "text")
        request = Request(
            api,
            "anthropic",
            "model",
            False,
            system,
            [],
            tools,
            parameters or {},
            tuple(atoms),
            tuple(tool["name"] for tool in tools or ()),
        )
        response = Response(
            text=text,
            atoms=answered,
            response_id=response_id,
            error=error,
            error_type="api_error" if error else None,
        )
        self.steps.append(Step(replace(exchange, **changes), request, response))
        return span_id

    def feed(self, inference: Inference) -> Iterator[list[dict[str, Any]]]:
        """Give the calls to an inference as they happen; the events of each moment."""
        by_id = {step.exchange.span_id: step for step in self.steps}
        for moment in moments(step.exchange for step in self.steps):
            step = by_id[moment.exchange.span_id]
            if moment.is_opening:
                yield inference.opened(running(step.exchange), step.request)
            else:
                yield inference.ended(step.exchange, step.request, step.response)

    def spans(self, *, end: bool = True) -> Spans:
        """The spans of the run, by id; with `end`, after its agents were idle for long."""
        inference = Inference()
        events = [event for events in self.feed(inference) for event in events]
        if end:
            events += inference.idle(at(10 * 3600 * 1000))
        return Spans(fold(events))


class Spans(dict[str, dict[str, Any]]):
    """Spans by id, with the questions that tests ask."""

    def __init__(self, spans: Iterable[dict[str, Any]]) -> None:
        super().__init__((span["span_id"], span) for span in spans)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Spans of a kind in order of start."""
        return [span for span in self.values() if span["kind"] == kind]

    def agent_of(self, span_id: str) -> dict[str, Any]:
        """The agent that made a call."""
        return self[self[span_id]["parent_id"]]

    def above(self, span: dict[str, Any]) -> dict[str, Any] | None:
        """The span that a span hangs on."""
        return self[span["parent_id"]] if span["parent_id"] else None

    @property
    def root(self) -> dict[str, Any]:
        """The one span without a parent."""
        (root,) = [span for span in self.values() if span["parent_id"] is None]
        return root

    @property
    def traces(self) -> set[str]:
        """The traces that the spans belong to."""
        return {span["trace_id"] for span in self.values()}


QUESTION = say("user", "How do the parcels get to the islands in winter?")
RESEARCHER = "You are the researcher."


def delegated(script: Script, *, agent: str = RESEARCHER) -> tuple[str, str, str]:
    """A planner that has one agent look something up; the three calls."""
    ask = use("c1", "ask_researcher", question="Find the winter timetable of the ferries.")
    first = script.call(0, 100, [QUESTION], [ask])
    prompt = say("user", "Find the winter timetable of the ferries.")
    sub = script.call(110, 200, [prompt], [say("assistant", "Twice a week.")], system=agent)
    last = script.call(
        210, 300, [QUESTION, ask, got("c1", "Twice a week.")], [say("assistant", "By ferry.")]
    )
    return first, sub, last
