"""The in-process tracer: the lightweight writer of agent, LLM and tool spans.

    with Tracer(lake) as tracer:
        with tracer.agent("orchestrator", task="…") as agent:     agent.trace_id, agent.span_id
            with tracer.llm(provider="anthropic", model="…", messages=[…]) as call:
                call.first_token(); call.finish(response="…", tokens_input=1, tokens_output=1)
            with tracer.tool("grep", parameters={…}) as tool:
                tool.finish(result="…")
    @tracer.traced_tool                        sync and async functions; also traced_tool("name")
    @tracer.traced_tool(replay="recorded")     in a replay its recorded result, never run twice
    tracer.bind(function)                      the same nesting in another thread
    tracer.dropped, tracer.last_error          what could not be recorded

Invariants:
- Telemetry never breaks its host: whatever goes wrong here is logged once, counted, and passed
  over; exceptions of the host pass through unchanged.
- What `tracelake.redaction` takes out is never written; without its patterns, nothing is.
- A span is visible as running from its start, and ended however its block is left.
- A span started in a thread without a current span belongs to the one trace that is open, if
  exactly one is; else it opens a trace of its own.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import random
import time
from contextvars import ContextVar, copy_context
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, overload

from tracelake import recall
from tracelake.lake import Lake
from tracelake.processes import program_name
from tracelake.redaction import Patterns, patterns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Self

    from tracelake.config import Location

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

_random = random.Random()  # noqa: S311 - ids, not secrets; seeded from the system
os.register_at_fork(after_in_child=_random.seed)
_current: ContextVar[Span | None] = ContextVar("tracelake_span", default=None)
_now = functools.partial(datetime.now, timezone.utc)  # noqa: UP017 - bound once, no attribute look-up


class Span:
    """One open span; a context manager.

    Attributes:
        trace_id: Trace it belongs to.
        span_id: Its own id.
        parent_id: Span it hangs on, None for the root.
        agent_name: Agent it belongs to.
    """

    __slots__ = (
        "_began",
        "_event_type",
        "_fields",
        "_implied",
        "_start",
        "_token",
        "agent_name",
        "is_agent",
        "parent",
        "parent_id",
        "span_id",
        "trace_id",
        "tracer",
    )  # fmt: skip

    def __init__(
        self, tracer: Tracer, event_type: str, agent_name: str | None, fields: dict[str, Any]
    ) -> None:
        self.tracer = tracer
        self._event_type = event_type
        self._fields = fields
        self._implied: Span | None = None
        self._token: Any = None
        self.is_agent = event_type == "agent"
        self.agent_name = agent_name
        self.span_id = f"{_random.getrandbits(128):032x}"
        self.trace_id = ""
        self.parent_id: str | None = None
        self.parent: Span | None = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001
            self.tracer.failed(error)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        try:
            self._end(error)
        except Exception as failure:  # noqa: BLE001
            self.tracer.failed(failure)

    def finish(self, **columns: Any) -> None:
        """Add what is known at the end: any column of `spans`, `tokens`, or further attributes.

        The span ends when its block is left; each further call adds to what was said.
        """
        self._fields.update(columns)

    update = finish

    def first_token(self) -> None:
        """Note that the first token arrived now, for the time to first token."""
        self._fields["ttft_ms"] = (time.perf_counter() - self._began) * 1e3

    def fail(self, error: BaseException | str) -> None:
        """End the span in error although no exception leaves its block."""
        self._fields.update(_failure(error))

    def _begin(self) -> None:
        tracer = self.tracer
        parent = _current.get()
        if parent is None or parent.tracer is not tracer:
            parent = tracer.sole_root()
        if parent is None and not self.is_agent:
            parent = self._implied = tracer.agent(
                program_name(), evidence="inferred", evidence_source="tracer"
            ).__enter__()
        self.parent = parent
        if parent is None:
            self.trace_id = f"{_random.getrandbits(128):032x}"
            tracer.root_opened(self)
        else:
            self.trace_id, self.parent_id = parent.trace_id, parent.span_id
            if self.agent_name is None:
                self.agent_name = parent.agent_name
        self._token = _current.set(self)
        self._start = _now()
        self._began = time.perf_counter()
        fields, self._fields = self._fields, {}
        data = {"status": "running", "source": "sdk", **tracer.common, **fields}
        if self.is_agent:
            data["role"] = "orchestrator" if parent is None else "agent"
        event_type = "agent_start" if self.is_agent else self._event_type
        tracer.write(event_type, self, self._start, data)

    def _end(self, error: BaseException | None) -> None:
        elapsed_s = time.perf_counter() - self._began
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:  # left in another context than entered, as generators may be
                _current.set(self.parent)
        if self.parent is None:
            self.tracer.root_closed(self)
        data: dict[str, Any] = {"status": "ok"}
        if error is not None:
            data.update(_failure(error))
        data.update(self._fields)
        event_type = "agent_end" if self.is_agent else self._event_type
        try:
            moment = self._start + timedelta(seconds=elapsed_s)
            self.tracer.write(event_type, self, moment, data)
        finally:
            if self._implied is not None:
                self._implied.__exit__(None, error, None)


class Tracer:
    """Writes spans of this process to a lake.

    Args:
        lake: A `Lake`, or what `Lake(…)` takes.
        session_id: Conversation or session, recorded with every span.
        run_id: Recorded run; by default `TRACELAKE_RUN_ID` of the environment, if set.
        durable: Wait for the disk on every event.
    """

    def __init__(
        self,
        lake: Lake | str | os.PathLike[str] | Location | None = None,
        *,
        session_id: str | None = None,
        run_id: str | None = None,
        durable: bool = False,
    ) -> None:
        self.dropped = 0
        self.last_error: Exception | None = None
        self._own = not isinstance(lake, Lake)
        self.lake = lake if isinstance(lake, Lake) else Lake(lake)
        self.common: dict[str, Any] = {}
        if session_id:
            self.common["session_id"] = session_id
        if run_id := run_id or os.environ.get(recall.RUN_ID):
            self.common["run_id"] = run_id
        self._durable = durable
        self._redaction: Patterns | None = None
        self._open_roots: dict[str, Span] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the segment, if the lake is the tracer's own."""
        if self._own:
            try:
                self.lake.close()
            except Exception as error:  # noqa: BLE001
                self.failed(error)

    def agent(self, name: str, *, task: str | None = None, **columns: Any) -> Span:
        """An agent at work; the outermost one is the orchestrator and opens a trace."""
        if task is not None:
            columns["task"] = task
        return Span(self, "agent", name, columns)

    def llm(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        messages: Any = None,
        **columns: Any,
    ) -> Span:
        """A call of a language model."""
        columns.update(provider=provider, model=model, messages=messages)
        return Span(self, "llm_call", None, columns)

    def tool(self, name: str, *, parameters: Any = None, **columns: Any) -> Span:
        """A call of a tool."""
        columns.update(tool_name=name, parameters=parameters)
        return Span(self, "tool_call", None, columns)

    @property
    def current(self) -> Span | None:
        """The innermost open span of this task or thread."""
        return _current.get()

    def bind(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, with the present nesting wherever it is called (threads, executors)."""
        context = copy_context()

        @functools.wraps(function)
        def bound(*args: P.args, **kwargs: P.kwargs) -> R:
            return context.copy().run(function, *args, **kwargs)

        return bound

    @overload
    def traced_tool(self, function: Callable[P, R]) -> Callable[P, R]: ...

    @overload
    def traced_tool(
        self, function: str | None = None, *, replay: Literal["run", "recorded"] = "run"
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def traced_tool(self, function: Any = None, *, replay: str = "run") -> Any:
        """Decorate a function, sync or async, so that each call is a tool span.

        Args:
            function: The function, or the name under which its calls are shown.
            replay: In a replay the function runs again, or (`recorded`) gives the JSON value that
                it gave to the same arguments, and raises `ToolNotReplayed` where there is none.
        """
        is_kept = replay == "recorded"
        if callable(function):
            return self._traced(function, getattr(function, "__name__", "tool"), is_kept=is_kept)
        name = cast("str | None", function)

        def decorate(inner: Any) -> Any:
            label = name or getattr(inner, "__name__", "tool")
            return self._traced(inner, label, is_kept=is_kept)

        return decorate

    def _traced(self, function: Any, name: str, *, is_kept: bool) -> Any:
        bind = _binder(function)
        scope = getattr(function, "__globals__", {})
        keep = recall.kept if is_kept else recall.nothing
        if inspect.iscoroutinefunction(function):
            coroutine = cast("Callable[..., Coroutine[Any, Any, Any]]", function)

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                parameters = bind(args, kwargs)
                with self.tool(name, parameters=parameters) as span:
                    ask = functools.partial(recall.recall, span, name, parameters)
                    if is_kept and (known := await asyncio.to_thread(ask)) is not None:
                        return known.give(scope)
                    result = await coroutine(*args, **kwargs)
                    span.finish(result=result, **keep(parameters, result))
                    return result

            return traced_async

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            parameters = bind(args, kwargs)
            with self.tool(name, parameters=parameters) as span:
                if is_kept and (known := recall.recall(span, name, parameters)) is not None:
                    return known.give(scope)
                result = function(*args, **kwargs)
                span.finish(result=result, **keep(parameters, result))
                return result

        return traced

    def write(self, event_type: str, span: Span, moment: datetime, data: dict[str, Any]) -> None:
        """Append one event of a span; raises as `patterns_of` and `Lake.append` do."""
        if self._redaction is None:
            self._redaction = patterns_of(self.lake.location)
        event = {
            "event_type": event_type,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_id": span.parent_id,
            "timestamp": moment,
            "agent_name": span.agent_name,
            "data": data,
        }
        if self._redaction:
            event = self._redaction.event(event)
        self.lake.append(event, durable=self._durable)

    def root_opened(self, span: Span) -> None:
        """Note that a trace is open."""
        self._open_roots[span.span_id] = span

    def root_closed(self, span: Span) -> None:
        """Note that a trace is over."""
        self._open_roots.pop(span.span_id, None)

    def sole_root(self) -> Span | None:
        """The root of the one trace that is open, None unless it is exactly one."""
        roots = list(self._open_roots.values())  # in one step: a lock might be held by a fork
        return roots[0] if len(roots) == 1 else None

    def failed(self, error: Exception) -> None:
        """Note that something could not be recorded; the first is logged."""
        if not self.dropped:
            log.warning("a span could not be recorded, the program goes on: %r", error)
        self.dropped += 1
        self.last_error = error


def _failure(error: BaseException | str) -> dict[str, Any]:
    if isinstance(error, str):
        return {"status": "error", "error": error}
    given_up = isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of the host may do anything here
        text = ""
    return {
        "status": "cancelled" if given_up else "error",
        "error_type": type(error).__name__,
        "error": text or type(error).__name__,
    }


def _binder(function: Any) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """How the arguments of a call read by name; methods leave their receiver out."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return lambda args, kwargs: {"args": list(args), **kwargs}

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:  # the call itself will say so
            return {"args": list(args), **kwargs}
        bound.pop("self", None)
        return bound

    return bind
