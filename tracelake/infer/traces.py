"""The live traces, and which of them a call belongs to."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from tracelake.infer.lifecycle import FORGET_AFTER, IDLE_AFTER_ANSWER
from tracelake.infer.names import program_name
from tracelake.infer.nearness import note_question, one_agreeing
from tracelake.infer.phrases import PhraseIndex
from tracelake.infer.placement import repeats
from tracelake.infer.state import Trace
from tracelake.infer.threads import ThreadIndex
from tracelake.model import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tracelake.infer.placement import Asked
    from tracelake.infer.scope import Scope
    from tracelake.model import Exchange

_Key = TypeVar("_Key", str, "tuple[str | None, int]")

#: A call that nothing else places joins the one trace of its client that was active so recently.
GAP = timedelta(seconds=30)
#: A connection that was used so recently still belongs to the same program.
CONNECTION_KEPT = timedelta(minutes=5)


class Traces:
    """Live traces by scope, process and connection.

    Calls without any explicit scope are compared by content with each other, a client host at a
    time; calls with one only with those of the same scope.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Trace] = {}
        self._by_key: dict[str, Trace] = {}
        self._by_process: dict[str, Trace] = {}
        self._by_pid: dict[tuple[str | None, int], Trace] = {}
        self._by_connection: dict[str, Trace] = {}
        self._pools: dict[str | None, tuple[ThreadIndex, PhraseIndex]] = {}
        self._pooled: defaultdict[str | None, list[Trace]] = defaultdict(list)

    def known(self, scope: Scope) -> Trace | None:
        """The live trace that a scope names, None when it names none or a new one."""
        if scope.source == "process":
            # calls without a session of a program that names one elsewhere
            return self._by_key.get(scope.key or "") or self._by_process.get(scope.process or "")
        if scope.key is not None:
            return self._by_key.get(scope.key)
        return self._by_connection.get(scope.connection or "")

    def of_parent(self, scope: Scope) -> Trace | None:
        """The live trace of the nearest process above the one of this scope, or None.

        A program may start others that have nothing to do with it: their words must agree too.
        """
        if scope.source != "process":
            return None
        above = (self._by_pid.get((scope.host, pid)) for pid in scope.ancestors)
        return next((trace for trace in above if trace is not None), None)

    def root_of(self, trace_id: str) -> str | None:
        """Span id of the root agent of a live trace, None while it has none."""
        trace = self._by_id.get(trace_id)
        return trace.root.span_id if trace is not None and trace.root is not None else None

    def indexes(self, trace: Trace | None, scope: Scope) -> tuple[ThreadIndex, PhraseIndex]:
        """Where to look for the earlier calls that a call of this scope may belong to."""
        if trace is not None:
            return trace.threads, trace.phrases
        if scope.key is not None:
            return ThreadIndex(), PhraseIndex()
        return self._pools.setdefault(scope.host, (ThreadIndex(), PhraseIndex()))

    def near(self, asked: Asked, *, is_auxiliary: bool) -> Trace | None:
        """The one quiet trace of the same client that was active just before, or None.

        A request that repeats the first one of that trace is a new run of the same program. Of
        several traces, or one in flight, only that is meant whose words agree: another agent of it
        was asked the same, or a tool call that it waits for names what the prompt is about. An
        auxiliary call joins the latest of several, in flight or not.
        """
        if asked.scope.key is not None:
            return None
        close = [
            trace
            for trace in self._pooled[asked.scope.host]
            if asked.start - trace.last_activity <= GAP
        ]
        if is_auxiliary:
            return max(close, key=lambda trace: trace.last_activity, default=None)
        if len(close) != 1 or close[0].calls_in_flight or not close[0].agents:
            return one_agreeing(asked, close)
        first = close[0].agents[0].calls[0] if close[0].agents[0].calls else None
        same = close[0].threads.find_same(asked.core, may_link=lambda call: call is first)
        return None if same is not None and repeats(asked, same) else close[0]

    def add(
        self, exchange: Exchange, scope: Scope, threads: ThreadIndex, phrases: PhraseIndex
    ) -> Trace:
        """A new trace, named by its scope or else by its first exchange."""
        trace = Trace(
            trace_id=scope.trace_id or derived_id(exchange.span_id, "trace"),
            scope_key=scope.key,
            program=program_name(exchange.client),
            start=exchange.start_time,
            last_activity=exchange.start_time,
            threads=threads,
            phrases=phrases,
            session_id=scope.session_id,
            run_id=scope.run_id,
            attributes=dict(scope.aliases),
        )
        self._by_id[trace.trace_id] = trace
        if scope.key is not None:
            self._by_key[scope.key] = trace
        else:
            self._pooled[scope.host].append(trace)
        return trace

    def touch(self, trace: Trace, asked: Asked) -> None:
        """Note that a call belongs to a trace."""
        scope = asked.scope
        trace.last_activity = max(trace.last_activity, asked.start)
        if scope.key is None:
            note_question(trace, asked)
        trace.session_id = trace.session_id or scope.session_id
        if scope.process is not None:
            trace.processes.add(scope.process)
            self._by_process[scope.process] = trace
        if scope.pid is not None:
            self._by_pid[scope.host, scope.pid] = trace
        if scope.connection is not None:
            self._by_connection[scope.connection] = trace

    def of_program(self, *, pid_key: str | None, run_id: str | None) -> list[Trace]:
        """The traces that are over now that a process or a run is."""
        over: list[Trace] = []
        for trace in self._by_id.values():
            if pid_key is not None and pid_key in trace.processes:
                trace.processes.discard(pid_key)
                if not trace.processes:
                    over.append(trace)
            elif run_id is not None and run_id in (trace.run_id, trace.trace_id):
                over.append(trace)
        return over

    def quiet(self, now: datetime) -> Iterator[Trace]:
        """Traces without a call for the shortest time after which agents may end."""
        return (t for t in self._by_id.values() if now - t.last_activity >= IDLE_AFTER_ANSWER)

    def forget(self, now: datetime) -> list[Trace]:
        """Drop the traces that have been quiet for very long, and old connections."""
        old = [
            trace
            for trace in self._by_id.values()
            if now - trace.last_activity >= FORGET_AFTER and not trace.calls_in_flight
        ]
        for trace in old:
            del self._by_id[trace.trace_id]
            self._by_key.pop(trace.scope_key or "", None)
        gone = set(map(id, old))
        _drop(self._by_process, gone)
        _drop(self._by_pid, gone)
        _drop(self._by_connection, gone)
        for key, trace in list(self._by_connection.items()):
            if now - trace.last_activity >= CONNECTION_KEPT:
                del self._by_connection[key]
        for host, traces in list(self._pooled.items()):
            traces[:] = [trace for trace in traces if id(trace) not in gone]
            if not traces:
                self._pools.pop(host, None)
                del self._pooled[host]
        return old


def _drop(kept: dict[_Key, Trace], gone: set[int]) -> None:
    """Leave out the traces of these identities."""
    for key in [key for key, trace in kept.items() if id(trace) in gone]:
        del kept[key]
