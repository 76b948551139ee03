"""Conversation replays that pages start, watch and cancel; each goes on in a thread of its own."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app import service
from tracelake.errors import TraceLakeError
from tracelake.ingest import collector
from tracelake.model import new_id
from tracelake.replay.conversation import load_tools
from tracelake.replay.fork import ForkState
from tracelake.replay.reissue import Watch, replay_conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracelake.replay.session import Edit

_running: dict[str, Conversation] = {}


class Conversation:
    """One conversation replay of this process."""

    def __init__(
        self, trace_id: str, span_id: str, edit: Edit, tools: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.run_id = new_id()
        self.trace_id = trace_id
        self._asked = (span_id, edit, tools)
        self._watch = Watch()
        self._error: str | None = None
        self._output: str | None = None
        self._thread = threading.Thread(target=self._replay, name="conversation", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """End it before its next call."""
        self._watch.cancelled.set()

    @property
    def state(self) -> ForkState:
        """How far it is."""
        steps = [asdict(step) for step in self._watch.steps]
        return ForkState(
            self.run_id,
            status=self._status,
            counts=dict(Counter(str(step["outcome"]) for step in steps)),
            result={"kind": "conversation", "steps": steps, "output": self._output},
            error=self._error,
        )

    @property
    def _status(self) -> Any:
        if self._thread.is_alive() or self._thread.ident is None:
            return "running"
        if self._error is not None:
            return "failed"
        if self._watch.cancelled.is_set():
            return "cancelled"
        return "stopped" if self._output is None else "ok"

    def _replay(self) -> None:
        span_id, edit, tools = self._asked
        try:
            found = collector.find_running(service.location()) or service.running_collector()
            _, result = replay_conversation(
                service.lake(),
                found,
                trace_id=self.trace_id,
                span_id=span_id,
                edit=edit,
                tools=tools,
                run_id=self.run_id,
                watch=self._watch,
            )
            self._output = result.output
        except TraceLakeError as error:
            self._error = str(error)


def start(trace_id: str, span_id: str, edit: Edit, tools_path: str) -> Conversation:
    """Start a conversation replay.

    Args:
        trace_id: The original.
        span_id: The edited call.
        edit: What is changed there.
        tools_path: Module of the functions that may run; empty for none.

    Raises:
        ConfigError: The module cannot be loaded.
    """
    tools = load_tools(tools_path) if tools_path else {}
    made = Conversation(trace_id, span_id, edit, tools)
    _running[made.run_id] = made
    made.start()
    return made


def running(run_id: str) -> Conversation | None:
    """The replay of that id, if this process started it."""
    return _running.get(run_id)
