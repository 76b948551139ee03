"""From exchanges to spans: who called, with which tool, on whose behalf.

    Inference.opened(exchange, request)            events at once, the call is running
    Inference.ended(exchange, request, response)   events of the answer
    Inference.program_ended(...), idle(now)        ends of agents

Invariants:
- No clock, no I/O, no random ids: the same exchanges in the same order give the same events, so
  that reading them again after a crash, or all of them for a `reindex`, adds nothing.
- An exchange that was told before tells nothing again.
- The cost of a call follows its own length, not the number of calls before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracelake.infer import events, lifecycle, tree
from tracelake.infer.auxiliary import asks_for_summary, auxiliary_purpose
from tracelake.infer.corrections import link_late, remember_unlinked, separate
from tracelake.infer.held import PREPARING, HeldCalls
from tracelake.infer.identity import Personas
from tracelake.infer.placement import Asked, Placement, Sight, look, place
from tracelake.infer.retelling import opening_of
from tracelake.infer.scope import read_scope
from tracelake.infer.state import Call, Evidence, Thread
from tracelake.infer.threads import core_atoms
from tracelake.infer.toolspans import drop_abandoned, open_tools, parameters_of, take_results
from tracelake.infer.traces import Traces
from tracelake.wire import tools_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tracelake.infer.events import JsonEvent
    from tracelake.infer.held import HeldCall
    from tracelake.infer.scope import Scope
    from tracelake.infer.state import Agent, Trace
    from tracelake.model import Exchange, Kind, Status
    from tracelake.wire.call import Atom, Request, Response

_KNOWN_TEXT_MAX = 200_000
_RECENT_ATOMS = 40
_BESIDE_KEPT = 16
#: Placements of new conversations that no words of an earlier call explain.
_UNLINKED = frozenset({"first_seen", "identity", "beside", "time"})


class Inference:
    """Rebuilds the structure of agent programs from their provider calls, one call at a time.

    Exchanges must come in order of time: `opened` by start, `ended` by end.
    """

    def __init__(self) -> None:
        self._traces = Traces()
        self._personas = Personas()
        self._calls: dict[str, Call] = {}
        self._told: dict[str, str] = {}
        self._held = HeldCalls()

    def trace_of(self, span_id: str) -> str | None:
        """Trace id of an exchange that was opened here, None for one that is no provider call."""
        return self._told.get(span_id)

    def root_of(self, trace_id: str) -> str | None:
        """Span id of the root agent of a live trace, None while it has none."""
        return self._traces.root_of(trace_id)

    def opened(self, exchange: Exchange, request: Request | None) -> list[JsonEvent]:
        """Take a call that begins.

        Args:
            exchange: The exchange with its request; the response may be there already.
            request: The request as `wire.read_request` reads it; None tells nothing.

        Returns:
            Events: results of tools that the request carries, new agents, the running call.
        """
        if request is None or exchange.span_id in self._told or exchange.span_id in self._held:
            return []
        scope = read_scope(exchange, request)
        if request.api in PREPARING and self._traces.known(scope) is None:
            self._held.add(exchange, request, scope)
            return []
        told = self._open(exchange, request, scope)
        if self._calls[exchange.span_id].is_auxiliary:
            return told
        for held in self._held.take(scope):
            told += self._release(held, trace=self._calls[exchange.span_id].trace)
        return told

    def _release(self, held: HeldCall, *, trace: Trace | None = None) -> list[JsonEvent]:
        """Tell a call that has waited, in a trace or in one of its own."""
        told = self._open(held.exchange, held.request, held.scope, trace)
        if held.response is not None:
            told += self.ended(held.exchange, held.request, held.response)
        return told

    def _open(
        self, exchange: Exchange, request: Request, scope: Scope, trace: Trace | None = None
    ) -> list[JsonEvent]:
        core = core_atoms(request.atoms)
        first = next((a.text for a in core if a.role == "user" and a.kind == "text"), "")
        persona = self._personas.of(request.system, request.tool_names, first_message=first)
        asked = Asked(request, scope, persona, core, exchange.start_time)
        purpose = auxiliary_purpose(request, core)
        sight = Sight()
        if trace is None:
            trace, sight = self._trace_and_sight(exchange, asked, is_auxiliary=purpose is not None)
        self._told[exchange.span_id] = trace.trace_id
        if purpose is not None:
            return self._auxiliary(exchange, asked, trace, sight, purpose)
        return self._placed(exchange, asked, trace, place(asked, trace, sight))

    def _trace_and_sight(
        self, exchange: Exchange, asked: Asked, *, is_auxiliary: bool
    ) -> tuple[Trace, Sight]:
        known = self._traces.known(asked.scope)
        above = self._traces.of_parent(asked.scope) if known is None else None
        if above is not None:
            sight = look(asked, above.threads, above.phrases, above)
            known = above if sight.is_started else None
        threads, phrases = self._traces.indexes(known, asked.scope)
        sight = Sight() if is_auxiliary and known else look(asked, threads, phrases, above)
        trace = known or sight.trace or self._traces.near(asked, is_auxiliary=is_auxiliary)
        if trace is None:
            trace = self._traces.add(exchange, asked.scope, threads, phrases)
        self._traces.touch(trace, asked)
        return trace, sight

    def _placed(
        self, exchange: Exchange, asked: Asked, trace: Trace, placement: Placement
    ) -> list[JsonEvent]:
        previous = placement.previous
        agent, told = self._agent_for(exchange, asked, trace, placement)
        thread = placement.thread
        if thread is None:
            thread = Thread(exchange.span_id, agent, opening_of(asked.core))
            if previous is None and placement.evidence.source != "retelling":
                thread.beside = [t for t in agent.threads[-_BESIDE_KEPT:] if not t.is_at_rest]
        if thread not in agent.threads[-4:] and thread not in agent.threads:
            agent.threads.append(thread)
        thread.agent = agent
        if agent not in thread.speakers:
            thread.speakers.append(agent)
        call = self._new_call(exchange, asked, trace, agent, placement.evidence)
        call.thread = thread
        call.is_summary = asks_for_summary(asked.core)
        if placement.resample_of is not None and placement.resample_of.end is not None:
            placement.resample_of.again = call
        new = asked.core
        if previous is not None:
            previous.is_continued = True
            told += drop_abandoned(previous)
            told += take_results(call, previous, _news(placement, asked))
            told += separate(thread)
        else:
            told += take_results(call, None, new)
        thread.calls.append(call)
        notes = {
            "thread": thread.thread_id,
            "retry_of": placement.retry_of.span_id if placement.retry_of else None,
            "resample_of": placement.resample_of.span_id if placement.resample_of else None,
        }
        told.append(self._llm_opened(call, exchange, asked, notes))
        trace.threads.add_request(call, asked.core, asked.conversation)
        if placement.evidence.source in _UNLINKED:
            remember_unlinked(trace, thread, asked)
        return told

    def _agent_for(
        self, exchange: Exchange, asked: Asked, trace: Trace, placement: Placement
    ) -> tuple[Agent, list[JsonEvent]]:
        agent = placement.agent
        if agent is None:
            agent, told = tree.add_agent(
                trace,
                span_id=exchange.span_id,
                start=asked.start,
                scope=asked.scope,
                persona=asked.persona,
                parent=placement.parent,
                via=placement.via,
                evidence=placement.evidence,
            )
            if placement.parent is not None and placement.origin:
                placement.parent.started[placement.origin] = agent
            if placement.via is not None and not placement.is_weak:
                told += tree.release_guesses(placement.via, agent, asked.start)
            if placement.is_weak or placement.parent is None:
                agent.is_weak = placement.is_weak
                trace.loose[agent.span_id] = agent
            return agent, told
        if agent.is_provisional:
            return agent, tree.take_over(agent, asked.scope, asked.persona, asked.start)
        agent.personas.setdefault(asked.persona.fingerprint, asked.persona)
        answered = agent.via.end if agent.via is not None else None
        if agent.is_weak and answered is not None and asked.start > answered:
            # it works on after the tool call, to which only time had linked it, was answered
            return agent, tree.hang_at_top(agent, Evidence("overlap", 0.5), asked.start)
        return agent, []

    def _auxiliary(
        self,
        exchange: Exchange,
        asked: Asked,
        trace: Trace,
        sight: Sight,
        purpose: tuple[str, Kind],
    ) -> list[JsonEvent]:
        told: list[JsonEvent] = []
        agent = sight.match.call.agent if sight.match is not None else None
        if agent is None or agent.trace is not trace:
            agent = trace.by_key.get(asked.scope.agent_key or "") or self._main_agent(trace)
        evidence = Evidence("auxiliary", 0.8)
        if agent is None:
            agent, told = tree.add_agent(
                trace,
                span_id=exchange.span_id,
                start=asked.start,
                scope=asked.scope,
                persona=self._personas.of(""),
                parent=None,
                via=None,
                evidence=evidence,
            )
            agent.is_provisional = True
        call = self._new_call(exchange, asked, trace, agent, evidence)
        call.is_auxiliary, call.kind = True, purpose[1]
        told.append(self._llm_opened(call, exchange, asked, {"purpose": purpose[0]}))
        return told

    @staticmethod
    def _main_agent(trace: Trace) -> Agent | None:
        if trace.root is not None and trace.has_inferred_root:
            return next((a for a in trace.agents if a.parent is None and a is not trace.root), None)
        return trace.root

    def _new_call(
        self, exchange: Exchange, asked: Asked, trace: Trace, agent: Agent, evidence: Evidence
    ) -> Call:
        call = Call(
            span_id=exchange.span_id,
            trace=trace,
            agent=agent,
            thread=None,
            persona=asked.persona,
            scope=asked.scope,
            start=asked.start,
            evidence=evidence,
            model=asked.request.model,
            position=len(asked.core),
        )
        agent.calls.append(call)
        agent.in_flight += 1
        trace.calls_in_flight += 1
        trace.is_over = False
        agent.last_activity = max(agent.last_activity or asked.start, asked.start)
        self._calls[exchange.span_id] = call
        return call

    @staticmethod
    def _llm_opened(
        call: Call, exchange: Exchange, asked: Asked, notes: dict[str, Any]
    ) -> JsonEvent:
        client = exchange.client
        attributes = {
            "api": asked.request.api,
            "path": exchange.path,
            "upstream": exchange.upstream,
            "client_pid": client.get("pid"),
            **dict(asked.scope.aliases),
            **notes,
        }
        return events.llm_opened(
            call,
            exchange,
            asked.request,
            kind=call.kind,
            tools_fingerprint=tools_fingerprint(asked.request.tools),
            attributes={key: value for key, value in attributes.items() if value is not None},
        )

    def ended(
        self, exchange: Exchange, request: Request | None, response: Response | None
    ) -> list[JsonEvent]:
        """Take a call that ended, in whatever way.

        Args:
            exchange: The exchange with its end and outcome.
            request: As given to `opened`, which is made up for when it was not called.
            response: As `wire.read_response` reads it.

        Returns:
            Events: the end of the call, and a running tool span for each tool it asks for.
        """
        told = self.opened(exchange, request)
        if exchange.span_id in self._held and response is not None:
            self._held.end(exchange, response)
            return told
        call = self._calls.pop(exchange.span_id, None)
        if call is None or request is None or response is None:
            return told
        agent, trace = call.agent, call.trace
        call.end = max(exchange.end_time or call.start, call.start)
        call.first_byte = exchange.first_byte_time
        call.status = _status(exchange, response)
        agent.in_flight -= 1
        trace.calls_in_flight -= 1
        agent.last_activity = max(agent.last_activity or call.end, call.end)
        trace.last_activity = max(trace.last_activity, call.end)
        told.append(events.llm_ended(call, exchange, response, kind=call.kind))
        if not call.is_auxiliary:
            agent.last_status = call.status
            told += self._answered(call, request, response)
        if trace.is_over:
            told += lifecycle.end_trace(trace)
        return told

    @staticmethod
    def _answered(call: Call, request: Request, response: Response) -> list[JsonEvent]:
        core = core_atoms(response.atoms)
        trace = call.trace
        trace.threads.add_answer(call, core, response.response_id)
        if call.status != "ok":
            return []
        told = open_tools(call, response.atoms)
        texts = [atom.text for atom in core if atom.kind == "text"]
        call.answer_characters = sum(len(text) for text in texts)
        # a summary is recognised by its words even where the prompt held them already
        known = "" if call.is_summary else _known_text(request)
        call.answer_parts = trace.phrases.add(texts, call, None, known=known)
        arguments = [(tool, parameters_of(tool.arguments)) for tool in call.tools]
        for tool, value in arguments:
            trace.phrases.add([value], call, tool)
        return told + link_late(call, arguments)

    def program_ended(
        self, *, at: datetime, pid_key: str | None = None, run_id: str | None = None
    ) -> list[JsonEvent]:
        """End the agents of a client program, each when it was last seen to do something.

        Args:
            at: When the end of the program was seen.
            pid_key: `scope.process_key(exchange.client)` of the process that is gone.
            run_id: Run that is over.
        """
        told: list[JsonEvent] = []
        for held in self._held.of_process(pid_key) if pid_key is not None else ():
            told += self._release(held)
        for trace in self._traces.of_program(pid_key=pid_key, run_id=run_id):
            told += lifecycle.end_trace(trace, at)
        return told

    def idle(self, now: datetime) -> list[JsonEvent]:
        """End the agents of traces that have been quiet for long, and forget those of old ones."""
        told: list[JsonEvent] = []
        for held in self._held.overdue(now):
            told += self._release(held)
        for trace in self._traces.quiet(now):
            told += lifecycle.end_idle(trace, now)
        for trace in self._traces.forget(now):
            for agent in trace.agents:
                for call in agent.calls:
                    self._told.pop(call.span_id, None)
        return told


def _status(exchange: Exchange, response: Response) -> Status:
    if exchange.outcome == "lost":
        return "lost"
    failed = exchange.status is None or exchange.status >= 400
    if exchange.outcome == "client_disconnected" and (failed or response.finish_reason is None):
        return "cancelled"
    if response.error_type is not None or response.error is not None or failed:
        return "error"
    # a client may hang up as soon as it has read the last event, before the stream's own end
    return "ok" if exchange.outcome in ("ok", "client_disconnected") else "error"


def _news(placement: Placement, asked: Asked) -> Sequence[Atom]:
    """What a request says that the request of the call it continues did not say."""
    previous = placement.previous
    if placement.added:
        return [replace(asked.core[-1], text=placement.added)]
    if previous is not None and placement.evidence.source in ("prefix", "echo", "handoff"):
        return asked.core[previous.position :]
    return asked.core


def _known_text(request: Request) -> str:
    """What the prompt itself said: an answer that repeats it is not where it comes from."""
    recent = core_atoms(request.atoms[-_RECENT_ATOMS:])
    first = next((a.text for a in request.atoms if a.role == "user" and a.kind == "text"), "")
    said = [a.text for a in recent if a.role != "assistant"]
    return "\n".join([request.system, first, *said])[:_KNOWN_TEXT_MAX]
